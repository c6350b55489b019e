"""A function whose address is put into a register only to call it from there, as LLVM does for repeated calls."""

from collections.abc import Collection
from typing import NamedTuple

from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import Flow, Use

_LEAVES = frozenset({Flow.CALL, Flow.INDIRECT, Flow.RETURN})


class Uses(NamedTuple):
    """Indices of the calls and jumps through a register, and whether nothing else is done with what it holds."""

    calls: tuple[int, ...]
    nothing_else: bool


def uses(region: Region, at: int) -> Uses:
    """What is done with the address that the instruction at ``at`` completes in a register, if it does.

    The value is followed forwards until the register is filled anew, over every way inside of the region. Comparing it
    leads nowhere; where control leaves for elsewhere, the registers that it may be handed on in count as used.
    """
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
        if flow is Flow.INDIRECT:  # cases of a table may begin anywhere: what stands before one may go on into it
            nothing_else = nothing_else and through
            work += region.orphans
            continue
        work += region.following(here)  # behind calls, too: GCC knows what functions that it has seen keep (-fipa-ra)
    return Uses(tuple(found), nothing_else)


def _handed_on(region: Region, here: int) -> Collection[str]:
    """The registers that whoever control goes to may read."""
    flow, target = region.flow(here)
    leaves = flow in _LEAVES or (flow is Flow.JUMP and region.at(target) is None)
    returned = region.machine.returned if flow is Flow.RETURN else ()
    return (*returned, *region.machine.arguments) if leaves else ()
