"""Code behind branches that always go the same way: by constants that all callers pass, or by what the kernel answers.

A C library chooses between calls by its arguments, and a program may pass only some: musl's ``pipe2`` makes ``pipe``
where there are no flags, and where the kernel has no ``pipe2`` (``src/unistd/pipe2.c``); its ``clock_nanosleep`` makes
``nanosleep`` for the usual clock (``src/time/clock_nanosleep.c``). The walk goes backward from a system call. At a
branch that compares registers it finds all values that they can hold, through callers as well. An edge that none of
them takes is not followed, nor is code that does not run for them (`constant_propagation`). A call is dead where every
path to it is cut in this way. An entry that the walk cannot follow counts as a path: an address that is taken, the
start of the program, a computed jump, a landing pad.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import product
from math import prod
from typing import NamedTuple

from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.controlflow.returns import returns
from binsafe.syscalls.dataflow.backward import before
from binsafe.syscalls.dataflow.wrappers import MAX_OPERATIONS, Number
from binsafe.syscalls.machines.arithmetic import Operation, compute
from binsafe.syscalls.machines.machine import Constant, Flow, Location, Moved
from binsafe.syscalls.pruning import constant_propagation
from binsafe.syscalls.pruning.fallbacks import Never
from binsafe.syscalls.tables import numbers

CHOSEN = frozenset(
    (
        "accept clock_nanosleep dup2 epoll_create eventfd gettimeofday inotify_init nanosleep pipe "
        "getrlimit prlimit64 sched_getaffinity sysinfo chdir close_range fchdir getpgid "
        "getgid getuid sched_setparam sched_setscheduler setpgid setresgid setresuid setsid"
    ).split()
)
"""Calls that are made by what is asked for: those of which another one does more, and those of `spawning`."""
_MOST_PLACES = 2
_MAX_SEEN = 64
"""Instructions after which a call counts as made."""
_MAX_VALUES_SEEN = 400
"""Instructions after which a register counts as holding anything."""
_PARAMETERS, _MAX_FOLLOWED, _MAX_LENGTH = 3, 32, 400
"""Parameters of a function, the first ones, numbers of one of them for which it is followed, and its instructions."""
_MAX_PAIRS = 256
"""Values of one register with those of another."""
_GOES_ON = (Flow.NEXT, Flow.BRANCH)
_BITS = (1 << 64) - 1


def needed(program: Program, found: Iterable[Number], never: Never) -> set[Number]:
    """The numbers without those calls of which all places are dead; ``never`` are edges that are not taken either.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    kept = set(found)
    if program.go is not None or program.slice.linkage == "dynamic":  # others call what is exported, and Go's types
        return kept
    known = numbers(program.machine.arch)
    search = _Search(program, never)
    for value in (known[name] for name in CHOSEN & known.keys()):
        places = [number for number in kept if number.value == value]
        if len(places) <= _MOST_PLACES and all(search.is_dead(number.address) for number in places):
            kept -= set(places)
    return kept


