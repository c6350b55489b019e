"""Functions of a static glibc program that nothing leads to: linkers take whole object files for one of them.

A function is dead where neither the start of the program, nor data, nor live code leads to it. What leads to it:

- a call or jump to any place in it, or an instruction that names such a place
- a word of memory that is an address in it
- an entry of a table of distances, counted from the entry or from the table's start; live is who names the table
- code before it that runs on into it

These are searched for in raw bytes, and decoding then tells the real ones from chance (`functions`). Starts and ends
of functions are those of the unwind tables (`binsafe.formats.eh_frame`). Code that has no entry there counts as live,
and so do parts that were split off from a function: only the unwinder leads to exception handlers in them.

musl has one object file for each function, and Rust's linker drops what is unused: nothing is to be gained in these.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import numpy as np

from binsafe.formats.eh_frame import Extent, Frames
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.returns import returns
from binsafe.syscalls.dataflow.wrappers import Number
from binsafe.syscalls.glibc import is_static_glibc
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.machines.machine import Flow
from binsafe.syscalls.pruning import memory, name_services
from binsafe.syscalls.pruning.functions import Functions
from binsafe.syscalls.sets import changes, distinct

_MOST = 128
"""Functions that lead to one, and on to these, after which it counts as alive."""
_BEGINNING = 2
"""Bytes of a function to which any number in memory leads that can be meant so: for the unwinder ``__restore_rt``
begins one byte early. What leads further in is a pointer that is no entry of the function's own table of jumps."""
_GAP = 1 << 4
"""Bytes between functions that can be padding; what is longer may be code of which the unwinder is not told.
Shorter ones count as a part of the function behind them, into which they go on."""


