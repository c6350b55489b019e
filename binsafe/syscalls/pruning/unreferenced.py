"""Functions of a static program that nothing leads to: the linker took in whole files of glibc for others in them.

A function is dead where neither the start of the program leads to it, nor data, nor code that is not dead itself. What
leads to it is a call or jump to any place of it, an instruction that names one, a word of memory, an entry of a table
that counts from its own address (to which who names the table leads) or from the table's, code before it that goes on
into it. All of it is looked for by bytes; a branch that is none is told by decoding the function that has it. Where a
function starts and ends is what the unwinder is told (`binsafe.formats.eh_frame`). Code of which it is told nothing is
alive, and so are parts that were split off from a function: exceptions may be caught there, as only the unwinder knows.

musl has a file for each function, and Rust's linker leaves out what is not used: there is nothing to be found in these.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import accumulate

import numpy as np

from binsafe.formats.eh_frame import Frames, frames
from binsafe.model import Slice
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.returns import returns
from binsafe.syscalls.dataflow.wrappers import Number
from binsafe.syscalls.decoding.decode import JUNK, Instruction
from binsafe.syscalls.glibc import is_static_glibc
from binsafe.syscalls.machines.machine import Addresses, Flow
from binsafe.syscalls.sets import among, distinct

_MOST = 128
"""Functions that lead to one, and on to these, after which it counts as alive."""
_ENTRIES, _MIXED = 1024, 16
"""Entries of a table that are read, and how many of them though there is one that leads to no code."""
_SHORT_REACH = 130
"""How far from a function a jump with one byte of displacement can lie."""
_BEGINNING = 2
"""Bytes of a function to which any number in memory leads that can be meant so: for the unwinder ``__restore_rt``
begins one byte early. What leads further in is a pointer that is no entry of the function's own table of jumps."""
_PIECE = 1 << 20
"""Bytes of memory that are looked at at once."""
_GAP = 1 << 4
"""Bytes between functions that can be padding; what is longer may be code of which the unwinder is not told.
Shorter ones count as a part of the function behind them, into which they go on."""
_WORD = 8
_DISTANCE = re.compile(r"\[rip ([+-]) (0x[0-9a-f]+|\d+)\]")


