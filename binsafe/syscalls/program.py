"""The whole program as regions with edges between them: decoded where the walk goes, indexed where it does not."""

from bisect import bisect_right
from collections.abc import Iterator
from enum import Enum, auto
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from binsafe.formats import gopclntab
from binsafe.model import Slice
from binsafe.syscalls.code import Code
from binsafe.syscalls.decode import Decoder, Detail, Instruction
from binsafe.syscalls.functions import starts
from binsafe.syscalls.index import Index
from binsafe.syscalls.machine import Flow, Location, Machine, Source, Step
from binsafe.syscalls.regions import Region, is_padding

_MAX_REGION = 1 << 20
"""Bytes of a function that are decoded as a whole; of a larger one a window is. SQLite's interpreter has 60 kB."""
_WINDOW = 1 << 13
_MAX_KEPT = 1_000_000
"""Decoded instructions that are kept; one takes about 400 bytes."""
_SCANNED_BYTES = 1 << 10
"""Bytes that a scan passes over while one instruction is decoded, roughly."""
_SHORT_REACH = 130
"""How far from a region a jump with one byte of displacement can lie."""


class Place(NamedTuple):
    """One instruction in its region."""

    region: Region
    at: int
    """Its index among the region's instructions."""

    @property
    def instruction(self) -> Instruction:
        """The instruction itself."""
        return self.region.instructions[self.at]

    @property
    def address(self) -> int:
        """Where it stands in memory."""
        return self.instruction.address


class Kind(Enum):
    """How control comes from one instruction to another."""

    FLOW = auto()
    """Inside a region: it falls through or jumps; also behind a call, when that returns."""
    ENTRY = auto()
    """From one region into another without a call: a tail jump, a split-off cold part, a label in assembler."""
    CALL = auto()


class Edge(NamedTuple):
    """An instruction from which control comes."""

    kind: Kind
    place: Place


