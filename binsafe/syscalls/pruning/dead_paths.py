"""Calls on ways that are never taken, in programs that bear no names: by the kernel's word, or by glibc's source.

As in `linking.known_libraries` all of it was read in the source, and each rule names the place. Here a function of the
C library is known by what control passes on every way to a call. That must be nothing that a program may do as
well by itself, such as to ask the kernel for the same (``syscall(SYS_getrandom, ...)``): so it counts only where the
instruction stands that enters the kernel, and together with something else that is the library's alone. Built
differently the library loses the gain and not the call. Programs that imitate it are only denied the calls that they
hide. What is said of glibc's own descriptor of a thread is for x86-64.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from binsafe.formats.structure import find_all
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.arguments import at_sites
from binsafe.syscalls.dataflow.sites import Site
from binsafe.syscalls.dataflow.wrappers import Number
from binsafe.syscalls.glibc import is_static_glibc
from binsafe.syscalls.pruning import fallbacks
from binsafe.syscalls.pruning.dominance import MAX_SEEN, Passed, always_passes
from binsafe.syscalls.pruning.threads import SELF, creating, creating_anywhere
from binsafe.syscalls.tables import numbers

_PROFILING = b"file is no correct profile data file"
_NEXT = 250
"""Instructions between two calls of which one follows the other."""
_PROTOCOL = b"\xff\xff\xff\xcf"
"""``~PTHREAD_MUTEXATTR_PROTOCOL_MASK``: ``pthread_mutexattr_setprotocol`` clears these bits before it sets them."""
_PROTECTS, _ALL_PROTOCOLS = ", 0x20000000", ", 0x30000000"
"""``PTHREAD_PRIO_PROTECT`` among the bits of an attribute that are the protocol,"""
_OTHER_KINDS, _BESIDE = ", 0xf000fff", 4
"""and the bits that are left of an attribute in a mutex; instructions from the first to the second."""
_CLONE_THREAD = 0x10000
_NO_ENTROPY = b"Fatal glibc error: cannot get entropy for arc4random"
_WITH_ENOSYS = (", 0x26", ", #0x26")
_IDENTITY = frozenset({"faccessat", "getuid", "geteuid", "getgid", "getegid", "getgroups"})
_OF_THREAD = frozenset({"sched_getparam", "sched_getscheduler", "sched_setscheduler"})
_SCHEDULING = frozenset(
    {"sched_getparam", "sched_getscheduler", "sched_setscheduler", "sched_get_priority_max", "sched_get_priority_min"}
)


class Way(NamedTuple):
    """Calls that are not made on ways that pass certain instructions, one of each kind."""

    calls: AbstractSet[str]
    passed: tuple[Passed, ...]
    callers_only: bool = False
    most: int = MAX_SEEN
    """Instructions after which it is given up."""
    regions: Collection[int] | None = None
    """Where the functions start in which such calls are looked for, if not in all: a walk of callers takes long."""

    def leads_to(self, program: Program, place: Place) -> bool:
        """Whether a call is not made but on such ways."""
        return (self.regions is None or place.region.start in self.regions) and all(
            always_passes(program, place, each, callers_only=self.callers_only, most=self.most) for each in self.passed
        )


def needed(
    program: Program,
    found: Iterable[Number],
    sites: Collection[Site],
    never: Mapping[int, AbstractSet[tuple[int, int]]],
) -> set[Number]:
    """The numbers without those that are passed on ways only that are never taken.

    ``never`` are edges of regions, by start, that `spawning` knows not to be taken.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    kept = set(found)
    known = numbers(program.machine.arch)
    dead: set[int] = set()
    for region, edges in ((program.region(start), edges) for start, edges in never.items()):
        dead |= set() if region is None else fallbacks.behind(program, region, edges)
    for way in _ways(program, frozenset(kept), sites, dead):
        values = {known[name] for name in way.calls if name in known}
        for number in [number for number in kept if number.value in values]:
            place = program.place(number.address)
            if place is not None and way.leads_to(program, place):
                kept.discard(number)
    return kept


