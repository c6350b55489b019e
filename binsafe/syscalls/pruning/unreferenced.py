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
from itertools import accumulate, chain

import numpy as np

from binsafe.formats.eh_frame import Extent, Frames, frames
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.returns import returns
from binsafe.syscalls.dataflow.wrappers import Number
from binsafe.syscalls.decoding.decode import JUNK, Instruction
from binsafe.syscalls.glibc import is_static_glibc
from binsafe.syscalls.machines.machine import Addresses, Flow
from binsafe.syscalls.pruning import memory, name_services
from binsafe.syscalls.sets import distinct

_MOST = 128
"""Functions that lead to one, and on to these, after which it counts as alive."""
_SHORT_REACH = 130
"""How far from a function a jump with one byte of displacement can lie."""
_BEGINNING = 2
"""Bytes of a function to which any number in memory leads that can be meant so: for the unwinder ``__restore_rt``
begins one byte early. What leads further in is a pointer that is no entry of the function's own table of jumps."""
_GAP = 1 << 4
"""Bytes between functions that can be padding; what is longer may be code of which the unwinder is not told.
Shorter ones count as a part of the function behind them, into which they go on."""
_BEFORE = 5
_TEXT = re.compile(rb"[ -~]{%d}\0{%d}" % (_BEFORE + 3, memory.WORD - 3))
"""The end of a text with what fills up behind it: no pointer into a function, and characters before it."""
_ROUND = 1 << 16
"""What is divisible by that and not aligned is the upper half of a number, as of a wide character."""
_NUMBER = re.compile(r"0x[0-9a-f]+")
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
        self._ends = np.array([extent.end for extent in known.extents], np.int64)
        self._reach = list(accumulate((extent.end for extent in known.extents), max))
        self._dead: dict[int, bool] = {}
        self._regions: dict[int, Region] = {}
        self._sure: dict[int, bool] = {}
        self._unasked: Extent | None = None
        self._alive = np.sort(np.array([program.slice.entry, *known.personalities], np.int64))
        self._targets, self._slots = memory.pointers(program)
        self._named, self._naming_at = memory.named(program)
        references = np.concatenate([program.references.targets, self._named])
        self._unasked = name_services.unasked(program, known, self._naming)
        self._tables, self._jumped = memory.through_tables(program, references, self._is_held)
        _, held = memory.through_tables(program, self._targets, self._is_held)
        self._pointed = distinct(np.concatenate([memory.in_data(program, self._jump_tables()), held]))

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

    def _jump_tables(self) -> Addresses:
        """Where entries of tables of jumps stand: one function names the table, and is what they lead into."""
        references = self._program.references
        tables = np.concatenate([references.targets, self._named])
        naming = self._functions(np.concatenate([references.sources, self._naming_at]))
        order = np.argsort(tables, kind="stable")
        order = order[self._functions(tables[order]) < 0]
        tables, naming = tables[order], naming[order]
        first = np.flatnonzero(np.diff(tables, prepend=-1))
        if not len(first):
            return tables
        least, most = np.minimum.reduceat(naming, first), np.maximum.reduceat(naming, first)
        own = (least == most) & (least >= 0)
        begins = np.array(self._starts, np.int64)[least[own]]
        return memory.entries_inside(self._program, tables[first][own], begins, self._ends[least[own]])

    def _functions(self, addresses: Addresses) -> Addresses:
        """The number of the function that holds each address, or -1."""
        at = np.searchsorted(np.array(self._starts, np.int64), addresses, "right") - 1
        return np.where((at >= 0) & (addresses < self._ends[at]), at, -1)

    def _holding(self, address: int) -> int | None:
        """The number of the function that holds an address; None where none does, or several may."""
        at = bisect_right(self._starts, address) - 1
        outside = at < 0 or address >= self._extents[at].end
        return None if outside or (at and self._reach[at - 1] > self._starts[at]) else at

    def _is_held(self, address: int) -> bool:
        return self._holding(address) is not None

    def _is_root(self, at: int) -> bool:
        """Whether a function is alive whatever code leads to it, or it cannot be told what does."""
        start, end, whole, *_ = self._extents[at]
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
        slots = [
            slot
            for slot, target in self._pointers(start + _BEGINNING, end)
            if self._holding(slot) is None and (slot % memory.WORD == 0 or self._may_lead_to(target))
        ]
        return not all(self._is_own(begin, stop, start, end) for begin, stop in _runs(sorted({*slots})))

    def _pointers(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(where it stands, where it leads) of each pointer into a range, but for what only looks like one."""
        first, last = np.searchsorted(self._targets, (start, end)).tolist()
        led = zip(self._slots[first:last].tolist(), self._targets[first:last].tolist(), strict=True)
        for slot, target in led:
            by_chance = slot % memory.WORD != 0 and target % _ROUND == 0
            if not by_chance and not _TEXT.fullmatch(self._program.slice.read(slot - _BEFORE, memory.WORD + _BEFORE)):
                yield slot, target

    def _may_lead_to(self, place: int) -> bool:
        """Whether control may come to a place: not into the middle of an instruction."""
        instruction = self._instruction(place)
        return instruction is None or instruction.address == place

    def _is_own(self, begin: int, stop: int, start: int, end: int) -> bool:
        """Whether a table of pointers is named by one function alone, and from its first on."""
        first = any(start <= source < end for source in self._naming(begin, begin + 1))
        return first and all(start <= source < end for source in self._naming(begin, stop))

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
                yield from () if self._is_unasked(source) else (source,)
        first, last = np.searchsorted(self._named, (start, end)).tolist()
        for source, place in zip(self._naming_at[first:last].tolist(), self._named[first:last].tolist(), strict=True):
            instruction = self._instruction(source)
            if instruction is None or (_holds(instruction, source, place) and self._may_lead_to(place)):
                yield source

    def _is_unasked(self, source: int) -> bool:
        """Whether a function is named there for a table in which nobody looks for it."""
        return self._unasked is not None and self._unasked.start <= source < self._unasked.end

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
            led, decoded = self._led_between(region), JUNK not in region.instructions.names
            self._sure[region.start] = decoded and all(_is_behind_lock(_at(region, target), target) for target in led)
        return self._sure[region.start]

    def _led_between(self, region: Region) -> Iterator[int]:
        """The places between a function's instructions to which pointers lead, and code where that is decoded."""
        start, end, program = region.start, region.end, self._program
        for slot, target in self._pointers(start, end):
            if region.at(target) is None and slot % memory.WORD == 0:
                yield target
        yield from (target for _, target in region.astray)
        for source, target in chain(program.calls.into(start, end), program.jumps.into(start, end)):
            if region.at(target) is None:  # asked first: to decode what leads elsewhere takes longest
                instruction = _at(self._region(source), source)
                if instruction is None or instruction.operands == hex(target):
                    yield target
        for source, target, _ in program.references.into(start, end):
            if region.at(target) is None:
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


def _at(region: Region | None, address: int) -> Instruction | None:
    """The instruction that has a byte, as it was decoded."""
    at = -1 if region is None else bisect_right(region.instructions.addresses, address) - 1
    return None if region is None or at < 0 else region.instructions[at]


def _names(instruction: Instruction, target: int) -> bool:
    """Whether an instruction names an address by its distance."""
    named = _DISTANCE.search(instruction.operands)
    distance = 0 if named is None else int(named[1] + named[2], 0)
    return named is not None and instruction.address + instruction.size + distance == target


def _holds(instruction: Instruction, source: int, place: int) -> bool:
    """Whether four bytes of an instruction are a number of it."""
    inside = source + 4 <= instruction.address + instruction.size
    return inside and hex(place) in _NUMBER.findall(instruction.operands)


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
        stop = slot + memory.WORD
    if begin is not None and stop is not None:
        yield begin, stop


def _any_within(addresses: Addresses, start: int, end: int) -> bool:
    first, last = np.searchsorted(addresses, (start, end)).tolist()
    return bool(first < last)
