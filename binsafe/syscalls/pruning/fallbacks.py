"""Code that only runs where the kernel does not know a call: what stands behind a comparison with ``ENOSYS``.

musl asks for the newer of two calls and, should it fail with that, for the older one (``src/linux/epoll.c``,
``src/unistd/pipe2.c`` and many more); so do others that enter the kernel themselves. On kernels that have the newer
call the code for the older one is dead. Where what is compared is not the kernel's own answer but what a function
returned that was given the number (``__syscall_cp``), that function must return nothing but such an answer: a program's
own may fail with ``ENOSYS`` without asking.
"""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet

from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.backward import all_ways, before
from binsafe.syscalls.dataflow.sites import Site
from binsafe.syscalls.dataflow.wrappers import Number
from binsafe.syscalls.machines.arithmetic import Operation
from binsafe.syscalls.machines.machine import Constant, Flow, Location, Moved
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
_BITS = 0xFFFF_FFFF
_MAX_STEPS = 64
"""Instructions between a call and the comparison of its result; two or three are usual."""
_MAX_LENGTH = 100
"""Instructions of a function that makes a call for others, and of those to which it jumps; musl's have 50."""
_KEEPS = frozenset({Operation("sign-extend", 32), Operation("and", _BITS)})


Never = Callable[[Region], set[tuple[int, int]]]
"""Region -> edges between its instructions, by index, that are never taken."""


def needed(program: Program, found: Iterable[Number], asked: "Asked") -> set[Number]:
    """The numbers without those that are passed behind edges alone that are never taken.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    found = set(found)
    dead: set[int] = set()
    for start in asked.regions:
        region = program.region(start)
        edges = set() if region is None else asked(region)
        dead |= behind(program, region, edges) if region is not None and edges else set()
    return {number for number in found if number.address not in dead}


class Asked:
    """Where the kernel is asked for calls that it always knows, and what of its answers comes back from there."""

    def __init__(self, program: Program, found: Iterable[Number], sites: Iterable[Site]) -> None:
        known = numbers(program.machine.arch)
        self._program = program
        self._always = {known[name] for name in ALWAYS_KNOWN & known.keys()}
        self._passed: dict[int, set[int]] = {}
        for number in found:
            self._passed.setdefault(number.address, set()).add(number.value)
        self._sure = {site.address: site.numbers for site in sites if site.sure}
        chosen = (program.span(at) for at, values in self._passed.items() if values <= self._always)
        self.regions = {span.start for span in chosen if span is not None}

    def __call__(self, region: Region) -> set[tuple[int, int]]:
        """The edges that are taken only where the kernel does not know one of these calls."""
        return set(_never_taken(self._program, region, self)) if region.start in self.regions else set()

    def is_result(self, place: Place, register: str) -> bool:
        """Whether a register holds what the kernel said to one of these calls, or another number than this error.

        The call may be made by a function that is given its number: then the same goes for all that this returns.
        """
        seen: set[tuple[int, Location, bool]] = set()
        work: list[tuple[Place, Location, bool]] = [(place, register, False)]
        while work:
            here, location, called = work.pop()
            if (here.address, location, called) in seen:
                continue
            seen.add((here.address, location, called))
            ways = all_ways(self._program, here)
            if not ways or len(seen) > _MAX_STEPS:
                return False
            for way in ways:
                behind = self._answers(way, called=called) if location == self._program.machine.result else None
                origins = () if behind is not None else before(self._program, here, Edge(Kind.FLOW, way), location)
                work += [(end, location, True) for end in behind or ()]
                for origin in origins:
                    if isinstance(origin.source, Moved) and set(origin.source.operations) <= _KEEPS:
                        work.append((way, origin.source.location, called))
                    elif not isinstance(origin.source, Constant) or origin.source.value & _BITS == -_ENOSYS & _BITS:
                        return False
        return True

    def _answers(self, place: Place, *, called: bool) -> list[Place] | None:
        """The ends of what is called at an instruction, none if that is the kernel; None where it is not known to be.

        Inside of a function that was ``called`` for a number it may be that one.
        """
        passed = self._passed.get(place.address, set())
        if place.address in self._sure:
            return [] if (passed if called else self._sure[place.address]) <= self._always else None
        flow, target = place.region.flow(place.at)
        is_call = flow is Flow.CALL and (called or passed) and passed <= self._always
        return self._ends(target) if is_call else None

    def _ends(self, function: int | None) -> list[Place] | None:
        """Where a function returns; None where it may leave in another way, or pass another number than it is given."""
        ends: list[Place] = []
        seen: set[int] = set()
        work = [function]
        while work:
            address = work.pop()
            place = None if address is None else self._program.place(address)
            if place is None or len(seen) > _MAX_LENGTH:
                return None
            if place.address in seen:
                continue
            seen.add(place.address)
            flow, target = place.region.flow(place.at)
            jumps = flow in {Flow.JUMP, Flow.BRANCH}
            if flow is Flow.INDIRECT or (jumps and not self._passed.get(place.address, set()) <= self._always):
                return None
            ends += [place] if flow is Flow.RETURN else []
            work += [target] if jumps else []
            work += [place.address + place.instruction.size] if place.region.falls_through(place.at) else []
        return ends


def _never_taken(program: Program, region: Region, asked: Asked) -> Iterator[tuple[int, int]]:
    """Edges between instructions of a region that are taken only where one of these calls failed with ENOSYS."""
    machine = program.machine
    for at, name in enumerate(region.instructions.names[:-1]):
        compared = region.instructions[at] if name == machine.compare else None
        register = None if compared is None else machine.compared_with(compared, -_ENOSYS)
        equal = None if register is None else machine.branches_if_equal(region.instructions[at + 1])
        if register is None or equal is None or not asked.is_result(Place(region, at), register):
            continue
        target = region.flow(at + 1)[1]
        if not equal:
            yield at + 1, at + 2
        elif (jumped := region.at(target)) is not None:
            yield at + 1, jumped


def behind(program: Program, region: Region, never: AbstractSet[tuple[int, int]]) -> set[int]:
    """Addresses of a region that are reached over edges only that are never taken; none if not all edges are seen."""
    tables = program.jumped_to(region)
    if tables is None:
        return set()
    work = [0, *(at for at in region.orphans if not region.is_unreachable(at))]
    places = (Place(region, at) for at in range(len(region.instructions)))
    work += [place.at for place in places if program.entries(place) or program.may_be_gone_to(place)]
    seen: set[int] = set()
    while work:
        at = work.pop()
        if at in seen or at >= len(region.instructions):
            continue
        seen.add(at)
        following = tables if region.leaving(at) is Flow.INDIRECT else region.following(at)
        work += [to for to in following if (at, to) not in never]
    return {instruction.address for at, instruction in enumerate(region.instructions) if at not in seen}
