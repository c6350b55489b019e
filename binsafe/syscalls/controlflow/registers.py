"""A function whose address is put into a register only to call it from there, as LLVM does for repeated calls."""

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import JUMPS, Flow, Use

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_LEAVES = frozenset({Flow.CALL, Flow.INDIRECT, Flow.RETURN})


class Uses(NamedTuple):
    """Indices of the calls and jumps through a register, and whether nothing else is done with what it holds."""

    calls: tuple[int, ...]
    nothing_else: bool


def uses(program: "Program", place: Place) -> Uses:
    """What is done with the address that an instruction completes in a register, if it does.

    The value is followed forwards until the register is filled anew, over every way inside of the region. Comparing it
    leads nowhere; where control leaves for elsewhere, the registers that it may be handed on in count as used.
    """
    region, at = place
    machine, instructions = region.machine, region.instructions
    register = machine.takes(instructions, at)
    if register is None:
        return Uses((), nothing_else=False)
    nothing_else = True
    preserved = register in machine.preserved(go=False)
    found: list[int] = []
    seen: set[int] = set()
    work = [at + 1]
    while work:
        here = work.pop()
        if here in seen or here >= len(instructions):
            continue
        seen.add(here)
        if preserved:
            work += region.landing(here)
            nothing_else = nothing_else and not region.is_thrown_out_of(here)
        flow, _ = region.flow(here)
        through = flow in {Flow.CALL, Flow.INDIRECT} and instructions.operands(here).partition(", ")[0] == register
        use = Use.NONE if through else machine.use(instructions, here, register, at)
        if use is Use.FILLED:
            continue
        found += [here] * through
        nothing_else = nothing_else and use is Use.NONE and register not in _handed_on(region, here)
        if flow is Flow.INDIRECT:
            cases = _cases(program, region, here) if nothing_else and not through else ()
            nothing_else = nothing_else and (through or bool(cases))
            work += cases or region.orphans
            continue
        work += region.following(here)  # behind calls, too: GCC knows what functions that it has seen keep (-fipa-ra)
    return Uses(tuple(found), nothing_else)


def _cases(program: "Program", region: Region, here: int) -> list[int]:
    """All that a jump through a table leads to; nothing where that is not known or not all of it in the region.

    Cases that are not known may begin anywhere: what stands before one may go on into it.
    """
    cases = program.cases(region)
    if cases is None or here in cases.outside:
        return []
    return [case for case, jumps in cases.inside.items() if here in jumps]


def _handed_on(region: Region, here: int) -> Collection[str]:
    """The registers that whoever control goes to may read; parts of the function that lie elsewhere may read all."""
    flow, target = region.flow(here)
    machine, elsewhere = region.machine, flow in JUMPS and region.at(target) is None
    leaves = flow in _LEAVES or (flow is Flow.JUMP and elsewhere)
    returned = machine.returned if flow is Flow.RETURN else ()
    preserved = machine.preserved(go=False) if elsewhere else ()
    return (*returned, *preserved, *machine.arguments) if leaves else preserved
