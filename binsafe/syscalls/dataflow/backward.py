"""One step of a backward walk: where what a location holds came from, over one edge.

What is taken for granted: callees keep their convention's preserved registers; stack slots change only by instructions
that name them through the stack or frame pointer, in calls of what returns twice or names its caller's frame, and in
other calls and by stores through pointers where the address of an object was computed that may reach up to them. Where
a value comes from anything else it is unknown.
"""

from collections.abc import Iterable, Iterator

import msgspec

from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.controlflow.returns import comes_back
from binsafe.syscalls.dataflow.callees import disturbs
from binsafe.syscalls.machines.arithmetic import Operation
from binsafe.syscalls.machines.machine import Constant, Flow, Location, Moved, Source, Unknown


class Origin(msgspec.Struct, frozen=True):
    """What a location held before an edge, and where that was done or became unknown."""

    source: Source
    address: int


def all_ways(program: Program, place: Place) -> list[Place]:
    """The instructions from which control comes to one; none where it may come from elsewhere than its own region."""
    region, at = place.region, place.at
    tables = program.jumped_to(region)
    if not at or not region.anchored or tables is None or at in tables or program.entries(place):
        return []
    if any(program.taken.by_code(place.address)):
        return []
    return [Place(region, index) for index in region.direct_predecessors(at)]


def is_upper_half(held: Moved, operations: Iterable[Operation]) -> bool:
    """Whether of a stack slot not only the lower half matters, of which it is followed what writes there."""
    return isinstance(held.location, int) and any(operation.name == "shift-right" for operation in operations)


def before(program: Program, target: Place, edge: Edge, location: Location) -> Iterator[Origin]:
    """Where the value comes from that ``location`` holds just before ``target``, to which ``edge`` leads.

    What is `Moved` is held just before the edge's own instruction; nothing comes where nothing can come this way.
    """
    place = edge.place
    flow = place.region.leaving(place.at)
    if isinstance(location, int) and (edge.enters or place.region.start != target.region.start):
        moved = _slot_before(program, target, edge, location)
        if isinstance(moved, Origin):
            yield moved
            return
        location = moved
    thrown = edge.kind is Kind.CAUGHT
    called = thrown or (edge.kind is Kind.FLOW and flow is Flow.CALL)
    lost = _lost_in_call(program, place, location) if called else None
    # compilers fill up behind a call that does not return, as behind a jump, or put there what jumps lead to; to ask of
    # each call would cost too much
    apart = target.region.is_padding(target.at) or target.at in target.region.jumps_to
    asked = called and not thrown and (lost is not None or apart)
    if asked and not comes_back(program, place):
        return
    if lost is not None:
        yield Origin(lost, place.address)
        return
    if called and flow is Flow.CALL and isinstance(location, int) and disturbs(program, place, location):
        yield Origin(Unknown("on the stack, to which what was called writes or returns twice"), place.address)
    if edge.kind is Kind.FLOW and flow is Flow.BRANCH:
        value = _known_behind(program, target, place, location)
        if value is not None:
            yield Origin(Constant(value), place.address)
            return
    sources = None if called or flow is Flow.CALL else program.sources(place, location)
    for source in (Moved(location),) if sources is None else sources:
        yield Origin(source, place.address)


def _known_behind(program: Program, target: Place, branch: Place, location: Location) -> int | None:
    """What a location holds where a branch was taken, or not, because it holds just that; None if that is not said.

    Compilers use a register that was found to be zero where they need a zero, as the number of ``read``.
    """
    region, at = branch.region, branch.at
    taken = region.flow(at)[1] == target.address
    if isinstance(location, int) or taken == (target.at == at + 1):
        return None
    settled = program.machine.settled(region.instructions, at)
    if settled is None or settled.taken != taken or _jumped_between(region, settled.at, at):
        return None
    between = range(at - 1, settled.at, -1)
    if any(program.entries(Place(region, index)) for index in (at, *between)):
        return None
    return settled.value if _copied_from(program, region, between, location) == settled.register else None


def _copied_from(program: Program, region: Region, between: Iterable[int], location: Location) -> Location | None:
    """What held a location's value before some instructions, given backwards, which may copy it; None if it changed."""
    for index in between:
        sources = program.sources(Place(region, index), location)
        if sources is None:
            continue
        if len(sources) != 1 or not isinstance(sources[0], Moved) or sources[0].operations:
            return None
        location = sources[0].location
    return location


def _jumped_between(region: Region, first: int, last: int) -> bool:
    return any(index in region.jumps_to for index in range(first + 1, last + 1))


def _lost_in_call(program: Program, place: Place, location: Location) -> Unknown | None:
    """What a call makes of a location, whether it returns or throws; None if it leaves it alone."""
    if isinstance(location, int):
        if location < place.region.frames[place.at].get(program.machine.stack, location):
            return Unknown("below the end of the stack, where a function that was called writes")
        given_away = place.region.is_exposed(location) or not program.outlined.keeps(place, location)
        return Unknown("on the stack, where a function that was called may write") if given_away else None
    preserved = location in program.machine.preserved(go=program.is_go(place.region))
    return None if preserved and program.outlined.keeps(place, location) else Unknown("what a function returned")


def _slot_before(program: Program, target: Place, edge: Edge, slot: int) -> int | Origin:
    """A stack slot of the target's region as the source's region counts it; what it is where that cannot be told."""
    if slot < 0 and edge.kind is Kind.CALL:
        return Origin(Unknown("on the stack, put there through a pointer"), target.address)
    stack = program.machine.stack
    here = target.region.frames[target.at].get(stack)
    there = edge.place.region.frames[edge.place.at].get(stack)
    if here is None or there is None:
        return Origin(Unknown("on a stack whose height is not known"), edge.place.address)
    return slot - here + there - (program.machine.call_shift if edge.kind is Kind.CALL else 0)