def needed(program: Program, found: Iterable[Number]) -> set[Number]:
    """The numbers without those that only dead functions pass.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    kept = set(found)
    static = program.slice.linkage in {"static", "static-pie"} and program.machine.arch == "x86_64"
    if not static or program.go is not None or not is_static_glibc(program.slice.data):
        return kept
    known = frames(program.slice)
    if known is None:
        return kept
    search = _Search(program, known)
    return {number for number in kept if not search.is_dead(number.address)}


class _Search:
    def __init__(self, program: Program, known: Frames) -> None:
        self._program = program
        self._extents = known.extents
        self._starts = [extent.start for extent in known.extents]
        self._reach = list(accumulate((extent.end for extent in known.extents), max))
        self._dead: dict[int, bool] = {}
        self._regions: dict[int, Region] = {}
        self._sure: dict[int, bool] = {}
        self._pie = bool(program.slice.traits.get("pie"))
        self._alive = np.sort(np.array([program.slice.entry, *known.personalities], np.int64))
        self._pointed = self._in_data()
        targets, slots = self._pointers()
        order = np.argsort(targets, kind="stable")
        self._targets, self._slots = targets[order], slots[order]
        self._tables, self._jumped = self._through_tables(self._named_by_code())
        _, held = self._through_tables(program.pointers.targets)
        self._pointed = distinct(np.concatenate([self._pointed, held]))

    def is_dead(self, address: int) -> bool:
        """Whether the function that holds an address can never run."""
        first = self._holding(address)
        if first is None:
            return False
        if first not in self._dead and self._is_root(first):
            self._dead[first] = False
        elif first not in self._dead:
            self._follow(first)
        return self._dead[first]

    def _follow(self, first: int) -> None:
        """Go back from a function over all that leads to it, until something is met that is alive."""
        led_from: dict[int, int | None] = {first: None}
        work = [first]
        while work:
            at = work.pop()
            for leading in self._leading(at) if len(led_from) <= _MOST else (None,):
                if leading is None or self._dead.get(leading) is False or self._is_root(leading):
                    self._dead.update(dict.fromkeys(_chain(led_from, at), False))
                    return
                if leading not in led_from and leading not in self._dead:
                    led_from[leading] = at
                    work.append(leading)
        self._dead.update(dict.fromkeys(led_from, True))

    def _holding(self, address: int) -> int | None:
        """The number of the function that holds an address; None where none does, or several may."""
        at = bisect_right(self._starts, address) - 1
        outside = at < 0 or address >= self._extents[at].end
        return None if outside or (at and self._reach[at - 1] > self._starts[at]) else at

    def _is_root(self, at: int) -> bool:
        """Whether a function is alive whatever code leads to it, or it cannot be told what does."""
        start, end, whole, _ = self._extents[at]
        begin = self._begin(at)
        led = _any_within(self._alive, begin, end) or _any_within(self._pointed, begin, start + _BEGINNING)
        known = whole and self._holding(start) is not None and not self._program.exported(start)
        return led or not known or self._is_pointed_into(start, end)

    def _begin(self, at: int) -> int:
        """Where the padding before a function begins, or what looks like it; where it does itself if it has none."""
        start, before = self._extents[at].start, self._reach[at - 1] if at else 0
        return before if 0 <= start - before < _GAP else start

    def _is_pointed_into(self, start: int, end: int) -> bool:
        """Whether pointers lead between a function's instructions that only others know, or nobody."""
        first, last = np.searchsorted(self._targets, (start + _BEGINNING, end)).tolist()
        slots = [slot for slot in self._slots[first:last].tolist() if self._holding(slot) is None]
        return not all(self._is_own(begin, stop, start, end) for begin, stop in _runs(sorted({*slots})))

    def _is_own(self, begin: int, stop: int, start: int, end: int) -> bool:
        """Whether a table of pointers is named by one function alone, and from its first on."""
        first = any(start <= source < end for source in self._naming(begin, begin + 1))
        return first and all(start <= source < end for source in self._naming(begin, stop))

    @cached_property
    def _named(self) -> tuple[Addresses, Addresses]:
        """What four bytes of code may name where the program is loaded to fixed addresses, and where they stand."""
        segments = () if self._pie else self._program.slice.segments
        lowest = min((each.address for each in segments), default=0)
        highest = max((each.address + each.memory_size for each in segments), default=0)
        targets, sources = [self._targets[:0]], [self._targets[:0]]
        for code in self._program.code.ranges:
            for at in range(0, max(0, len(code.data) - 3), _PIECE):
                words = _words(code.data, at) & 0xFFFF_FFFF
                inside = np.flatnonzero((words >= lowest) & (words < highest))
                targets.append(words[inside])
                sources.append(inside + (code.address + at))
        found = np.concatenate(targets)
        order = np.argsort(found, kind="stable")
        return found[order], np.concatenate(sources)[order]

    def _leading(self, at: int) -> Iterator[int | None]:
        """The functions that lead to one; None for what is alive, or not known."""
        start, end, *_ = self._extents[at]
        for source in self._sources(self._begin(at), end):
            if not start <= source < end:
                yield self._holding(source)
        yield from self._before(at)

    def _sources(self, start: int, end: int) -> Iterator[int]:
        """Where code stands that leads to a range, or names it."""
        program = self._program
        around = program.code.range_of(start)
        first = start - _SHORT_REACH if around is None else max(around.address, start - _SHORT_REACH)
        for index in (program.calls, program.jumps):
            yield from (source for source, target in index.into(start, end) if self._leads(source, target))
        for begin, stop in ((first, start), (end, end + _SHORT_REACH)):
            for source, target in program.machine.short_jumps_of_few(program.code.read(begin, stop), begin):
                if start <= target < end and self._leads(source, target):
                    yield source
        yield from self._naming(start, end)
        begin, stop = np.searchsorted(self._jumped, (start, end)).tolist()
        for table in distinct(self._tables[begin:stop]).tolist():
            yield from self._naming(table, table + 1)

    def _naming(self, start: int, end: int) -> Iterator[int]:
        """Where an instruction names a place: by its distance, or in programs at fixed addresses by four bytes."""
        for source, _, _ in self._program.references.into(start, end):
            instruction = self._instruction(source)
            if instruction is None or instruction.address == source or "[rip" in instruction.operands:
                yield source
        first, last = np.searchsorted(self._named[0], (start, end)).tolist()
        for source in self._named[1][first:last].tolist():
            instruction = self._instruction(source)
            if instruction is None or source + 4 <= instruction.address + instruction.size:
                yield source

    def _leads(self, source: int, target: int) -> bool:
        """Whether a branch stands where bytes look like one; where nothing is known of the code it counts as one."""
        instruction = self._instruction(source)
        return instruction is None or instruction.operands == hex(target)

    def _instruction(self, address: int) -> Instruction | None:
        """The instruction that has a byte; None where that cannot be told, or no function is known to hold it."""
        region = self._region(address)
        return None if region is None or not self._is_sure(region) else _at(region, address)

    def _is_sure(self, region: Region) -> bool:
        """Whether what leads into a function leads to instructions as they were decoded, so that it holds no data."""
        if region.start not in self._sure:
            led = (target for target in self._led_into(region) if region.at(target) is None)
            decoded = JUNK not in region.instructions.names
            self._sure[region.start] = decoded and all(_is_behind_lock(_at(region, target), target) for target in led)
        return self._sure[region.start]

    def _led_into(self, region: Region) -> Iterator[int]:
        """The places of a function to which pointers and code lead, as far as this was decoded as it is meant."""
        start, end, program = region.start, region.end, self._program
        first, last = np.searchsorted(self._targets, (start, end)).tolist()
        yield from self._targets[first:last].tolist()
        yield from (target for _, target in region.astray)
        for index in (program.calls, program.jumps):
            for source, target in index.into(start, end):
                instruction = _at(self._region(source), source)
                if instruction is None or instruction.operands == hex(target):
                    yield target
        for source, target, _ in program.references.into(start, end):
            instruction = _at(self._region(source), source)
            if instruction is None or _names(instruction, target):
                yield target

    def _region(self, address: int) -> Region | None:
        """The function that holds an address, decoded."""
        at = self._holding(address)
        if at is None:
            return None
        if at not in self._regions:
            start, end, *_ = self._extents[at]
            code = self._program.decoder.sweep(self._program.code.read(start, end), start)
            self._regions[at] = Region(self._program.machine, start, code, anchored=True)
        return self._regions[at]

    def _before(self, at: int) -> Iterator[int | None]:
        """The function before, where it goes on into this one; None where that cannot be told."""
        start, before = self._extents[at].start, self._extents[at - 1] if at else None
        if before is None or before.end > start or start - before.end >= _GAP:
            yield None
            return
        region = self._region(before.start)
        last = -1 if region is None else len(region.instructions) - 1
        flow, target = (Flow.NEXT, None) if region is None or last < 0 else region.flow(last)
        falls = flow in {Flow.NEXT, Flow.BRANCH} or (flow is Flow.CALL and returns(self._program, target))
        if region is None or falls or not self._is_sure(region):
            yield at - 1

    def _in_data(self) -> Addresses:
        """All places of code that words in memory hold, or four bytes of data name, as they are or from their own."""
        program = self._program
        lowest = min((r.address for r in program.code.ranges), default=0)
        highest = max((r.end for r in program.code.ranges), default=0)
        found = [program.pointers.targets]
        pieces = ((start, data, at) for start, data in self._data() for at in range(0, max(0, len(data) - 3), _PIECE))
        for start, data, at in pieces:
            words = _words(data, at)
            absolute = words[:0] if self._pie else words & 0xFFFF_FFFF
            places = np.concatenate([absolute, words + np.arange(start + at, start + at + len(words))])
            found.append(places[(places >= lowest) & (places < highest)])
        return distinct(np.concatenate(found))

    def _pointers(self) -> tuple[Addresses, Addresses]:
        """(places of code, where pointers to them stand): of packed structures at odd addresses, too."""
        program = self._program
        targets, slots = [program.pointers.targets], [program.pointers.slots]
        for start, data in () if self._pie else self._data():
            for at in range(0, max(0, len(data) - 7), _PIECE):
                words = _words(data, at, _WORD)
                inside = np.flatnonzero(program.in_code(words))
                targets.append(words[inside])
                slots.append(inside + (start + at))
        return np.concatenate(targets), np.concatenate(slots)

    def _data(self) -> Iterator[tuple[int, bytes]]:
        """Loaded memory that is neither code nor what the unwinder is told, with its address."""
        slice_ = self._program.slice
        told = [section for name in (".eh_frame", ".eh_frame_hdr") if (section := slice_.section(name)) is not None]
        spans = [(r.address, r.end) for r in self._program.code.ranges]
        spans += [(section.address, section.address + section.size) for section in told]
        for segment in slice_.segments:
            at, end = segment.address, segment.address + segment.file_size
            for first, last in (*sorted(spans), (end, end)):
                if at < min(first, end):
                    yield at, slice_.read(at, min(first, end) - at)
                at = max(at, min(last, end))

    def _named_by_code(self) -> Addresses:
        return np.concatenate([self._program.references.targets, self._named[0]])

    def _through_tables(self, named: Addresses) -> tuple[Addresses, Addresses]:
        """(tables, places of code) to which entries of four bytes lead that count from their table, by place."""
        bases = distinct(named[named >= 0])
        inside = self._program.in_code(bases).tolist()
        bases = bases[
            [not code or self._holding(base) is None for base, code in zip(bases.tolist(), inside, strict=True)]
        ]
        tables, places, before = [bases[:0]], [bases[:0]], bases[:0]
        for entry in range(_ENTRIES):
            bases, numbers = _numbers(self._program.slice, bases, 4 * entry)
            led = self._program.in_code(bases + numbers)
            tables.append(bases[led])
            places.append((bases + numbers)[led])
            if entry >= _MIXED:  # of entries of eight bytes every other four lead
                kept = led | among(bases, before)
                before, bases = bases[led], bases[kept]
            if not len(bases):
                break
        place = np.concatenate(places)
        order = np.argsort(place, kind="stable")
        return np.concatenate(tables)[order], place[order]


