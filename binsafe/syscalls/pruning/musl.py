"""What musl does for attributes of threads and mutexes that a program never sets, in static programs.

- ``pthread_create`` makes ``sched_setscheduler`` where an attribute says so that ``pthread_attr_setinheritsched`` alone
  writes (``src/thread/pthread_create.c``).
- A mutex that processes share brings ``set_robust_list`` (``src/thread/pthread_mutex_trylock.c``), and a thread that
  ends takes that back (``__pthread_exit``). Whether it is shared ``pthread_mutexattr_setpshared`` alone writes.

musl has a file for each function, and the linker takes those that somebody needs: where the one that writes is not
there nothing does. It is known by what gcc and clang make of it, at each level: too many places look so, if anything.
It could hide only where the library was compiled as one with the program, and then no call is left of the empty
function that stands for what is not linked (``dummy_0`` in ``pthread_create.c``): where none is seen nothing is left
out. Nor is it where the functions that make the calls are not known by constants that are musl's alone: the flags of
its threads, of which one (``CLONE_DETACHED``) nobody else sets, and how far a mutex's lock is from its link.
"""

import re
from collections.abc import Iterable, Iterator

from binsafe.formats.structure import find_all
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.wrappers import Number
from binsafe.syscalls.machines.machine import Flow
from binsafe.syscalls.tables import numbers

_FLAGS = 0x7D0F00
_THREAD = f", {_FLAGS:#x}"
"""The flags that ``pthread_create`` gives to ``clone``."""
_LISTED = re.compile(r"qword ptr \[\w+ \+ (0x[0-9a-f]+)\], 0xffffffffffffffe4")
"""``self->robust_list.off`` is given the distance of ``_m_lock`` from ``_m_next``, and where it stands."""
_ASKED = re.compile(r"qword ptr \[\w+ \+ (0x[0-9a-f]+)\], 0")
"""The same word is compared with 0."""
_NEAR = 40
"""Instructions between a call and what tells whose it is."""
_EMPTY = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?(?:\x55\x48\x89\xe5\x5d)?\xc3")
"""``ret``, and what some compilers put before it."""
_INHERITS = b"\x89\x77\x1c"
"""``mov [rdi + 0x1c], esi``: ``pthread_attr_setinheritsched`` writes ``_a_sched``."""
_SHARES = b"\xc1\xe6\x07"
"""``shl esi, 7``: ``pthread_mutexattr_setpshared`` makes the bit of its parameter."""
_COMPARES = re.compile(rb"\x83\xfe[\x01\x02]")
"""``cmp esi, 1`` or 2: both functions refuse what is neither 0 nor 1,"""
_REFUSES = b"\x16"
"""and return ``EINVAL`` for it."""
_SMALL = 32
"""Bytes of either function, at most."""


def needed(program: Program, found: Iterable[Number]) -> set[Number]:
    """The numbers without those that are passed for such attributes alone, where nothing sets them.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    kept = set(found)
    if program.machine.arch != "x86_64" or program.slice.linkage == "dynamic":
        return kept
    known = numbers(program.machine.arch)
    threads = [each for each in _made(program, kept, known["sched_setscheduler"]) if _makes_threads(each[1])]
    mutexes = list(_of_mutexes(list(_made(program, kept, known["set_robust_list"]))))
    if (threads or mutexes) and is_apart(program):
        if not _may_write(program, _INHERITS):
            kept -= {number for number, _ in threads}
        if not _may_write(program, _SHARES):
            kept -= {number for number, _ in mutexes}
    return kept


def is_apart(program: Program) -> bool:
    """Whether musl was not compiled as one with the program: what makes threads calls what stands for nothing."""
    flags = _FLAGS.to_bytes(4, "little")
    places = (code.address + at for code in program.code.ranges for at in find_all(code.data, flags))
    return any((region := program.region(at)) is not None and _calls_nothing(program, region) for at in places)


def _made(program: Program, found: Iterable[Number], value: int) -> Iterator[tuple[Number, Place]]:
    """The numbers of a call that stand where the kernel is entered, not where a function is called that does it."""
    for number in found:
        place = program.place(number.address) if number.value == value else None
        if place is not None and place.instruction.mnemonic == program.machine.site:
            yield number, place


def _makes_threads(place: Place) -> bool:
    return any(operands.endswith(_THREAD) for _, operands in _before(place))


def _of_mutexes(made: list[tuple[Number, Place]]) -> Iterator[tuple[Number, Place]]:
    """Those that are made for a thread's list of mutexes: where it gets its first one, and where the thread ends."""
    listing = [next(_places(place, "mov", _LISTED), None) for _, place in made]
    lists = {*listing}
    for each, listed in zip(made, listing, strict=True):
        if listed is not None or lists & {*_places(each[1], "cmp", _ASKED)}:
            yield each


def _places(place: Place, name: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """Where in the thread's descriptor the words stand that instructions before a call use in some way."""
    found = (pattern.fullmatch(operands) for mnemonic, operands in _before(place) if mnemonic == name)
    yield from (match[1] for match in found if match)


def _before(place: Place) -> Iterator[tuple[str, str]]:
    """The instructions shortly before one, the last one first."""
    instructions = place.region.instructions
    for at in range(place.at - 1, max(-1, place.at - 1 - _NEAR), -1):
        yield instructions.names[at], instructions.operands(at)


def _calls_nothing(program: Program, region: Region) -> bool:
    """Whether an empty function is called, as no compiler leaves it that sees both."""
    flows = (region.flow(at) for at in range(len(region.instructions)))
    called = {target for flow, target in flows if flow is Flow.CALL and target is not None}
    return any(_EMPTY.match(program.code.read(target, target + _SMALL)) for target in called)


def _may_write(program: Program, code: bytes) -> bool:
    """Whether an instruction, or what looks like it, stands among what else such a function has."""
    for part in program.code.ranges:
        for at in find_all(part.data, code):
            around = bytes(part.data[max(0, at - _SMALL) : at + _SMALL])
            if _REFUSES in around and (_COMPARES.search(around) or _begins_near(program, part.address + at)):
                return True
    return False


def _begins_near(program: Program, address: int) -> bool:
    """Whether an address lies in the first bytes of a function, or it is not known in which."""
    region = program.region(address)
    return region is None or address - region.start < _SMALL
