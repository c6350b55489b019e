"""What a register or stack slot may hold at a place of a region: where all of it comes from, followed back.

Only inside of the region: of what comes into it from elsewhere nothing is known here.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from binsafe.syscalls.controlflow.own_slots import is_own
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.controlflow.returns import comes_back
from binsafe.syscalls.machines.arithmetic import Operation, compute
from binsafe.syscalls.machines.machine import Constant, Flow, Location, Moved, Source, Unknown

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_STEP_COST = 10
"""To go a step back takes as long as decoding so many."""
_MAX_OPERATIONS = 8
"""Arithmetic on an address; a loop that counts it up has no end."""
_HALF = 4
PASSED, LOST = -1, -2
"""In place of an index: a parameter of the function; and what comes in another way from elsewhere than the region."""

Known = Mapping[int, Sequence[int]]
"""The instructions of a region to which its tables lead, and the jumps there, as far as is known by now."""


class End(NamedTuple):
    """Where a value comes from: the instruction that gives it, the value if it is known, and what was done to it."""

    at: int
    value: int | None = None
    operations: tuple[Operation, ...] = ()


def comes_from(program: "Program", region: Region, at: int, held: Moved, known: Known) -> list[End]:
    """Where all comes from that a location may hold before an instruction of a region."""
    ends: dict[End, None] = {}
    seen: set[tuple[int, Moved]] = set()
    work = [(at, held)]
    while work:
        at, held = work.pop()
        place = program.undisturbed(Place(region, at), (held.location,), known)
        program.decoder.spend(_STEP_COST + at - place.at)
        if (place.at, held) in seen:
            continue
        seen.add((place.at, held))
        ways = _ways(program, place, known) if len(held.operations) < _MAX_OPERATIONS else None
        if ways is None:
            ends[End(LOST if place.at else PASSED)] = None
        for before in ways or ():
            for source in _sources(program, place, Place(region, before), held.location, known):
                if isinstance(source, Moved):
                    work.append((before, Moved(source.location, source.operations + held.operations)))
                else:
                    value = compute(source.value, held.operations) if isinstance(source, Constant) else None
                    ends[End(before, value, () if value is not None else held.operations)] = None
    return [*ends]


def _ways(program: "Program", place: Place, known: Known) -> list[int] | None:
    """The instructions from which control comes to one; None where it may come from elsewhere than its own region."""
    region, at = place.region, place.at
    entries = program.entries(place)
    if not at or any(edge.place.region.start != region.start for edge in entries):
        return None
    inside = (edge.place.at for edge in entries)
    return [*region.direct_predecessors(at), *known.get(at, ()), *inside]


def _sources(program: "Program", target: Place, before: Place, location: Location, known: Known) -> Sequence[Source]:
    """Where a location's value comes from over an edge: nothing comes behind a call that does not return."""
    region, machine = target.region, program.machine
    flow = region.leaving(before.at)
    thrown = target.at in region.pads
    own = isinstance(location, int) and is_own(program, region, location, known)
    if flow is not Flow.CALL and not thrown:
        found = program.sources(before, location, own=own)
        other = program.sources(before, location + _HALF, own=own) if isinstance(location, int) else found
        half = (found is None) != (other is None)
        return (Unknown("set in parts of the stack slot"),) if half else found or (Moved(location),)
    preserved = own or location in machine.preserved(go=program.is_go(region))
    preserved = preserved and program.outlined.keeps(before, location)
    asked = not preserved or target.at in region.jumps_to or target.at in known or region.is_padding(target.at)
    if asked and not thrown and not comes_back(program, before):
        return ()
    return (Moved(location),) if preserved else (Unknown("what a function returned"),)
