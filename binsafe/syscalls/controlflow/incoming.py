"""Where control comes from into a region: calls, jumps and falls from others that an instruction bears out."""

import weakref
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from binsafe.syscalls.controlflow import registers
from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import CALLED, TAKEN, Edges, Flow

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_SHORT_REACH = 130
"""How far from a region a jump with one byte of displacement can lie."""


class Incoming:
    """The edges into the regions of a program, by region; found when they are asked for, and kept."""

    def __init__(self, program: "Program") -> None:
        self._program: Program = weakref.proxy(program)  # in a circle they would stay until somebody looks for such
        self._known: dict[int, dict[int, list[tuple[Kind | None, int]]]] = {}

    def entries(self, place: Place) -> list[Edge]:
        """See `Program.entries`."""
        region, index = place
        edges = []
        for kind, source in self._into(region).get(place.address, ()):
            found = self._program.place(source)
            if found is not None:
                edge = Edge(_kind(found) if kind is None else kind, found)
                edges += [edge] if found.leads(edge.kind, place.address) else []
        if index == 0:
            edges += [*self._called_by_register(place), *self._fallen_into(region)]
        return edges

    def leads_to(self, place: Place) -> bool:
        """Whether bytes of a call or jump from elsewhere lead to an instruction, or a region begins with it."""
        return place.at == 0 or place.address in self._into(place.region)

    def forget(self, start: int) -> None:
        """Forget what is known of the region that starts there: it is another one now."""
        self._known.pop(start, None)

    def forget_all(self) -> None:
        """Forget everything, to be found out again: it takes memory."""
        self._known.clear()

    @cached_property
    def _through(self) -> Edges:
        """Calls and jumps through slots whose pointers are known, by where they lead."""
        found = self._program.references
        called = found.uses == CALLED
        sources, slots = found.sources[called], found.targets[called]
        pointers = self._program.pointers
        if not len(pointers.slots):
            return Edges(sources[:0], slots[:0])
        at = np.minimum(np.searchsorted(pointers.slots, slots), len(pointers.slots) - 1)
        leads = (pointers.slots[at] == slots) & (pointers.targets[at] >= 0)
        sources, targets = sources[leads], pointers.targets[at][leads]
        order = np.argsort(targets, kind="stable")
        return Edges(sources[order], targets[order])

    def _into(self, region: Region) -> dict[int, list[tuple[Kind | None, int]]]:
        """Address in a region -> where the bytes of a call or jump to it stand; jumps of its own are left out.

        None where it is a call or a jump: what stands there is decoded when the walk comes to it.
        """
        if region.start not in self._known:
            incoming: dict[int, list[tuple[Kind | None, int]]] = {}
            for source, target in self._program.calls.into(region.start, region.end):
                incoming.setdefault(target, []).append((Kind.CALL, source))
            first, last = np.searchsorted(self._through.targets, (region.start, region.end)).tolist()
            for at in range(first, last):
                incoming.setdefault(int(self._through.targets[at]), []).append((None, int(self._through.sources[at])))
            jumps = [*self._program.jumps.into(region.start, region.end), *self._short_jumps_around(region)]
            for source, target in jumps:
                if region.start <= target < region.end and not region.start <= source < region.end:
                    incoming.setdefault(target, []).append((Kind.ENTRY, source))
            self._known[region.start] = incoming
        return self._known[region.start]

    def _called_by_register(self, first: Place) -> Iterator[Edge]:
        for source, _, use in self._program.references.into(first.address, first.address + 1):
            place = self._program.place(source) if use == TAKEN else None
            if place is not None:
                calls = (Place(place.region, at) for at in registers.uses(place.region, place.at).calls)
                yield from (Edge(_kind(call), call) for call in calls if call.leads(_kind(call), first.address))

    def _short_jumps_around(self, region: Region) -> Iterator[tuple[int, int]]:
        for start, end in ((region.start - _SHORT_REACH, region.start), (region.end, region.end + _SHORT_REACH)):
            code = self._program.code.range_of(end if start < region.start else start)
            begin = start if code is None else max(start, code.address)
            yield from self._program.machine.short_jumps_of_few(self._program.code.read(begin, end), begin)

    def _fallen_into(self, region: Region) -> list[Edge]:
        """The region before, if its last instruction goes on into this one; nothing goes on behind a last call."""
        before = self._program.region(region.start - 1)
        if before is None or before is region or not before.instructions or before.end != region.start:
            return []
        last = len(before.instructions) - 1
        goes_on = before.flow(last)[0] in {Flow.NEXT, Flow.BRANCH} and not before.is_padding(last)
        return [Edge(Kind.ENTRY, Place(before, last))] if goes_on else []


def _kind(place: Place) -> Kind:
    """How a call or jump through a pointer or register comes into another region."""
    return Kind.CALL if place.region.flow(place.at)[0] is Flow.CALL else Kind.ENTRY