def needed(program: Program, found: Iterable[Number]) -> set[Number]:
    """The numbers without those that only dead functions pass.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    kept = set(found)
    static = program.slice.linkage in {"static", "static-pie"} and program.machine.arch == "x86_64"
    if not static or program.go is not None or not is_static_glibc(program.slice.data):
        return kept
    known = program.frames
    if known is None or not known.extents:
        return kept
    functions = Functions(program, known.extents)
    if _may_compute_any(program, functions):  # asked first: the search looks through all of the memory
        return kept
    search = _Search(program, known, functions)
    return {number for number in kept if not search.is_dead(number.address)}


def _may_compute_any(program: Program, functions: Functions) -> bool:
    """Whether code adds to the address of a function what is not known: that may be the address of any other."""

    def begins(source: int, base: int) -> bool:
        at = functions.holding(base)
        return at is not None and functions.extents[at].start == base and functions.holding(source) != at

    return any(program.taken.summed(begins))


class _Search:
    def __init__(self, program: Program, known: Frames, functions: Functions) -> None:
        self._program = program
        self._functions = functions
        self._dead: dict[int, bool] = {}
        self._unasked: Extent | None = None
        self._alive = np.sort(np.array([program.slice.entry, *known.personalities], np.int64))
        self._named, self._naming_at = memory.named(program)
        references = np.concatenate([program.references.targets, self._named])
        self._unasked = name_services.unasked(program, known, self._naming)
        self._tables, self._jumped = memory.through_tables(program, references, functions.are_held)
        _, held = memory.through_tables(program, functions.pointed, functions.are_held)
        named = memory.in_data(program, self._jump_tables())
        self._pointed = distinct(np.concatenate([named, functions.pointed, held]))

    def is_dead(self, address: int) -> bool:
        """Whether the function that holds an address can never run."""
        first = self._functions.holding(address)
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
        naming = self._functions.numbers(np.concatenate([references.sources, self._naming_at]))
        order = np.argsort(tables, kind="stable")
        order = order[self._functions.numbers(tables[order]) < 0]
        tables, naming = tables[order], naming[order]
        first = np.flatnonzero(changes(tables))
        if not len(first):
            return tables
        least, most = np.minimum.reduceat(naming, first), np.maximum.reduceat(naming, first)
        own = (least == most) & (least >= 0)
        begins, ends = self._functions.starts[least[own]], self._functions.ends[least[own]]
        return memory.entries_inside(self._program, tables[first][own], begins, ends)

    def _is_root(self, at: int) -> bool:
        """Whether a function is alive whatever code leads to it, or it cannot be told what does."""
        start, end, whole, *_ = self._functions.extents[at]
        begin = self._begin(at)
        led = _any_within(self._alive, begin, end) or _any_within(self._pointed, begin, start + _BEGINNING)
        known = whole and not self._program.exported(start)
        return led or not known or self._is_pointed_into(start, end)

    def _begin(self, at: int) -> int:
        """Where the padding before a function begins, or what looks like it; where it does itself if it has none."""
        start, before = self._functions.extents[at].start, self._functions.reach[at - 1] if at else 0
        return before if start - before < _GAP else start

    def _is_pointed_into(self, start: int, end: int) -> bool:
        """Whether pointers lead between a function's instructions that only others know, or nobody."""
        slots = [
            slot
            for slot, target in self._functions.pointers(start + _BEGINNING, end)
            if self._functions.holding(slot) is None
            and (slot % memory.WORD == 0 or self._functions.may_lead_to(target))
        ]
        return not all(self._is_own(begin, stop, start, end) for begin, stop in _runs(sorted({*slots})))

    def _is_own(self, begin: int, stop: int, start: int, end: int) -> bool:
        """Whether a table of pointers is named by one function alone, and from its first on."""
        first = any(start <= source < end for source in self._naming(begin, begin + 1))
        return first and all(start <= source < end for source in self._naming(begin, stop))

    def _leading(self, at: int) -> Iterator[int | None]:
        """The functions that lead to one; None for what is alive, or not known."""
        start, end, *_ = self._functions.extents[at]
        for source in self._sources(self._begin(at), end):
            if not start <= source < end:
                yield self._functions.holding(source)
        yield from self._before(at)

    def _sources(self, start: int, end: int) -> Iterator[int]:
        """Where code stands that leads to a range, or names it."""
        program = self._program
        incoming = program.calls.into(start, end), program.jumps.into(start, end)
        for source, target in chain(*incoming, program.incoming.short(start, end, from_inside=False)):
            if self._functions.leads(source, target):
                yield source
        yield from self._naming(start, end)
        begin, stop = np.searchsorted(self._jumped, (start, end)).tolist()
        for table in distinct(self._tables[begin:stop]).tolist():
            yield from self._naming(table, table + 1)

    def _naming(self, start: int, end: int) -> Iterator[int]:
        """Where an instruction names a place: by its distance, or in programs at fixed addresses by four bytes."""
        for source, _, _ in self._program.references.into(start, end):
            instruction = self._functions.instruction(source)
            if instruction is None or instruction.address == source or "[rip" in instruction.operands:
                yield from () if self._is_unasked(source) else (source,)
        first, last = np.searchsorted(self._named, (start, end)).tolist()
        for source, place in zip(self._naming_at[first:last].tolist(), self._named[first:last].tolist(), strict=True):
            if self._functions.names(source, place):
                yield source

    def _is_unasked(self, source: int) -> bool:
        """Whether a function is named there for a table in which nobody looks for it."""
        return self._unasked is not None and self._unasked.start <= source < self._unasked.end

    def _before(self, at: int) -> Iterator[int | None]:
        """The function before, where it goes on into this one; None where that cannot be told."""
        start, before = self._functions.extents[at].start, self._functions.extents[at - 1] if at else None
        begin = None if before is None or start - before.end >= _GAP else before.start
        region = None if begin is None else self._functions.region(begin)
        if region is None:
            yield None
            return
        last = len(region.instructions) - 1
        flow, target = (Flow.NEXT, None) if last < 0 else region.flow(last)
        falls = flow in {Flow.NEXT, Flow.BRANCH} or (flow is Flow.CALL and returns(self._program, target))
        if falls or not self._functions.is_sure(region):
            yield at - 1


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
