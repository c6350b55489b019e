"""What becomes of a function's address that an instruction puts into a register.

LLVM loads an address once for several calls of the function. Where the register is only called through, whoever calls
the function is seen, and its address does not count as taken.
"""

from typing import TYPE_CHECKING, NamedTuple

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.controlflow.returns import returns
from binsafe.syscalls.machines.machine import JUMPS, Flow, Use

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_LEAVES = frozenset({Flow.CALL, Flow.INDIRECT, Flow.RETURN})
_STEP_COST = 10
"""To look at an instruction takes as long as decoding so many."""


class Uses(NamedTuple):
    """What is done with the address that a register holds."""

    calls: tuple[int, ...]
    """The calls and jumps through the register, by index."""
    nothing_else: bool
    """Whether these are all that is done with the address."""
    changed: bool = False
    """Whether another address may be made of it: in the register itself, or by adding something unknown to it."""


def uses(program: "Program", place: Place) -> Uses:
    """What is done with the address that the instruction at ``place`` completes; anything, where it completes none.

    The register is followed forwards on all ways inside of the region until it is overwritten. To compare the address
    is no use of it. Where control leaves the region, each register counts as used that the code behind may read.
    """
    register = place.region.machine.takes(place.region.instructions, place.at)
    found = _uses(program, place, ended=False)
    if found.nothing_else or not found.calls or register not in place.region.machine.preserved(go=False):
        return found
    ended = _uses(program, place, ended=True)  # which takes longer
    return ended if ended.nothing_else else found


def _uses(program: "Program", place: Place, *, ended: bool) -> Uses:
    """See `uses`; with ``ended`` no way goes on behind calls that never return, and none once there is another use."""
    region, at = place.region, place.at
    machine, instructions = region.machine, region.instructions
    register = machine.takes(instructions, at)
    if register is None:
        return Uses((), nothing_else=False)
    nothing_else, changed = True, False
    preserved = register in machine.preserved(go=False)
    found: list[int] = []
    seen: set[int] = set()
    called: set[int] = set()
    """Instructions behind calls that may return another value in the register: a change there is one of that value."""
    work = [at + 1]
    while work and (nothing_else or not ended):
        here = work.pop()
        if here == len(instructions) and region.goes_on():
            nothing_else, changed = False, True  # the code goes on where it is not looked at
        if here in seen or here >= len(instructions):
            continue
        seen.add(here)
        if preserved:
            work += region.landing(here)
            nothing_else = nothing_else and not region.is_thrown_out_of(here)
        flow, target = region.flow(here)
        through = flow in {Flow.CALL, Flow.INDIRECT} and instructions.operands(here).partition(", ")[0] == register
        changed = changed or (here not in called and machine.adds(instructions, here, register))
        use = Use.NONE if through else machine.use(instructions, here, register, at)
        if use is Use.FILLED:
            continue
        changed = changed or (here not in called and machine.changes(instructions, here, register))
        found += [here] * through
        nothing_else = nothing_else and use is Use.NONE and not _is_handed_on(region, here, register, through=through)
        if flow is Flow.INDIRECT:
            cases = _cases(program, region, here) if nothing_else and not through else ()
            nothing_else = nothing_else and (through or bool(cases))
            work += cases or region.orphans
            continue
        if ended and flow is Flow.CALL and not returns(program, target):
            continue
        if here in called or (flow is Flow.CALL and not preserved):
            called.update(region.following(here))
        work += region.following(here)  # behind calls, too: GCC knows what functions that it has seen keep (-fipa-ra)
    program.decoder.spend(_STEP_COST * len(seen))
    return Uses(tuple(found), nothing_else, changed)


def is_summed(program: "Program", place: Place) -> bool:
    """Whether something unknown is added to the address that the instruction at ``place`` completes, or to a copy."""
    region, at = place.region, place.at
    machine, instructions = region.machine, region.instructions
    register = machine.takes(instructions, at)
    seen: set[tuple[int, str]] = set()
    summed = False
    work = [] if register is None else [(at + 1, register)]
    while work and not summed:
        here, held = work.pop()
        if here >= len(instructions) or (here, held) in seen:
            summed = here == len(instructions) and region.goes_on()  # the code goes on where it is not looked at
            continue
        seen.add((here, held))
        summed = machine.adds(instructions, here, held)
        flow = region.leaving(here)
        gone = machine.use(instructions, here, held, at) is Use.FILLED
        gone = gone or (flow is Flow.CALL and held in machine.returned)
        locations = {machine.copied(instructions, here, held), None if gone else held} - {None}
        following = () if flow is Flow.INDIRECT else region.following(here)
        work += [(after, location) for after in following for location in locations if location is not None]
    program.decoder.spend(_STEP_COST * len(seen))
    return summed


def _cases(program: "Program", region: Region, here: int) -> list[int]:
    """The targets of a jump through a table; none where they are not known, or not all of them lie in the region."""
    cases = program.cases(region)
    if cases is None or here in cases.outside:
        return []
    return [case for case, jumps in cases.inside.items() if here in jumps]


def _is_handed_on(region: Region, here: int, register: str, *, through: bool) -> bool:
    """Whether the code to which an instruction leaves the region may read the register.

    Behind a jump may be a split-off part of the same function, which reads any register; so does a retpoline, which is
    called. A callee that is called ``through`` the register, and a return, lead to code that keeps to C's convention.
    """
    flow, target = region.flow(here)
    machine = region.machine
    if flow in JUMPS:
        return region.at(target) is None
    if flow is Flow.CALL and not through:
        return register not in machine.preserved(go=False)
    returned = flow is Flow.RETURN and register in machine.returned
    return returned or (flow in _LEAVES and register in machine.arguments)
