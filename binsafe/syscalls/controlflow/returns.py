"""Does a function ever return? What stands behind a call that does not is no way to anything."""

from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import Flow

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

GO_NEVER_RETURN = frozenset(
    {"runtime.gopanic", "runtime.throw", "runtime.fatal", "runtime.fatalpanic", "runtime.fatalthrow"}
)
"""Go's runtime puts a store through a nil pointer and a return behind their last call, which is not reached
(``runtime/panic.go``); what else never returns ends in one of these. Names are the program's own word: one that lies
about them is only denied the calls it hides.
"""
_MAX_DEPTH = 8
"""Calls within calls that are looked at; Go's bounds-check failures reach their trap after five."""


def returns(program: "Program", address: int | None) -> bool:
    """False only where every way from ``address`` on ends in a trap or in a call that does not return."""
    return _returns(program, address, {}, _MAX_DEPTH)


def _returns(program: "Program", address: int | None, known: dict[int, bool], depth: int) -> bool:
    place = None if address is None else program.place(address)
    if place is None or depth == 0:
        return True
    if program.go_name(place.address) in GO_NEVER_RETURN:
        return False
    if place.address not in known:
        known[place.address] = True  # a function that calls itself, while it is looked at
        known[place.address] = _reaches_return(program, place, known, depth - 1)
    return known[place.address]


def _reaches_return(program: "Program", start: Place, known: dict[int, bool], depth: int) -> bool:
    region = start.region
    seen: set[int] = set()
    work = [start.at]
    while work:
        at = work.pop()
        if at in seen:
            continue
        seen.add(at)
        if _leaves(region, at):
            return True
        flow, target = region.flow(at)
        work += region.landing(at)
        if flow is Flow.TRAP or (flow is Flow.CALL and not _returns(program, target, known, depth)):
            continue
        if flow in {Flow.JUMP, Flow.BRANCH}:
            inside = region.at(target)
            if inside is not None:
                work.append(inside)
            elif _returns(program, target, known, depth):
                return True
        if flow is not Flow.JUMP:
            if at + 1 == len(region.instructions):
                return True
            work.append(at + 1)
    return False


def _leaves(region: Region, at: int) -> bool:
    """Whether control leaves the function at an instruction, to its caller or to code that is not followed."""
    flow = region.leaving(at)
    returned = flow in {Flow.RETURN, Flow.INDIRECT, Flow.UNKNOWN} or (
        flow is Flow.CALL and _is_followed_by_loop(region, at)
    )
    return returned or region.is_thrown_out_of(at)


def _is_followed_by_loop(region: Region, call: int) -> bool:
    """Whether an endless loop stands behind a call, which is there for the processor to guess and is never run.

    Retpolines make indirect calls so: what is called changes the address to which it returns (Intel, "Retpoline: A
    Branch Target Injection Mitigation", 2018; ``-mindirect-branch=thunk``, ``-mretpoline``).
    """
    at = call + 1
    while at < len(region.instructions) and region.leaving(at) is Flow.NEXT:
        at += 1
    return at < len(region.instructions) and region.flow(at) == (Flow.JUMP, region.instructions.addresses[call + 1])