class _Search:
    def __init__(self, program: Program, never: Never) -> None:
        self._program = program
        self._never = cache(never)
        self._run: dict[int, list[AbstractSet[int]]] = {}

    def is_dead(self, address: int) -> bool:
        """Whether every way to an instruction leads over an edge that is never taken."""
        place = self._program.place(address)
        seen: set[int] = set()
        work = [place]
        while work:
            here = work.pop()
            if here is not None and here.address in seen:
                continue
            coming = None if here is None else _coming(self._program, here)
            if here is None or coming is None or len(seen) > _MAX_SEEN:
                return False
            seen.add(here.address)
            if not self._runs(here):
                continue
            work += [edge.place for edge in coming if not self._is_never_taken(edge, here)]
        return True

    def _runs(self, place: Place) -> bool:
        """Whether an instruction can run for the numbers that its function's parameters can have."""
        region = place.region
        if region.start not in self._run:
            self._run[region.start] = list(self._followed(region))
        return all(place.at in run for run in self._run[region.start])

    def _followed(self, region: Region) -> Iterator[AbstractSet[int]]:
        """What of a function runs, as far as the numbers of one parameter say it, of those that are known."""
        if not 1 < len(region.instructions) <= _MAX_LENGTH:
            return
        for register in self._program.machine.arguments[:_PARAMETERS]:
            values = held(self._program, Place(region, 0), register)
            if values and len(values) <= _MAX_FOLLOWED:
                run = constant_propagation.run_for(self._program, region, register, values)
                yield from () if run is None else (run,)

    def _is_never_taken(self, edge: Edge, target: Place) -> bool:
        region, at = edge.place.region, edge.place.at
        flow, leads_to = region.flow(at)
        if edge.kind is not Kind.CALL and target.region is region and (at, target.at) in self._never(region):
            return True
        if flow is not Flow.BRANCH or edge.kind is Kind.CALL:
            return False
        falls = at + 1 < len(region.instructions) and region.instructions.addresses[at + 1] == target.address
        if falls == (leads_to == target.address):
            return False
        taken = self._outcome(edge.place)
        return taken is not None and taken == falls

    def _outcome(self, branch: Place) -> bool | None:
        """Whether a branch is always taken (True) or never (False), if either is sure."""
        region, at = branch.region, branch.at
        tested = self._program.machine.tested(region.instructions, at)
        if tested is None or any(index in region.jumps_to for index in range(tested.at + 1, at + 1)):
            return None
        values = [held(self._program, Place(region, tested.at), register) for register in tested.registers]
        known = [each for each in values if each]
        if len(known) < len(values) or prod(map(len, known)) > _MAX_PAIRS:
            return None
        outcomes = {tested.holds(each) for each in product(*known)}
        return outcomes.pop() if len(outcomes) == 1 else None


class _Question(NamedTuple):
    """What does a location hold just before an instruction, after some operations?"""

    place: Place
    location: Location
    operations: tuple[Operation, ...]


def held(program: Program, place: Place, register: str) -> frozenset[int] | None:
    """All that a register can hold just before an instruction, as 64 bits; None where that cannot be told.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    found: set[int] = set()
    seen: set[_Question] = set()
    work = [_Question(place, register, ())]
    while work:
        question = work.pop()
        if question in seen:
            continue
        seen.add(question)
        here = question.place
        coming = _coming(program, here)
        if coming is None or len(seen) > _MAX_VALUES_SEEN or isinstance(question.location, int):
            return None
        for edge in coming:
            for origin in before(program, here, edge, question.location):
                source = origin.source
                if isinstance(source, Constant):
                    found.add(compute(source.value, question.operations) & _BITS)
                elif isinstance(source, Moved) and len(source.operations + question.operations) <= MAX_OPERATIONS:
                    work.append(_Question(edge.place, source.location, source.operations + question.operations))
                else:
                    return None
    return frozenset(found)


def _coming(program: Program, here: Place) -> list[Edge] | None:
    """All edges over which control comes to an instruction; None where there may be others, or none is known."""
    region, at = here.region, here.at
    jumps = program.jumped_to(region)
    if jumps is None or not region.anchored or here.address == program.slice.entry:
        return None
    begins = not at or region.is_padding(at - 1) or region.leaving(at - 1) not in _GOES_ON
    if (begins and program.taken.at(here.address) is not None) or program.may_be_gone_to(here):
        return None
    inside = region.direct_predecessors(at) if at else region.jumps_to.get(0, [])
    if at in jumps:  # no exception is caught there, so what is before it is all that can go on into it
        inside = [*(inside if _goes_on(program, region, at - 1) else region.jumps_to.get(at, ())), *jumps[at]]
    coming = [Edge(Kind.FLOW, Place(region, index)) for index in inside] + program.entries(here)
    return coming or None


def _goes_on(program: Program, region: Region, at: int) -> bool:
    """Whether control can go on behind an instruction, or what is before it where it is padding to which none jumps."""
    while at > 0 and region.is_padding(at) and at not in region.jumps_to:
        at -= 1
    flow, target = region.flow(at)
    return flow in _GOES_ON or (flow is Flow.CALL and returns(program, target))
