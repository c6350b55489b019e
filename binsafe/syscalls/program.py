"""The whole program as regions with edges between them: decoded where the walk goes, indexed where it does not."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from binsafe.formats import gopclntab, stubs
from binsafe.formats.elf_linking import Linking
from binsafe.model import Slice
from binsafe.syscalls import registers
from binsafe.syscalls.code import Code
from binsafe.syscalls.decode import JUNK, Decoder, Detail, Instruction
from binsafe.syscalls.index import Index, Referring, pieces
from binsafe.syscalls.layout import layout
from binsafe.syscalls.machine import (
    CALLED,
    MAYBE_TAKEN,
    TAKEN,
    Addresses,
    Edges,
    Flow,
    Location,
    Machine,
    Source,
    Step,
    Table,
)
from binsafe.syscalls.pointers import pointers
from binsafe.syscalls.regions import Region
from binsafe.syscalls.sets import among

_MAX_REGION = 1 << 20
"""Bytes of a function that are decoded as a whole; of a larger one a window is. SQLite's interpreter has 60 kB."""
_WINDOW = 1 << 13
_MAX_KEPT = 1_000_000
"""Decoded instructions that are kept; one takes about 400 bytes."""
_SCANNED_BYTES = 1 << 10
"""Bytes that a scan passes over while one instruction is decoded, roughly."""
_FEW = 2
_LONGEST = 15
"""Bytes of the longest instruction."""
_STUB_SIZE = 16
"""Bytes of the longest stub of a linkage table, up to its jump."""
_MAX_ENTRIES = 1024
"""Entries of a jump table that are read."""
_TABLE_COST = 16
"""Reading a table takes as long as decoding so many instructions."""
_SEARCHED = 16
"""Instructions that are searched for a table's address while one is decoded."""
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
        return self.region.instructions.addresses[self.at]


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

    def __init__(
        self,
        slice_: Slice,
        machine: Machine,
        decoder: Decoder,
        linking: Linking | None = None,
        go: gopclntab.FunctionTable | None = None,
    ) -> None:
        """``go`` is Go's own table, where somebody has read it already."""
        self.slice = slice_
        self.machine = machine
        self.decoder = decoder
        self.code = Code(slice_)
        decoder.spend(self.code.size // _SCANNED_BYTES)
        self.calls = Index(self.code, machine.calls, decoder.spend)
        self.jumps = Index(self.code, machine.jumps, decoder.spend)
        self.pointers = pointers(slice_, self.code, linking)
        self.go = gopclntab.functions(slice_) if go is None else go
        """Go's own table; None for other programs."""
        self.stubs = dict(self._stubs())
        """Slot of the global offset table -> the stub that jumps to where it points."""
        self.layout = layout(
            slice_,
            self.code,
            linking=linking,
            table=self.go,
            stubs=np.array(list(self.stubs.values()), np.int64),
            led_to=np.concatenate([self.calls.edges.targets, self.pointers.targets]),
        )
        self._starts: list[int] = self.layout.starts.tolist()
        self._ends: list[int] = self.layout.ends.tolist()
        self._regions: dict[int, Region] = {}
        self._kept = 0
        self._details: dict[int, Detail | None] = {}
        self._incoming: dict[int, dict[int, list[tuple[Kind, int]]]] = {}
        self._taken: dict[int, int | None] = {}
        self._jumped_to: dict[int, Mapping[int, tuple[int, ...]] | None] = {}
        self._exported = (
            frozenset(s.value for s in linking.symbols if s.defined) if linking is not None else frozenset()
        )

    def _stubs(self) -> Iterator[tuple[int, int]]:
        """Stubs that call other files: in their own sections, or wherever such code is if there is no section table."""
        named = [s for s in self.slice.sections if s.executable and s.name.startswith((".plt", ".iplt"))]
        places = [(s.address, self.slice.contents(s)) for s in named] or [(r.address, r.data) for r in self.code.ranges]
        slots = self.pointers.slots[self.pointers.single]
        for address, data in places if len(slots) else ():
            found = stubs.slots(self.machine.arch, data, address, 0)
            inside = among(np.fromiter(found, np.int64, len(found)), slots).tolist()
            yield from ((slot, stub) for (slot, stub), known in zip(found.items(), inside, strict=True) if known)

    def exported(self, address: int) -> bool:
        """Whether other files can call what starts at an address."""
        return address in self._exported

    def is_known(self, start: int) -> bool:
        """Whether a table of the file says that this is a function and where it ends."""
        at = bisect_right(self._starts, start) - 1
        return self.go is not None or (self._starts[at] == start and bool(self._ends[at]))

    def in_code(self, addresses: Addresses) -> npt.NDArray[np.bool_]:
        """Whether each address lies in executable memory."""
        inside = np.zeros(len(addresses), np.bool_)
        for r in self.code.ranges:
            inside |= (addresses >= r.address) & (addresses < r.end)
        return inside

    def is_go(self, region: Region) -> bool:
        """Whether it is code that Go's own table lists and so follows Go's conventions."""
        return self.go_name(region.start) is not None

    def go_name(self, address: int) -> str | None:
        """The name of the Go function that holds an address; None for other code."""
        index = None if self.go is None else self.go.containing(address)
        return None if self.go is None or index is None else self.go.name(index)

    def go_function(self, address: int) -> int | None:
        """Where the Go function starts that holds an address; None for other code."""
        index = None if self.go is None else self.go.containing(address)
        return None if self.go is None or index is None else self.go.addresses[index]

    def region(self, address: int) -> Region | None:
        """The region that holds an address of executable memory."""
        code = self.code.range_of(address)
        if code is None:
            return None
        at = bisect_right(self._starts, address)
        if at > 1 and self._is_by_chance(at - 1):
            self._forget_start(at - 1)
            return self.region(address)
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

    def _is_by_chance(self, at: int) -> bool:
        """Whether a start lies inside of an instruction of the code before it, and no call that is one leads there."""
        before, start = self._starts[at - 1], self._starts[at]
        if start not in self._doubtful or start - before > _WINDOW:
            return False
        self._doubtful.discard(start)  # asked once; and while it is being asked
        crossed = any(
            one.address < start < one.address + one.size and one.mnemonic != JUNK
            for one in self.decoder.sweep(self.code.read(before, start + _LONGEST), before)
        )
        sources = [self.place(source) for source, _ in self.calls.into(start, start + 1)] if crossed else []
        return crossed and not any(place and self._leads(place, Kind.CALL, start) for place in sources)

    def _forget_start(self, at: int) -> None:
        for start in self._starts[at - 1 : at + 1]:
            self._regions.pop(start, None)
            self._incoming.pop(start, None)
            self._jumped_to.pop(start, None)
        del self._starts[at], self._ends[at]

    @cached_property
    def _doubtful(self) -> set[int]:
        """Starts that nothing speaks for but a call or two: such bytes occur inside of others."""
        loose, targets = self.layout.loose, self.calls.edges.targets
        called = np.searchsorted(targets, loose, side="right") - np.searchsorted(targets, loose)
        return set(loose[(called <= _FEW) & ~among(loose, self.pointers.targets)].tolist())

    def _make_room(self, count: int) -> None:
        """Forget what was decoded when it has become too much; what is needed again is decoded again."""
        self._kept += count
        if self._kept > _MAX_KEPT:
            self._regions.clear()
            self._details.clear()
            self._incoming.clear()
            self._jumped_to.clear()
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
            lambda: place.region.frames[place.at],
            lambda: self._detail(place.instruction),
            self.code.constant,
        )
        return self.machine.sources(step, location)

    def entries(self, place: Place) -> list[Edge]:
        """All known instructions in other regions from which control comes to this one, and calls."""
        region, index = place
        edges = []
        for kind, source in self._into(region).get(place.address, ()):
            found = self.place(source)
            if found is not None and self._leads(found, kind, place.address):
                edges.append(Edge(kind, found))
        if index == 0:
            edges += self._fallen_into(region)
        return edges

    def jumped_to(self, region: Region) -> Mapping[int, tuple[int, ...]] | None:
        """Index in a region -> the jumps of it that lead there through tables; None where a table could not be read.

        A table that other regions' jumps use, too, is not looked for.
        """
        if region.start not in self._jumped_to:
            self._jumped_to[region.start] = self._through_tables(region)
        return self._jumped_to[region.start]

    def _through_tables(self, region: Region) -> Mapping[int, tuple[int, ...]] | None:
        found: dict[int, tuple[int, ...]] = {}
        for at in region.indirect_jumps:
            table = self.machine.table(region.instructions, at)
            bases = 0 if table is None else len(table.bases)
            self.decoder.spend(bases * _TABLE_COST + len(region.instructions) // _SEARCHED)
            if table is None and region.frames[at].get(self.machine.stack) == 0:
                continue  # the frame is gone: a call through a pointer, as the last thing that is done
            if table is None:
                return None
            targets = [target for base in table.bases for target in self._entries(base, table)]
            inside = {region.index[target] for target in targets if target in region.index}
            if not inside:
                return None
            for index in inside:
                found[index] = (*found.get(index, ()), at)
        return found

    def _entries(self, base: int, table: Table) -> list[int]:
        """The addresses that a table leads to: it ends where they are no code any more."""
        data = self.code.constants(base, _MAX_ENTRIES * table.size)
        entries = np.frombuffer(data[: len(data) // table.size * table.size], f"<i{table.size}").astype(np.int64)
        targets = entries + base if table.relative else entries
        outside = np.flatnonzero(~self.in_code(targets))
        found: list[int] = targets[: outside[0] if len(outside) else None].tolist()
        return found

    def taken_at(self, address: int) -> int | None:
        """Where an address is taken as a value, by a pointer in memory or by an instruction; None if nowhere."""
        if address not in self._taken:
            self._taken[address] = next(self._taken_by(address), None)
        return self._taken[address]

    def _taken_by(self, address: int) -> Iterator[int]:
        yield from (slot for slot in self.pointers.to(address) if not self.only_called(slot))
        for source, _, use in self.references.into(address, address + 1):
            if use in {TAKEN, MAYBE_TAKEN} and self._is_taken_at(source):
                yield source
        absolute = self.machine.names_absolutely and not self.slice.traits.get("pie")
        named = self.code.naming(address) if absolute else None
        yield from () if named is None else (named,)

    def _is_taken_at(self, source: int) -> bool:
        """Whether an instruction stands there, and keeps the address for more than calls of its own function."""
        place = self.place(source)
        if place is None:
            region = self.region(source)
            return region is None or not self.is_known(region.start)
        return not registers.uses(place.region, place.at).nothing_else

    def only_called(self, slot: int) -> bool:
        """Whether a slot of the global offset table is nothing but called or jumped through."""
        at = int(np.searchsorted(self.pointers.slots, slot))
        uses = [use for source, _, use in self.references.into(slot, slot + 1) if not self._in_stub(source, slot)]
        return bool(self.pointers.single[at]) and all(use == CALLED for use in uses)

    def called_through(self, slot: int) -> list[Place]:
        """The calls and jumps through a slot: of code itself, or of its stub."""
        sources = [source for source, _, use in self.references.into(slot, slot + 1) if use == CALLED]
        stub = self.stubs.get(slot)
        found = [self.place(source) for source in sources if not self._in_stub(source, slot)]
        found.append(None if stub is None else self.place(stub))
        return [place for place in found if place is not None]

    def _in_stub(self, address: int, slot: int) -> bool:
        stub = self.stubs.get(slot)
        inside = stub is not None and stub <= address < stub + _STUB_SIZE
        return inside and self._starts[bisect_right(self._starts, address) - 1] == stub  # some stubs are shorter

    @cached_property
    def references(self) -> Referring:
        """All instructions that name addresses of the image."""
        return Referring(self.code, self.machine.references, self.decoder.spend)

    @cached_property
    def _through(self) -> Edges:
        """Calls and jumps through slots whose pointers are known, by where they lead."""
        found = self.references
        called = found.uses == CALLED
        sources, slots = found.sources[called], found.targets[called]
        at = np.minimum(np.searchsorted(self.pointers.slots, slots), max(0, len(self.pointers.slots) - 1))
        if not len(self.pointers.slots):
            return Edges(sources[:0], slots[:0])
        leads = (self.pointers.slots[at] == slots) & (self.pointers.targets[at] >= 0)
        sources, targets = sources[leads], self.pointers.targets[at][leads]
        order = np.argsort(targets, kind="stable")
        return Edges(sources[order], targets[order])

    def short_jumps(self) -> Iterator[tuple[int, int]]:
        """(source, target) of the jumps of two bytes from one function to the start of another."""
        for piece in pieces(self.code.ranges):
            sources, targets = self.machine.short_jumps(piece)
            start = self.layout.exact(targets)
            crossing = (start >= 0) & (start != self.layout.containing(sources))
            for source, target in zip(sources[crossing].tolist(), targets[crossing].tolist(), strict=True):
                place = self.place(source)
                if place is not None and place.region.flow(place.at)[1] == target:
                    yield source, target

    def _detail(self, instruction: Instruction) -> Detail | None:
        address, size = instruction.address, instruction.size
        if address not in self._details:
            self._details[address] = self.decoder.detail(self.code.read(address, address + size), instruction)
        return self._details[address]

    def _into(self, region: Region) -> dict[int, list[tuple[Kind, int]]]:
        """Address in a region -> where the bytes of a call or jump to it stand; jumps of its own are left out."""
        if region.start not in self._incoming:
            incoming: dict[int, list[tuple[Kind, int]]] = {}
            for source, target in self.calls.into(region.start, region.end):
                incoming.setdefault(target, []).append((Kind.CALL, source))
            first, last = np.searchsorted(self._through.targets, (region.start, region.end)).tolist()
            for at in range(first, last):
                source, target = int(self._through.sources[at]), int(self._through.targets[at])
                place = self.place(source)
                kind = Kind.CALL if place is not None and place.region.flow(place.at)[0] is Flow.CALL else Kind.ENTRY
                incoming.setdefault(target, []).append((kind, source))
            incoming.setdefault(region.start, []).extend(self._called_by_register(region.start))
            jumps = [*self.jumps.into(region.start, region.end), *self._short_jumps_around(region)]
            for source, target in jumps:
                if region.start <= target < region.end and not region.start <= source < region.end:
                    incoming.setdefault(target, []).append((Kind.ENTRY, source))
            self._incoming[region.start] = incoming
        return self._incoming[region.start]

    def _called_by_register(self, start: int) -> Iterator[tuple[Kind, int]]:
        for source, _, use in self.references.into(start, start + 1):
            place = self.place(source) if use == TAKEN else None
            if place is not None:
                for at in registers.uses(place.region, place.at).calls:
                    kind = Kind.CALL if place.region.flow(at)[0] is Flow.CALL else Kind.ENTRY
                    yield kind, place.region.instructions.addresses[at]

    def _short_jumps_around(self, region: Region) -> Iterator[tuple[int, int]]:
        for start, end in ((region.start - _SHORT_REACH, region.start), (region.end, region.end + _SHORT_REACH)):
            code = self.code.range_of(end if start < region.start else start)
            begin = start if code is None else max(start, code.address)
            yield from self.machine.short_jumps_of_few(self.code.read(begin, end), begin)

    @staticmethod
    def _leads(source: Place, kind: Kind, target: int) -> bool:
        """Whether the instruction that really stands there is that branch."""
        flow, leads_to = source.region.flow(source.at)
        through = leads_to is None and flow in {Flow.CALL, Flow.INDIRECT}
        return (leads_to == target or through) and (flow is Flow.CALL) == (kind is Kind.CALL)

    def _fallen_into(self, region: Region) -> list[Edge]:
        """The region before, if its last instruction goes on into this one; nothing goes on behind a last call."""
        before = self.region(region.start - 1)
        if before is None or before is region or not before.instructions or before.end != region.start:
            return []
        last = len(before.instructions) - 1
        goes_on = before.flow(last)[0] in {Flow.NEXT, Flow.BRANCH} and not before.is_padding(last)
        return [Edge(Kind.ENTRY, Place(before, last))] if goes_on else []
