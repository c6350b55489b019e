"""The tables through which the indirect jumps of a region lead, on all ways to each jump.

Compilers merge jumps: of several ways to one each may read a table of its own, or name a label.
"""

from collections.abc import Collection, Container
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
_UNREAD = Table((), 4)


def tables_of(program: "Program", region: Region, known: Collection[int]) -> dict[int, Table] | None:
    """Indirect jump -> the table through which it leads; None where there is one whose entry is seen nowhere.

    ``known`` are the instructions to which tables lead: what a register holds there it does not from one way alone.
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
    return tables


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