def _at(region: Region | None, address: int) -> Instruction | None:
    """The instruction that has a byte, as it was decoded."""
    at = -1 if region is None else bisect_right(region.instructions.addresses, address) - 1
    return None if region is None or at < 0 else region.instructions[at]


def _names(instruction: Instruction, target: int) -> bool:
    """Whether an instruction names an address by its distance."""
    named = _DISTANCE.search(instruction.operands)
    distance = 0 if named is None else int(named[1] + named[2], 0)
    return named is not None and instruction.address + instruction.size + distance == target


def _is_behind_lock(instruction: Instruction | None, target: int) -> bool:
    """Whether a place is that of an instruction without its ``lock``, over which programs of one thread jump."""
    locked = instruction is not None and instruction.mnemonic.startswith("lock ")
    return locked and instruction is not None and target == instruction.address + 1


def _chain(led_from: Mapping[int, int | None], at: int | None) -> Iterator[int]:
    """A function, and those to which it leads on the way to the first."""
    while at is not None:
        yield at
        at = led_from[at]


def _runs(slots: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Where words that follow each other begin and end, of some in ascending order."""
    begin = stop = None
    for slot in slots:
        if slot != stop:
            if begin is not None and stop is not None:
                yield begin, stop
            begin = slot
        stop = slot + _WORD
    if begin is not None and stop is not None:
        yield begin, stop


def _words(data: bytes | memoryview, at: int, size: int = 4) -> Addresses:
    """Four or eight bytes from each place of a piece on, as numbers with a sign."""
    count = min(_PIECE, len(data) - size + 1 - at)
    return np.ndarray((count,), np.dtype(f"<i{size}"), buffer=data, offset=at, strides=(1,)).astype(np.int64)


def _any_within(addresses: Addresses, start: int, end: int) -> bool:
    first, last = np.searchsorted(addresses, (start, end)).tolist()
    return bool(first < last)


def _numbers(slice_: Slice, addresses: Addresses, offset: int) -> tuple[Addresses, Addresses]:
    """Those of some addresses behind which four bytes are stored so far away, and these as numbers with a sign."""
    file = np.frombuffer(slice_.data, np.uint8)
    kept, found = [addresses[:0]], [addresses[:0]]
    for segment in slice_.segments:
        distance = addresses + offset - segment.address
        inside = addresses[(distance >= 0) & (distance + 4 <= segment.file_size)]
        at = inside + (offset - segment.address + segment.offset)
        inside, at = inside[at + 4 <= len(file)], at[at + 4 <= len(file)]
        kept.append(inside)
        found.append(file[at[:, None] + np.arange(4)].view("<i4").astype(np.int64).reshape(-1))
    return np.concatenate(kept), np.concatenate(found)