class Program:
    """A slice seen by the walk. Regions are decoded when asked for, and kept."""

    def __init__(self, slice_: Slice, machine: Machine, decoder: Decoder) -> None:
        self.slice = slice_
        self.machine = machine
        self.decoder = decoder
        self.code = Code(slice_)
        decoder.spend(self.code.size // _SCANNED_BYTES)
        self._calls = Index(self.code, machine.calls, decoder.spend)
        self._jumps = Index(self.code, machine.jumps, decoder.spend)
        self._go = gopclntab.functions(slice_)
        self._starts: list[int] = starts(slice_, self.code, self._go, self._calls.targets).tolist()
        self._regions: dict[int, Region] = {}
        self._kept = 0
        self._details: dict[int, Detail | None] = {}
        self._incoming: dict[int, dict[int, list[tuple[Kind, int]]]] = {}
        self._taken: dict[int, int | None] = {}

    def is_go(self, region: Region) -> bool:
        """Whether it is code that Go's own table lists and so follows Go's conventions."""
        return self.go_name(region.start) is not None

    def go_name(self, address: int) -> str | None:
        """The name of the Go function that holds an address; None for other code."""
        index = None if self._go is None else self._go.containing(address)
        return None if self._go is None or index is None else self._go.name(index)

    def region(self, address: int) -> Region | None:
        """The region that holds an address of executable memory."""
        code = self.code.range_of(address)
        if code is None:
            return None
        at = bisect_right(self._starts, address)
        start = max(self._starts[at - 1], code.address)
        end = min(self._starts[at], code.end) if at < len(self._starts) else code.end
        anchored = end - start <= _MAX_REGION
        if not anchored:
            # Windows are cut at multiples of their size, so that one instruction is always in one region.
            cut = start + (address - start) // _WINDOW * _WINDOW
            start, end = cut, min(end, cut + _WINDOW)
        if start not in self._regions:
            instructions = self.decoder.sweep(self.code.read(start, end), start)
            self._make_room(len(instructions))
            self._regions[start] = Region(self.machine, start, instructions, anchored=anchored)
        return self._regions[start]

    def _make_room(self, count: int) -> None:
        """Forget what was decoded when it has become too much; what is needed again is decoded again."""
        self._kept += count
        if self._kept > _MAX_KEPT:
            self._regions.clear()
            self._details.clear()
            self._incoming.clear()
            self._kept = count

    def place(self, address: int) -> Place | None:
        """The instruction that starts at an address when its region is decoded; None if none does."""
        region = self.region(address)
        index = None if region is None else region.index.get(address)
        return None if region is None or index is None else Place(region, index)

    def sources(self, place: Place, location: Location) -> tuple[Source, ...] | None:
        """Where a location's value comes from at one instruction; None if it leaves the location alone."""
        step = Step(
            place.instruction,
            place.region.frames[place.at],
            lambda: self._detail(place.instruction),
            self.code.constant,
        )
        return self.machine.sources(step, location)

    def predecessors(self, place: Place) -> list[Edge]:
        """All known instructions from which control comes to this one."""
        region, index = place
        edges = [Edge(Kind.FLOW, Place(region, i)) for i in region.predecessors(index)]
        for kind, source in self._into(region).get(place.address, ()):
            found = self.place(source)
            if found is not None and self._leads(found, kind, place.address):
                edges.append(Edge(kind, found))
        if index == 0:
            edges += self._fallen_into(region)
        return edges

    def taken_at(self, address: int) -> int | None:
        """Where an address is taken as a value, by a word of loaded memory or by an instruction; None if nowhere."""
        if address not in self._taken:
            self.decoder.spend(self.code.loaded_size // _SCANNED_BYTES)
            computed = (source for source, _ in self._computed.into(address, address + 1))
            pattern = self.machine.absolute(address)
            named = () if pattern is None else self.code.find(pattern)
            self._taken[address] = next(chain(self.code.words(address), computed, named), None)
        return self._taken[address]

    @cached_property
    def _computed(self) -> Index:
        return Index(self.code, self.machine.computed_addresses, self.decoder.spend)

    def _detail(self, instruction: Instruction) -> Detail | None:
        address, size = instruction.address, instruction.size
        if address not in self._details:
            self._details[address] = self.decoder.detail(self.code.read(address, address + size), address)
        return self._details[address]

    def _into(self, region: Region) -> dict[int, list[tuple[Kind, int]]]:
        """Address in a region -> where the bytes of a call or jump to it stand; jumps of its own are left out."""
        if region.start not in self._incoming:
            incoming: dict[int, list[tuple[Kind, int]]] = {}
            for source, target in self._calls.into(region.start, region.end):
                incoming.setdefault(target, []).append((Kind.CALL, source))
            jumps = [*self._jumps.into(region.start, region.end), *self._short_jumps_around(region)]
            for source, target in jumps:
                if region.start <= target < region.end and not region.start <= source < region.end:
                    incoming.setdefault(target, []).append((Kind.ENTRY, source))
            self._incoming[region.start] = incoming
        return self._incoming[region.start]

    def _short_jumps_around(self, region: Region) -> Iterator[tuple[int, int]]:
        for start, end in ((region.start - _SHORT_REACH, region.start), (region.end, region.end + _SHORT_REACH)):
            code = self.code.range_of(end if start < region.start else start)
            begin = start if code is None else max(start, code.address)
            yield from self.machine.short_jumps(self.code.read(begin, end), begin)

    @staticmethod
    def _leads(source: Place, kind: Kind, target: int) -> bool:
        """Whether the instruction that really stands there is that branch."""
        flow, leads_to = source.region.flows[source.at]
        return leads_to == target and (flow is Flow.CALL) == (kind is Kind.CALL)

    def _fallen_into(self, region: Region) -> list[Edge]:
        """The region before, if its last instruction goes on into this one; nothing goes on behind a last call."""
        before = self.region(region.start - 1)
        if before is None or before is region or not before.instructions or before.end != region.start:
            return []
        last = len(before.instructions) - 1
        goes_on = before.flows[last][0] in {Flow.NEXT, Flow.BRANCH} and not is_padding(before.instructions[last])
        return [Edge(Kind.ENTRY, Place(before, last))] if goes_on else []
