"""Jump tables: where a computed jump of a region can lead."""

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.arithmetic import Operation, compute
from binsafe.syscalls.machines.machine import TAKEN, Flow, Location, Moved, Table

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_MAX_ENTRIES = 1024
"""Entries of a jump table that are read."""
_MAX_ROUNDS = 8
"""Tables of which each leads to the middle of the way to the next one."""
_WORD = 8
_TABLE_COST = 16
"""Reading a table takes as long as decoding so many instructions."""
_SEARCHED = 16
"""Instructions that are searched for a table's address while one is decoded."""
_LEADING = 64
"""Instructions on the only way to a table that are looked at for a comparison."""


class Cases(NamedTuple):
    """Where the tables of a region lead."""

    inside: Mapping[int, tuple[int, ...]]
    """Index of an instruction -> the jumps that lead there."""
    outside: frozenset[int]
    """The jumps that lead to other regions as well, such as the part of a function that seldom runs."""


class Switches:
    """The answers for one program, each looked for once."""

    def __init__(self, program: "Program") -> None:
        """``program`` is a weak reference, see there."""
        self._program = program
        self._found: dict[int, Cases | None] = {}

    def cases(self, region: Region) -> Cases | None:
        """See `Program.cases`."""
        if region.start not in self._found:
            self._found[region.start] = _through_tables(self._program, region)
        return self._found[region.start]

    def forget(self, start: int) -> None:
        """Drop what is known of the region that starts there: its bounds have changed."""
        self._found.pop(start, None)

    def forget_all(self) -> None:
        """Drop what is known of all regions."""
        self._found.clear()


def _through_tables(program: "Program", region: Region) -> Cases | None:
    """Where the jumps of a region lead through tables; None where a table could not be read.

    Nor is it told where the tables could not be read by which exceptions are caught in it.

    A table that other regions' jumps use, too, is not looked for.
    """
    if region.caught is None:
        return None
    if not region.indirect_jumps:
        return Cases({}, frozenset())
    tables: dict[int, Table] = {}
    for at in region.indirect_jumps:
        table = program.machine.table(region.instructions, at, program.undisturbed(Place(region, at), ()).at)
        places = 0 if table is None else len(table.places)
        program.decoder.spend(places * _TABLE_COST + len(region.instructions) // _SEARCHED)
        if table is not None:
            tables[at] = table
        elif region.frames[at].get(program.machine.stack) != 0:
            return None  # else the frame is gone: a call through a pointer, as the last thing that is done
    known = Cases({}, frozenset())
    for _ in range(_MAX_ROUNDS):
        found = _leading(program, region, tables, known.inside)
        if found is None or found == known:
            return found
        known = found
    return None


def _leading(program: "Program", region: Region, tables: Mapping[int, Table], known: Container[int]) -> Cases | None:
    """See `_through_tables`; ``known`` are indices to which tables lead as far as is known.

    A table may lead to the middle of the way on which another one's number is compared: then that says nothing.
    """
    found: dict[int, tuple[int, ...]] = {}
    outside: set[int] = set()
    begins = sorted({base for table in tables.values() for base, _ in table.places})
    for at, table in tables.items():
        limit = _limit(program, region, table, known)
        if limit is not None and limit > _MAX_ENTRIES:
            return None
        ends = sorted({*begins, *_next_named(program, table)}) if limit is None else begins
        targets = _targets(program, table, ends, _MAX_ENTRIES if limit is None else limit)
        inside = {index for target in targets if (index := region.at(target)) is not None}
        if not inside:
            return None
        if len(inside) < len(targets):
            outside.add(at)
        for index in inside:
            found[index] = (*found.get(index, ()), at)
    return Cases(found, frozenset(outside))


def _next_named(program: "Program", table: Table) -> Iterator[int]:
    """Where something else begins behind a table, as code says that takes its address.

    That is looked for where entries count instructions: they lead into the function wherever they are read, behind the
    table, too. (Of a Rust enum that has no other values the number of cases is compared nowhere.)
    """
    for base, _ in table.places if table.unit > 1 else ():
        named = program.references.into(base + 1, base + _MAX_ENTRIES * table.size)
        yield from (target for _, target, use in named if use == TAKEN)


def _targets(program: "Program", table: Table, begins: Sequence[int], most: int) -> set[int]:
    """The addresses that a table leads to: it ends where they are no code any more, or at the next of ``begins``."""
    found: set[int] = set()
    for base, origin in table.places:
        following = bisect_right(begins, base)
        size = most * table.size
        size = min(begins[following] - base, size) if following < len(begins) else size
        data = program.code.constants(base, size)
        if not data and table.size == _WORD:
            found.update(_pointed(program, range(base, base + size, _WORD)))
            continue
        kind = f"<{'i' if table.signed else 'u'}{table.size}"
        entries = np.frombuffer(data[: len(data) // table.size * table.size], kind).astype(np.int64)
        targets = entries * table.unit + origin
        outside = np.flatnonzero(~program.code.holds(targets))
        found.update(targets[: outside[0] if len(outside) else None].tolist())
    return found


def _pointed(program: "Program", slots: Iterable[int]) -> Iterator[int]:
    """Where words lead that the loader fills in, or that nobody keeps from being written: of labels in C, mostly."""
    for slot in slots:
        target = program.pointers.at(slot)
        if target is None or program.code.range_of(target) is None:
            return
        yield target


def _limit(program: "Program", region: Region, table: Table, entered: Container[int]) -> int | None:
    """How many entries a table has, by what is done on the only way to it with their number; None if that is unknown.

    Of an index of ``entered`` it is known that there are other ways to it.
    Of a number of which 32 bits are compared the others are taken to be zero, as compilers see to.
    """
    if table.chosen is None:
        return None
    at, held = table.chosen
    for _ in range(_LEADING):
        for position, operation in enumerate(held.operations, 1):
            if operation.name == "and" and operation.operand < _MAX_ENTRIES:
                return _count(operation.operand + 1, held.operations[position:])
        before = region.direct_predecessors(at)
        if not at or at in entered or len(before) != 1 or program.entries(Place(region, at)):
            return None
        place, follows = Place(region, before[0]), before[0] + 1 == at
        if (limit := _compared(program, place, held.location, taken=not follows)) is not None:
            return _count(limit, held.operations)
        sources = program.sources(place, held.location)
        at = place.at
        if sources is None and region.flow(at)[0] is not Flow.CALL:
            continue
        source = sources[0] if sources is not None and len(sources) == 1 else None
        if not isinstance(source, Moved):
            return None
        held = Moved(source.location, source.operations + held.operations)
    return None


def _compared(program: "Program", branch: Place, location: Location, *, taken: bool) -> int | None:
    """What a location's value is below, without a sign, where a branch is taken or not; None if nothing says that."""
    region, at = branch
    tested = program.machine.tested(region.instructions, at) if region.flow(at)[0] is Flow.BRANCH else None
    if tested is None or tested.limit is None or tested.registers != (location,) or tested.limit[0] != taken:
        return None
    between = range(tested.at, at)
    kept = all(program.sources(Place(region, index), location) is None for index in between)
    return tested.limit[1] if kept and not any(index + 1 in region.jumps_to for index in between) else None


def _count(numbers: int, operations: Sequence[Operation]) -> int:
    """How many entries there are for as many numbers, from zero on, after some operations on each."""
    return numbers if numbers > _MAX_ENTRIES else 1 + max((compute(n, operations) for n in range(numbers)), default=-1)
