"""The edges into a region from others: calls, jumps, and control that falls from one into the next.

Scans find them by their bytes; an edge counts where an instruction starts at its source when that is decoded.
"""

from bisect import bisect_left
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from binsafe.syscalls.controlflow import registers
from binsafe.syscalls.controlflow.index import pieces
from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.machines.edges import CALLED, LOADED, MAYBE_TAKEN, TAKEN, Addresses
from binsafe.syscalls.machines.machine import Flow, Location

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_GOES_ON_WITHOUT_CALL = (Flow.NEXT, Flow.BRANCH)
NEAR = 32
"""Bytes before an address within which it is told what may lead to code."""
_SHORT_REACH = 130
"""How far from a region a jump with one byte of displacement can lie."""


class Incoming:
    """The edges into the regions of a program, by region; found when they are asked for, and kept."""

    def __init__(self, program: "Program") -> None:
        """``program`` is a weak reference, see there."""
        self._program = program
        self._known: dict[int, dict[int, list[tuple[Kind | None, int]]]] = {}

    def entries(self, place: Place) -> list[Edge]:
        """See `Program.entries`."""
        region, index = place.region, place.at
        edges = []
        for kind, source in self.into(region).get(place.address, ()):
            found = self._program.branch(source)
            if found is not None:
                edge = Edge(_kind(found) if kind is None else kind, found)
                edges += [edge] if found.leads(edge.kind, place.address) else []
        edges += self._caught(place)
        edges += self._called_by_register(place)
        return edges if index else [*edges, *self._fallen_into(region)]

    def into(self, region: Region) -> Mapping[int, Sequence[tuple[Kind | None, int]]]:
        """Address in a region -> (kind, source) of all that may lead there, but for the region's own jumps.

        The kind is None where it is not yet known whether the source is a call or a jump.
        """
        if region.start not in self._known:
            self._known[region.start] = self._found(region)
        return self._known[region.start]

    def undisturbed(self, place: Place, locations: Collection[Location], stops: Container[int]) -> Place:
        """See `Program.undisturbed`."""
        region, at = place.region, place.at
        instructions, inside, outside = region.instructions, region.jumps_to, self.into(region)
        pads = region.pads
        keeps, addresses = self._program.machine.keeps, instructions.addresses
        settled = self._program.machine.settled
        while (
            at
            and at not in stops
            and at not in inside
            and at not in pads
            and region.leaving(at - 1) in _GOES_ON_WITHOUT_CALL
            and addresses[at] not in outside
        ):
            for location in locations:
                if not keeps(instructions, at - 1, location):
                    return Place(region, at)
            said = settled(instructions, at - 1) if locations and region.leaving(at - 1) is Flow.BRANCH else None
            if said is not None and not said.taken and said.register in locations:
                return Place(region, at)
            at -= 1
        return Place(region, at)

    def leading_to(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(source, target) of all bytes that may be a call or jump to ``start`` up to ``end``: not yet confirmed."""
        yield from self._program.calls.into(start, end)
        yield from self._program.jumps.into(start, end)
        yield from self._through_slots(start, end)
        yield from self.short(start, end, from_inside=True)

    def last_leading_to(self, addresses: Addresses) -> Addresses:
        """The last address up to each one, within `NEAR` bytes, that bytes may lead to, or code or memory names.

        It is one further before, or -1, where there is none. ``addresses`` are ascending, of one range of code, and
        many: to look for each of them with `leading_to` would take several times as long.
        """
        program = self._program
        found = np.maximum(program.calls.last(addresses), program.jumps.last(addresses))
        slots, named = np.asarray(self._through[0]), program.references.targets
        distant = program.distant.targets
        for targets in (slots, named, program.held, distant, self._short_shortly_before(addresses)):
            at = np.searchsorted(targets, addresses, side="right") - 1
            found = np.maximum(found, np.where(at >= 0, targets[at], -1)) if len(targets) else found
        return found

    def _short_shortly_before(self, addresses: Addresses) -> Addresses:
        """Where jumps with one byte of displacement lead, ascending, up to `NEAR` bytes before some addresses."""
        first, last = int(addresses[0]) - NEAR - _SHORT_REACH, int(addresses[-1]) + _SHORT_REACH
        code = self._program.code.range_of(int(addresses[0]))
        if code is None:
            return addresses[:0]
        begin = max(first, code.address)
        part = CodeRange(begin, code.data[begin - code.address : last - code.address])
        near = np.zeros(last + _SHORT_REACH - first, np.bool_)
        for back in range(NEAR):
            near[addresses - (first + back)] = True
        targets = self._program.machine.short_jumps(part).targets
        return np.sort(targets[near[np.maximum(targets - first, 0)]])

    def forget(self, start: int) -> None:
        """Drop what is cached of the region that starts there: its bounds have changed."""
        self._known.pop(start, None)

    def forget_all(self) -> None:
        """Forget everything, to be found out again: it takes memory."""
        self._known.clear()

    @cached_property
    def _through(self) -> tuple[memoryview, memoryview]:
        """(targets, sources) of the calls and jumps through pointers in memory that are known, by target."""
        return self._using(CALLED)

    @cached_property
    def _loads(self) -> tuple[memoryview, memoryview]:
        """(targets, sources) of the instructions that load such a pointer, by target."""
        return self._using(LOADED)

    def _using(self, use: int) -> tuple[memoryview, memoryview]:
        found = self._program.references
        used = found.uses == use
        sources, slots = found.sources[used], found.targets[used]
        pointers = self._program.pointers
        if not len(pointers.slots):
            return slots[:0].data, sources[:0].data
        at = np.minimum(np.searchsorted(pointers.slots, slots), len(pointers.slots) - 1)
        leads = (pointers.slots[at] == slots) & (pointers.targets[at] >= 0)
        sources, targets = sources[leads], pointers.targets[at][leads]
        order = np.argsort(targets, kind="stable")
        return targets[order].data, sources[order].data  # few are looked for at a time: in numpy that takes longer

    def _found(self, region: Region) -> dict[int, list[tuple[Kind | None, int]]]:
        start, end = region.start, region.end
        found: dict[int, list[tuple[Kind | None, int]]] = {}
        for source, target in self._program.calls.into(start, end):
            found.setdefault(target, []).append((Kind.CALL, source))
        for source, target in self._through_slots(start, end):
            found.setdefault(target, []).append((None, source))
        for source, target in self._program.jumps.entering(start, end):
            found.setdefault(target, []).append((Kind.ENTRY, source))
        for source, target in self.short(start, end, from_inside=False):
            found.setdefault(target, []).append((Kind.ENTRY, source))
        for source, target, use in self._program.references.into(start + 1, end):
            if use in {TAKEN, MAYBE_TAKEN}:  # a jump through a register may lead there, see `entries`
                found.setdefault(target, []).append((None, source))
        for slot, target in self._program.taken.odd_pointers(start + 1, end):
            found.setdefault(target, []).append((None, slot))
        targets, sources = self._loads
        for at in range(bisect_left(targets, start), bisect_left(targets, start + 1)):
            calls = self._program.slots.called_when_loaded(sources[at])
            found.setdefault(start, []).extend((None, call.address) for call in calls)
        return found

    def _caught(self, place: Place) -> Iterator[Edge]:
        """The edges to a landing pad: from the instructions whose exceptions are caught there."""
        for start, end, *_ in place.region.pads.get(place.at, ()):
            at = start
            while at < end and (region := self._program.region(at)) is not None:
                throwing = (index for index in region.within(at, end) if region.may_throw(index))
                yield from (Edge(Kind.CAUGHT, Place(region, index)) for index in throwing)
                at = max(at + 1, region.end)
                self._program.decoder.spend(1)

    def _called_by_register(self, led_to: Place) -> Iterator[Edge]:
        """The calls and jumps to an instruction whose address was put into a register before."""
        for source, _, use in self._program.references.into(led_to.address, led_to.address + 1):
            place = self._program.place(source) if use in {TAKEN, MAYBE_TAKEN} else None
            if place is not None:
                named = self._program.taken.completed(place, led_to.address, led_to.address + 1) or ()
                named_at = (Place(place.region, name) for name in named)
                used = (registers.uses(self._program, at) for at in named_at)
                calls = (Place(place.region, at) for each in used for at in each.calls)
                yield from (Edge(_kind(call), call) for call in calls if call.leads(_kind(call), led_to.address))

    def _through_slots(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(source, target) of the calls and jumps through pointers to a range of addresses."""
        targets, sources = self._through
        found = range(bisect_left(targets, start), bisect_left(targets, end))
        return ((sources[at], targets[at]) for at in found)

    def short(self, start: int, end: int, *, from_inside: bool) -> Iterator[tuple[int, int]]:
        """(source, target) of bytes that may be a jump of two bytes to a range of addresses of code."""
        code = self._program.code.range_of(start)
        first = start - _SHORT_REACH if code is None else max(start - _SHORT_REACH, code.address)
        last = end + _SHORT_REACH
        for begin, stop in ((first, last),) if from_inside else ((first, start), (end, last)):
            bytes_ = self._program.code.read(begin, stop)
            yield from self._program.machine.short_jumps_into(bytes_, begin, start, end)

    def _fallen_into(self, region: Region) -> list[Edge]:
        """The region before, if it goes on into this one."""
        before = self._program.region(region.start - 1)
        if before is None or before is region or not before.instructions or before.end != region.start:
            return []
        last = len(before.instructions) - 1
        if not before.goes_on() or (before.is_padding(last) and not region.anchored):
            return []  # parts of a very large function are gaps of their own
        return [Edge(Kind.ENTRY, Place(before, last))]


def crossing(program: "Program") -> Iterator[tuple[int, int]]:
    """(source, target) of the jumps of two bytes from one function to the start of another."""
    layout = program.layout
    for piece in pieces(program.code.ranges):
        sources, targets = program.machine.short_jumps(piece)
        begins = layout.begins(targets)
        sources, targets = sources[begins], targets[begins]
        crosses = layout.exact(targets) != layout.containing(sources)
        for source, target in zip(sources[crosses].tolist(), targets[crosses].tolist(), strict=True):
            place = program.place(source)
            if place is not None and place.region.flow(place.at)[1] == target:
                yield source, target


def _kind(place: Place) -> Kind:
    """How a call or jump through a pointer or register comes into another region."""
    return Kind.CALL if place.region.leaving(place.at) is Flow.CALL else Kind.ENTRY