def _ways(program: Program, made: Collection[Number], sites: Collection[Site], dead: Container[int]) -> Iterator[Way]:
    """The ways of which a rule speaks, of a program that makes some calls; at ``dead`` addresses nothing runs."""
    known = numbers(program.machine.arch)

    def making(call: str) -> Mapping[int, int]:
        """Where the kernel is entered for a call and for no other -> where the region starts that does it itself."""
        alone = frozenset({known[call]})
        made = (site.address for site in sites if site.sure and site.numbers == alone)
        return {address: span.start for address in made if (span := program.span(address)) is not None}

    def passes(places: Container[int]) -> Passed:
        return lambda place: place.address in places

    def within(regions: Collection[int], passed: Passed = lambda _: True) -> Passed:
        return lambda place: place.region.start in regions and passed(place)

    # exit_group does not return: kernel/exit.c
    leaving = making("exit_group")
    yield Way({"exit"}, (passes(leaving),), most=_NEXT, regions=leaving.values())
    # musl, src/misc/getrlimit.c: only where errno says that the kernel does not know prlimit64
    asking = making("prlimit64")
    compared = within(asking.values(), _compares_with_enosys)
    yield Way({"getrlimit"}, (passes(asking), compared), most=_NEXT, regions=asking.values())
    if program.slice.linkage == "dynamic" or not is_static_glibc(program.slice.data):
        return
    # sysdeps/unix/sysv/linux/faccessat.c: only where errno says that the kernel does not know faccessat2
    asking = making("faccessat2")
    yield Way(_IDENTITY, (passes(asking), within(asking.values(), _compares_with_enosys)))
    # stdlib/arc4random.c: waits for /dev/random only where the kernel does not know getrandom
    drawing = _and_callers(program, _regions_naming(program, _NO_ENTROPY))
    yield Way({"ppoll"}, (within(drawing, passes(making("getrandom"))),))
    # elf/dl-profile.c, _dl_start_profile: for LD_PROFILE only, and goes on where it is given no timer
    yield Way({"setitimer"}, (within(_regions_naming(program, _PROFILING)),), callers_only=True)
    if not _makes_threads(program, made, sites):
        # libio/genops.c, _IO_unbuffer_all: waits for a stream that another thread holds
        yield Way({"sched_yield"}, (within(_ending(program)),), callers_only=True)
        # sysdeps/nptl/libc_start_call_main.h: ends the first thread where there is another (__nptl_nthreads)
        yield Way({"exit"}, (lambda p: p.instruction.mnemonic == "lock dec" and _is_start_up(program, p.region),))
    # nptl/tpp.c: changes the priority of who owns a mutex of a protocol that the initialisers of pthread.h do not set
    if not _sets_protocol(program):
        yield Way(_SCHEDULING, (lambda place: place.address in dead or _is_of_protocol(place),), callers_only=True)
    # nptl/pthread_create.c: for threads whose attributes ask for it
    yield Way(_OF_THREAD, (creating(program),))
    yield Way({"sched_setaffinity"}, (creating_anywhere(program),))


def _compares_with_enosys(place: Place) -> bool:
    """Whether something is compared with ``ENOSYS``, as ``errno`` is."""
    return place.instruction.mnemonic == "cmp" and place.instruction.operands.endswith(_WITH_ENOSYS)


def _makes_threads(program: Program, made: Iterable[Number], sites: Iterable[Site]) -> bool:
    """Whether it can make any, as far as the flags of ``clone`` are known; those of ``clone3`` are in memory."""
    known = numbers(program.machine.arch)
    if any(number.value == known["clone3"] for number in made):
        return True
    given = at_sites(program, sites, {known["clone"]: (0,)}).given
    return any(each.value is None or each.value & _CLONE_THREAD for each in given)


def _is_start_up(program: Program, region: Region) -> bool:
    """Whether it is what the C library does before it calls ``main``, which it does through a pointer.

    The program's first instructions call it (``csu/libc-start.c``), or what these call does.
    """
    first = program.region(program.slice.entry)
    return first is not None and first.start in _and_callers(program, _and_callers(program, {region.start}))


def _and_callers(program: Program, starts: AbstractSet[int]) -> set[int]:
    """The same regions and those that call their first instructions."""
    firsts = [Place(region, 0) for start in starts if (region := program.region(start)) is not None]
    return {*starts, *(edge.place.region.start for first in firsts for edge in program.entries(first))}


def _ending(program: Program) -> set[int]:
    """Where the regions start of what glibc calls last: its own section holds their addresses (``libio/libio.h``)."""
    section = program.slice.section("__libc_atexit")
    slots = program.pointers.slots
    inside = (
        slots[:0] if section is None else slots[(slots >= section.address) & (slots < section.address + section.size)]
    )
    found = (program.region(target) for slot in inside.tolist() if (target := program.pointers.at(slot)) is not None)
    return {region.start for region in found if region is not None}


def _sets_protocol(program: Program) -> bool:
    """Whether there is an instruction that clears the bits of a mutex's protocol, or bytes that may be one."""
    for start in (code.address + at for code in program.code.ranges for at in find_all(code.data, _PROTOCOL)):
        region = program.region(start)
        holding = [i for i in region.instructions if i.address < start < i.address + i.size] if region else []
        if not holding or any(i.mnemonic == "and" for i in holding):
            return True
    return False


def _is_of_protocol(place: Place) -> bool:
    """Whether a thread reads its own descriptor, or nptl/pthread_mutex_init.c asks for a protocol."""
    instructions, at, operands = place.region.instructions, place.at, place.instruction.operands
    if SELF in operands:
        return True
    if place.instruction.mnemonic != "cmp" or not operands.endswith(_PROTECTS):
        return False
    masked = operands.removesuffix(_PROTECTS) + _ALL_PROTOCOLS
    before = range(max(0, at - _BESIDE), at)
    return any(instructions.names[i] == "and" and instructions.operands(i) == masked for i in before) and any(
        name == "and" and instructions.operands(i).endswith(_OTHER_KINDS) for i, name in enumerate(instructions.names)
    )


def _regions_naming(program: Program, text: bytes) -> set[int]:
    """Where the regions start that name an address in the string that holds a text."""
    found: set[int] = set()
    for segment in program.slice.segments:
        data = program.slice.data[segment.offset : segment.offset + segment.file_size]
        for at in find_all(data, text):
            begin = bytes(data[:at]).rfind(b"\0") + 1
            for source, _, _ in program.references.into(segment.address + begin, segment.address + at + len(text)):
                region = program.region(source)
                found |= set() if region is None else {region.start}
    return found
