"""Code that only runs where the kernel does not know a call: what stands behind a comparison with ``ENOSYS``.

musl asks for the newer of two calls and, should it fail with that, for the older one (``src/linux/epoll.c``,
``src/unistd/pipe2.c`` and many more); so do others that enter the kernel themselves. On kernels that have the newer
call the code for the older one is dead.
"""

from collections.abc import Callable, Iterable, Iterator

from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.backward import all_ways, before
from binsafe.syscalls.dataflow.wrappers import Gap, Number
from binsafe.syscalls.machines.arithmetic import Operation
from binsafe.syscalls.machines.machine import Flow, Location, Moved
from binsafe.syscalls.tables import numbers

ALWAYS_KNOWN = frozenset(
    (
        "accept4 clock_gettime dup3 epoll_create1 epoll_pwait eventfd2 faccessat faccessat2 fchmodat fchownat "
        "getrandom inotify_init1 mkdirat newfstatat openat pipe2 ppoll preadv prlimit64 pselect6 pwritev readlinkat "
        "recvmmsg renameat2 sendmmsg signalfd4 statx unlinkat utimensat"
    ).split()
)
"""Calls that Linux 5.13 and later has, and for which no sandbox is known to answer ``ENOSYS`` (as they do for
``clone3``, whose flags they cannot see). What a kernel can be built without is left out, unless its older call is then
missing too."""

_ENOSYS = 38
_MAX_STEPS = 64
"""Instructions between a call and the comparison of its result; two or three are usual."""
_KEEPS = frozenset({Operation("sign-extend", 32), Operation("and", 0xFFFF_FFFF)})


def needed(program: Program, found: Iterable[Number], gaps: Iterable[Gap]) -> set[Number]:
    """The numbers that are passed by code that runs on a current kernel.

    ``gaps`` are the places at which a number could not be told: their functions are left alone.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    found = set(found)
    results, never = _results(program, found), never_taken(program, found, gaps)
    dead: set[int] = set()
    for start in {region.start for address in results if (region := program.region(address)) is not None}:
        region = program.region(start)
        edges = set() if region is None else never(region)
        dead |= _behind(program, region, edges) if region is not None and edges else set()
    return {number for number in found if number.address not in dead}


def never_taken(
    program: Program, found: Iterable[Number], gaps: Iterable[Gap]
) -> Callable[[Region], set[tuple[int, int]]]:
    """Region -> edges between its instructions, by index, that are taken only where one of these calls is not known."""
    results = _results(program, found)
    doubtful = {region.start for gap in gaps if (region := program.region(gap.address)) is not None}
    return lambda region: set() if region.start in doubtful else set(_never_taken(program, region, results))


def _results(program: Program, found: Iterable[Number]) -> set[int]:
    """Where calls are made that are always known."""
    known = numbers(program.machine.arch)
    always = {known[name] for name in ALWAYS_KNOWN & known.keys()}
    passed: dict[int, set[int]] = {}
    for number in found:
        passed.setdefault(number.address, set()).add(number.value)
    return {address for address, values in passed.items() if values <= always}


def _never_taken(program: Program, region: Region, results: set[int]) -> Iterator[tuple[int, int]]:
    """Edges between instructions of a region that are taken only where one of these calls failed with ENOSYS."""
    machine = program.machine
    for at, name in enumerate(region.instructions.names[:-1]):
        compared = region.instructions[at] if name == machine.compare else None
        register = None if compared is None else machine.compared_with(compared, -_ENOSYS)
        equal = None if register is None else machine.branches_if_equal(region.instructions[at + 1])
        if register is None or equal is None or not _is_result(program, Place(region, at), register, results):
            continue
        target = region.flow(at + 1)[1]
        if not equal:
            yield at + 1, at + 2
        elif (jumped := region.at(target)) is not None:
            yield at + 1, jumped


def _is_result(program: Program, place: Place, register: str, results: set[int]) -> bool:
    """Whether a register holds the result of one of these calls, on every way to a place."""
    seen: set[tuple[int, Location]] = set()
    work: list[tuple[Place, Location]] = [(place, register)]
    while work:
        here, location = work.pop()
        if (here.address, location) in seen:
            continue
        seen.add((here.address, location))
        ways = all_ways(program, here)
        if not ways or len(seen) > _MAX_STEPS:
            return False
        for before_it in ways:
            if location == program.machine.result and before_it.address in results:
                continue
            for origin in before(program, here, Edge(Kind.FLOW, before_it), location):
                if not isinstance(origin.source, Moved) or not set(origin.source.operations) <= _KEEPS:
                    return False
                work.append((before_it, origin.source.location))
    return True


def _behind(program: Program, region: Region, never: set[tuple[int, int]]) -> set[int]:
    """Addresses of a region that are reached over edges only that are never taken; none if not all edges are seen."""
    tables = program.jumped_to(region)
    if tables is None:
        return set()
    work = [0, *(at for at in region.orphans if not region.is_unreachable(at))]
    work += [at for at in range(len(region.instructions)) if program.entries(Place(region, at))]
    seen: set[int] = set()
    while work:
        at = work.pop()
        if at in seen or at >= len(region.instructions):
            continue
        seen.add(at)
        flow, target = region.flow(at)
        following = [at + 1] if region.falls_through(at) else []
        if flow in {Flow.JUMP, Flow.BRANCH} and (jumped := region.at(target)) is not None:
            following.append(jumped)
        if flow is Flow.INDIRECT:
            following += tables
        work += [to for to in following if (at, to) not in never]
    return {instruction.address for at, instruction in enumerate(region.instructions) if at not in seen}
