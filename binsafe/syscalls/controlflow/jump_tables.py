"""The tables through which the indirect jumps of a region lead, on all ways to each jump.

Compilers merge jumps: of several ways to one each may read a table of its own, or name a label.
"""

import re
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import JUMPS, Flow, Table, Use

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

TABLE_COST = 16
"""Reading a table takes as long as decoding so many instructions."""
_SEARCHED = 16
"""Instructions that are searched for a table's address while one is decoded."""
_MAX_WAYS = 16
"""Blocks before one jump in which its table is looked for."""
_STEP_COST = 10
"""To look at an instruction takes as long as decoding so many."""
_BEHIND_SUM = 4
"""Instructions within which the jump stands behind the sum of a table's address and an entry."""
_IN_MEMORY = re.compile(r"\[[^]]*\]")
_UNREAD = Table((), 4)


def tables_of(program: "Program", region: Region, known: Mapping[int, Sequence[int]]) -> dict[int, Table] | None:
    """Indirect jump -> the table through which it leads; None where there is one whose entry is seen nowhere.

    ``known`` are the instructions to which tables lead, and the jumps there: what a register holds behind those it does
    not from one way alone. Where no way is known yet on which a table's address comes to a jump, its table has no
    places.
    """
    tables: dict[int, Table] = {}
    for at in region.indirect_jumps:
        table = _table(program, region, at, known)
        places = 0 if table is None else len(table.places)
        program.decoder.spend(places * TABLE_COST + len(region.instructions) // _SEARCHED)
        if table is not None:
            tables[at] = table
        elif region.frames[at].get(program.machine.stack) != 0:
            return None  # unless the frame is gone: then it is a tail call through a pointer
    if len(tables) < len(region.indirect_jumps):
        return tables
    return {at: _reaching(program, region, table, known) for at, table in tables.items()}


def _table(program: "Program", region: Region, at: int, known: Container[int]) -> Table | None:
    """The table of an indirect jump: of several ways to it each has to read one, or to name a label of the region."""
    instructions = region.instructions
    register = instructions.operands(at).partition(", ")[0]
    found: list[Table] = []
    labels: set[int] = set()
    work = [(at, at)]
    for way in range(_MAX_WAYS):
        if not work:
            break
        last, end = work.pop()
        begin = program.undisturbed(Place(region, last), (), known).at
        table = program.machine.table(instructions, end, begin, register if way else None)
        if table is not None:
            found.append(table)
        elif named := _label(program, region, range(begin, end), register):
            labels |= named
        elif begin not in known and _is_passed(program, region, range(begin, end), register):
            work += ((before, before + 1) for before in region.direct_predecessors(begin))
        else:
            found.append(_UNREAD)
    if not labels and all(each is _UNREAD for each in found):
        return None
    if len(found) == 1 and not labels and not work:
        return found[0]
    kinds = {(each.size, each.unit, each.signed) for each in found}
    if work or len(kinds) > 1 or not all(each.places for each in found):
        return _UNREAD
    places = tuple(place for each in found for place in each.places)
    return (found[0] if found else _UNREAD)._replace(places=places, chosen=None, labels=(*labels,))


def _label(program: "Program", region: Region, block: range, register: str) -> set[int]:
    """The label of the region whose address instructions leave in a register; none where they leave anything else."""
    keeps, instructions = program.machine.keeps, region.instructions
    setting = next((at for at in reversed(block) if not keeps(instructions, at, register)), None)
    if setting is None or program.machine.takes(instructions, setting) != register:
        return set()
    named = {*program.named_at(Place(region, setting))}
    return named if all(region.at(address) is not None for address in named) else set()


def _is_passed(program: "Program", region: Region, block: range, register: str) -> bool:
    """Whether a register holds behind some instructions what it held where direct jumps of the region come to them."""
    before = region.direct_predecessors(block.start)
    if (
        not register.isalnum()
        or not before
        or block.start in region.pads
        or program.entries(Place(region, block.start))
    ):
        return False
    kept = all(program.machine.keeps(region.instructions, at, register) for at in block)
    return kept and all(region.leaving(at) is not Flow.CALL for at in before)


def _reaching(program: "Program", region: Region, table: Table, known: Mapping[int, Sequence[int]]) -> Table:
    """The table at the addresses that come to the jump: LLVM loads each before its loop, all into one register."""
    if table.chosen is None or len(table.places) < 2:
        return table
    loading, _ = table.chosen

    def comes(base: int) -> bool:
        sources = (source for source, _, _ in program.references.into(base, base + 1))
        here = (program.place(source) or program.place(source - 1) for source in sources)
        places = [place for place in here if place is not None and place.region.start == region.start]
        return not places or any(_comes(program, place, loading, known) for place in places)

    return table._replace(places=tuple(each for each in table.places if comes(each[0])))


def _comes(program: "Program", place: Place, loading: int, known: Mapping[int, Sequence[int]]) -> bool:
    """Whether the address that an instruction takes may still be in its register at another one of the region.

    Also where it is copied, and where control leaves the region by a jump: it may come back.
    """
    region, machine, instructions = place.region, place.region.machine, place.region.instructions
    register = machine.takes(instructions, place.at)
    if register is None:
        return True
    seen: set[int] = set()
    work = [place.at + 1]
    while work:
        here = work.pop()
        if here == loading or (here == len(instructions) and region.goes_on()):
            return True
        if here in seen or here >= len(instructions):
            continue
        seen.add(here)
        flow, target = region.flow(here)
        if flow in JUMPS and region.at(target) is None:
            return True
        use = machine.use(instructions, here, register, place.at)
        if use is Use.FILLED:
            continue
        if use is Use.OTHER and _is_copied(region, here, register):
            return True
        cases = (case for case, jumps in known.items() if here in jumps)
        work += cases if flow is Flow.INDIRECT else region.following(here)
        work += region.landing(here)
    program.decoder.spend(_STEP_COST * len(seen))
    return False


def _is_copied(region: Region, at: int, register: str) -> bool:
    """Whether an instruction puts what a register holds elsewhere, but for the sum that a table's jump leads to."""
    operands = region.instructions.operands(at)
    if region.instructions.names[at] != "lea":
        operands = _IN_MEMORY.sub("", operands)
    named = re.search(rf"\b{register}\b", operands) is not None
    sums = any(at < jump <= at + _BEHIND_SUM for jump in region.indirect_jumps)
    return named and not (sums and region.machine.adds(region.instructions, at, register))
