"""Addresses of data that code counts from the start of a function, ``lea rax, [rip + f]``: ``lea r9, [rax + rcx + n]``.

Assembler of video codecs holds one address for all of its tables (``filter_intra`` of dav1d and rav1e), also for those
of its jumps. Such a sum is no address of code where it counts from data, ``f + n``, and all that is done with it is to
read or write memory there, or to jump through a table that counts from there, too.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.held_values import comes_from
from binsafe.syscalls.controlflow.jump_tables import tables_of
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.arithmetic import Operation
from binsafe.syscalls.machines.machine import JUMPS, Flow, Moved, Use

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_STEP_COST = 10
"""To look at an instruction takes as long as decoding so many."""


def is_of_data(program: "Program", adding: Place, register: str) -> bool:
    """Whether what an instruction adds to the address that a register holds makes one of data of it."""
    region, at = adding.region, adding.at
    added = program.machine.sum_with(region.instructions, at, register)
    if added is None:
        return False
    to, distance = added
    counted = Moved(register, (Operation("add", distance),))
    bases = {end.value for end in comes_from(program, region, at, counted, program.switches.ways(region))}
    base = bases.pop() if len(bases) == 1 else None
    if base is None or program.code.range_of(base) is not None:
        return False
    return _is_only_read(program, adding, to, base)


def _is_only_read(program: "Program", adding: Place, register: str, base: int) -> bool:
    """Whether all that is done with a sum is to use memory there, or to jump through a table that counts from ``base``.

    It comes to no call, and out of its region only in registers in which a function returns nothing. Where a table was
    read beyond its end, code elsewhere seems to be led to as well: the sum is not followed there.
    """
    region, seen = adding.region, set[tuple[int, str]]()
    work = [(adding.at + 1, register)]
    while work:
        at, held = work.pop()
        if (at, held) in seen:
            continue
        seen.add((at, held))
        locations = _after(program, region, at, held, base) if at < len(region.instructions) else None
        following = _following(program, region, at) if locations else ()
        if locations is None or (locations and not following):
            return False
        program.decoder.spend(_STEP_COST)
        work += [(after, location) for after in following for location in locations]
    return True


def _after(program: "Program", region: Region, at: int, register: str, base: int) -> tuple[str, ...] | None:
    """The registers that hold a sum, or one made of it, behind an instruction; None where one does more than that."""
    machine, instructions = region.machine, region.instructions
    flow = region.leaving(at)
    use = machine.use(instructions, at, register, at, wide=bool(program.slice.traits.get("pie")))
    if use is Use.FILLED or (flow is Flow.RETURN and register not in machine.returned):
        return ()
    if flow is Flow.INDIRECT and instructions.operands(at) == register:
        return (register,) if _jumps_from(program, region, at, base) else None
    if use in {Use.NONE, Use.ACCESS}:
        return (register,)
    added, copy = machine.sum_with(instructions, at, register), machine.copied(instructions, at, register)
    to = added[0] if added is not None else copy
    return None if to is None or not to.isalnum() else (register, to)


def _jumps_from(program: "Program", region: Region, at: int, base: int) -> bool:
    """Whether a jump leads through tables that count from themselves, of which one begins at ``base``.

    What they name elsewhere is known, see `distances`: of other tables it is not.
    """
    table = tables_of(program, region, program.switches.ways(region)).get(at)
    places = () if table is None else table.places
    return (base, base) in places and all(begin == origin for begin, origin in places)


def _following(program: "Program", region: Region, at: int) -> Sequence[int]:
    """Where control goes behind an instruction; nowhere where it may leave the region, or go who knows where."""
    flow, target = region.flow(at)
    if flow is Flow.INDIRECT:
        jumped_to = program.jumped_to(region) or {}
        return [case for case, jumps in jumped_to.items() if at in jumps]
    leaves = flow is Flow.CALL or (flow in JUMPS and region.at(target) is None)
    return () if leaves else region.following(at)
