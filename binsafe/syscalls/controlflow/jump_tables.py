"""The tables through which the indirect jumps of a region lead, on all ways to each jump.

Compilers merge jumps: of several ways to one each may read a table of its own, or name a label.
"""

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import Flow, Table

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
    """The table at the addresses that come to the jump: LLVM loads each before its loop, all into one register.

    It is whole where something else may come in that register, from memory or from elsewhere than the region.
    """
    if table.chosen is None or len(table.places) < 2:
        return table
    machine, instructions = region.machine, region.instructions
    named = {base: _taking(program, region, base) for base, _ in table.places}
    settings = {at: base for base, taking in named.items() for at in taking}
    registers = {machine.takes(instructions, at) for at in settings}
    register = registers.pop() if all(named.values()) and len(registers) == 1 else None
    if register is None:
        return table
    comes: set[int] = set()
    seen = {table.chosen[0]}
    work = [*seen]
    while work:
        here = work.pop()
        program.decoder.spend(_STEP_COST)
        if not here or here in region.pads or program.entries(Place(region, here)):
            return table
        for before in (*region.direct_predecessors(here), *known.get(here, ())):
            if before in settings:
                comes.add(settings[before])
            elif not _keeps(program, Place(region, before), register):
                return table
            elif before not in seen:
                seen.add(before)
                work.append(before)
    return table._replace(places=tuple(each for each in table.places if each[0] in comes))


def _taking(program: "Program", region: Region, address: int) -> set[int]:
    """The instructions of a region that take an address; a reference stands behind their prefix, if they have one."""
    within = range(region.start, region.end)
    sources = [source for source, _, _ in program.references.into(address, address + 1) if source in within]
    taking = (region.at(source) or region.at(source - 1) for source in sources)
    return {at for at in taking if at is not None}


def _keeps(program: "Program", place: Place, register: str) -> bool:
    """Whether an instruction leaves a register alone."""
    if program.machine.keeps(place.region.instructions, place.at, register):
        return True
    return place.region.flow(place.at)[0] is not Flow.CALL and program.sources(place, register) is None
