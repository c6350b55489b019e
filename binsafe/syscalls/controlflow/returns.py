"""Does a function ever return? What stands behind a call that does not is no way to anything."""

from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.glibc import ENDING, THREADS
from binsafe.syscalls.machines.machine import JUMPS, Flow

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

GO_NEVER_RETURN = frozenset(
    {"runtime.gopanic", "runtime.throw", "runtime.fatal", "runtime.fatalpanic", "runtime.fatalthrow"}
)
"""Go's runtime puts a store through a nil pointer and a return behind their last call, which is not reached
(``runtime/panic.go``); what else never returns ends in one of these. Names are the program's own word: one that lies
about them is only denied the calls it hides.
"""
_RESUMING = frozenset({"_Unwind_Resume"})
"""Which never returns (Itanium C++ ABI, Exception Handling, 1.2): compilers lay other code behind it."""
_MAX_DEPTH = 32
"""Calls within calls that are looked at; Rust's failures reach their trap after about a dozen, often in circles."""
_MAX_FUNCTIONS = 500
"""Functions that are looked at for one answer."""
_MAX_LOOKS = 8
"""How often all of them are looked at, as more of those that call each other are known to return."""


def returns(program: "Program", address: int | None) -> bool:
    """False only where every way from ``address`` on ends in a trap, a loop or a call that does not return.

    The least fixed point: functions that call each other return only if one of them has a way out on its own. What was
    found is kept for the next question, unless functions were left out.
    """
    returning: set[int] = set()
    limited = False
    for _ in range(_MAX_LOOKS):
        known = len(returning)
        asked = _Asked(program, returning)
        found = asked.returns(address, _MAX_DEPTH)
        limited = limited or asked.limited
        if found or not asked.in_circles or len(returning) == known:
            never = set() if found else asked.seen - returning
            program.returning.update({} if limited else dict.fromkeys(returning, True) | dict.fromkeys(never, False))
            return found
    return True


def comes_back(program: "Program", call: Place) -> bool:
    """Whether control may come back from a call: from the end of a landing pad it does not (``_Unwind_Resume``)."""
    return call.address not in program.slots.calls_of(_RESUMING) and returns(program, program.callee(call))


class _Asked:
    """One look at a function and what it calls. What is looked at already does not return, as far as is known yet."""

    def __init__(self, program: "Program", returning: set[int]) -> None:
        """``returning`` are the starts of functions that are known to return; those that are found to are added."""
        self._program = program
        self._returning = returning
        self.seen: set[int] = set()
        """The functions that were looked at."""
        self._open: set[int] = set()
        self.in_circles = False
        """Whether a function was met while it was looked at: what was said of those in between may be wrong."""
        self.limited = False
        """Whether a function was left out: what calls it may not return in truth."""

    def returns(self, address: int | None, depth: int) -> bool:
        place = None if address is None else self._program.place(address)
        if place is None or place.address in self._returning:
            return True
        if (kept := self._program.returning.get(place.address)) is not None:
            return kept
        if self._program.go_name(place.address) in GO_NEVER_RETURN or _is_ending(self._program, place.address):
            return False
        if place.address in self.seen:
            self.in_circles = self.in_circles or place.address in self._open
            return False
        if depth == 0 or len(self.seen) >= _MAX_FUNCTIONS:
            self.limited = True
            return True
        self.seen.add(place.address)
        self._open.add(place.address)
        found = self._reaches_return(place, depth - 1)
        self._open.discard(place.address)
        if found:
            self._returning.add(place.address)
        return found

    def _comes_back(self, call: Place, depth: int) -> bool:
        return not _is_ending(self._program, call.address) and self.returns(self._program.callee(call), depth)

    def _reaches_return(self, start: Place, depth: int) -> bool:
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
            if flow is Flow.TRAP or (flow is Flow.CALL and not self._comes_back(Place(region, at), depth)):
                continue
            if flow in JUMPS:
                inside = region.at(target)
                if inside is not None:
                    work.append(inside)
                elif self.returns(target, depth):
                    return True
            if flow is not Flow.JUMP:
                if at + 1 == len(region.instructions):
                    return True
                work.append(at + 1)
        return False


def _is_ending(program: "Program", address: int) -> bool:
    """Whether an address is the stub of `_RESUMING`, or of one of `ENDING` in the library that they are believed of."""
    names = _RESUMING | ENDING if program.slice.traits.get("soname") == THREADS else _RESUMING
    return address in program.slots.calls_of(names)


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
