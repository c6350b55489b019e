"""Dominance across functions: does every path to an instruction, through callers too, pass certain others?"""

from collections.abc import Callable, Iterator

from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.returns import returns
from binsafe.syscalls.machines.machine import Flow

Passed = Callable[[Place], bool]
MAX_SEEN = 1_000
"""Instructions after which the answer is no."""
_ALIGNED = 16
"""Bytes to which functions are aligned."""
_WRAPPER = 6
"""Instructions up to the call of a function that does nothing else: it moves arguments, and the number."""


def always_passes(
    program: Program, place: Place, passed: Passed, *, callers_only: bool = False, most: int = MAX_SEEN
) -> bool:
    """Whether ways lead to an instruction, and on all of them one is met that is ``passed``.

    With ``callers_only`` that counts only in functions from which the instruction's own one is called, which must be a
    plain wrapper of it. What else leads to code than what is seen here counts as a way: the start of the program, an
    address that is taken. After ``most`` instructions the answer is no.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    own, met = 0, False
    seen: set[tuple[int, bool]] = set()
    work = [(place, not callers_only)]
    while work:
        here, counts = work.pop()
        if (here.address, counts) in seen:
            continue
        seen.add((here.address, counts))
        own += not counts
        if own > _WRAPPER:
            return False
        if counts and here.address != place.address and passed(here):
            met = True
            continue
        entries = program.entries(here)
        if len(seen) > most or _is_led_to_unseen(program, here, entries):
            return False
        work += [(edge.place, counts or edge.kind is Kind.CALL) for edge in entries]
        work += [(before, counts) for before in _before(program, here, entries)]
    return met


def _is_led_to_unseen(program: Program, place: Place, entries: list[Edge]) -> bool:
    """Whether control may come to an instruction in a way that is not seen here."""
    region, at = place.region, place.at
    if not region.anchored or place.address == program.slice.entry or program.jumped_to(region) is None:
        return True
    if program.may_be_gone_to(place):
        return True
    if at and not entries and not region.is_padding(at) and not any(_before(program, place, entries)):
        # what is no function's beginning either may be where an exception is caught
        return place.address % _ALIGNED != 0 or program.taken.at(place.address) is not None
    begins = not at or region.is_padding(at - 1) or _ends(program, place, entries)
    return begins and program.taken.at(place.address) is not None


def _before(program: Program, place: Place, entries: list[Edge]) -> Iterator[Place]:
    """The instructions of the region from which control comes."""
    region, at = place.region, place.at
    if at and not region.is_unreachable(at):
        ended, tables = _ends(program, place, entries), program.jumped_to(region) or {}
        inner = (*region.direct_predecessors(at), *tables.get(at, ()))
        yield from (Place(region, index) for index in inner if index != at - 1 or not ended)


def _ends(program: Program, place: Place, entries: list[Edge]) -> bool:
    """Whether what stands in front of an instruction and its padding is a call that does not return."""
    region, at = place.region, place.at
    behind = at - 1
    while behind > 0 and region.is_padding(behind):
        behind -= 1
    flow, target = region.flow(behind) if behind >= 0 else (Flow.NEXT, None)
    called = any(edge.kind is Kind.CALL for edge in entries)
    return flow is Flow.CALL and (called or (behind < at - 1 and not returns(program, target)))
