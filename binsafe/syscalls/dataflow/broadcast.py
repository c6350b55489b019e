"""Numbers that glibc reads from an object on its callers' stacks, and again from there in other threads.

glibc's ``setuid`` and related functions have every thread make the call: ``__nptl_setxid`` is handed an object
(``struct xid_command``) that begins with the number. It leaves the address in a variable, from which each thread's
handler of a signal reads it, makes the call and then makes it itself (``nptl/nptl_setxid.c``). Neither writes the
number, and nobody else the variable. That is taken for granted of glibc's code alone, which is known by what the
handler asks first; and what is found only where all of it are calls of that kind.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from binsafe.formats.structure import find_all
from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.backward import all_ways, before
from binsafe.syscalls.dataflow.relayed import IDENTITY
from binsafe.syscalls.dataflow.wrappers import Gap, Resolution, argument
from binsafe.syscalls.machines.machine import Flow, Location, Moved, Unknown
from binsafe.syscalls.tables import numbers


class _Texts(NamedTuple):
    """What instructions of one processor look like, as mnemonic and operands."""

    reading: re.Pattern[str]
    """The number, from where a register points."""
    storing: re.Pattern[str]
    """A register to a variable, or nothing."""
    loading: re.Pattern[str]
    handling: tuple[re.Pattern[str], ...]
    """The handler compares the signal with ``SIGSETXID`` and ``si_code`` with ``SI_TKILL``."""
    asking: bytes
    """The first of these as assemblers write it: to look for it is quicker than to decode all that name a variable."""
    passing: re.Pattern[str]
    """The object's address, from one of the stack: Ubuntu's C library keeps frame pointers."""


_TEXTS = {
    "x86_64": _Texts(
        reading=re.compile(r"(?:mov|movsxd) [er]ax, dword ptr \[(r\w+)\]"),
        storing=re.compile(r"mov qword ptr \[rip [+-] 0x[0-9a-f]+\], (?:(r\w+)|0)"),
        loading=re.compile(r"mov r\w+, qword ptr \[rip [+-] 0x[0-9a-f]+\]"),
        handling=(
            re.compile(r"cmp edi, 0x21"),
            re.compile(r"cmp dword ptr \[r\w+ \+ 8\], (?:-6|0xfffffffa)"),
        ),
        asking=b"\x83\xff\x21",
        passing=re.compile(r"(?:mov|lea) rdi, \[?(?P<base>rsp|rbp)(?: (?:\+|(?P<less>-)) (?P<distance>\w+))?\]?"),
    ),
    "arm64": _Texts(
        reading=re.compile(r"(?:ldr|ldrsw) [wx]8, \[(x\d+)\]"),
        storing=re.compile(r"str (?:(x\d+)|xzr), \[x\d+(?:, #\w+)?\]"),
        loading=re.compile(r"ldr x\d+, \[x\d+(?:, #\w+)?\]"),
        handling=(re.compile(r"cmp w0, #0x21"), re.compile(r"cmn w\d+, #6")),
        asking=b"\x1f\x84\x00\x71",
        passing=re.compile(r"(?:mov|add|(?P<less>sub)) x0, (?P<base>sp|x29)(?:, #(?P<distance>\w+))?"),
    ),
}
_POINTER = 8
_MAX_STEPS = 400
"""Instructions between a function's beginning and where it reads the number."""
_MAX_BETWEEN = 16
"""Instructions between where a caller computes the object's address and the call."""


def broadcast(program: Program, gap: Gap, known: dict[int, Resolution | None]) -> Resolution | None:
    """All numbers that can be read at a gap; None where it is no such place, or not all of them can be told.

    ``known`` is what was found of functions that are handed objects: the number is read there and in the handler.

    Raises:
        OutOfInstructions: the budget was used up on the way.
    """
    reading = program.place(gap.address)
    read = None if reading is None else _texts(program).reading.fullmatch(_text(reading))
    handed = None if reading is None or read is None else _handed(program, reading, read[1])
    if handed is None:
        return None
    if handed.address not in known:
        known[handed.address] = _in_objects(program, handed)
    return known[handed.address]


def _in_objects(program: Program, handed: Place) -> Resolution | None:
    """All numbers in the objects that a function is handed."""
    if handed.address == program.slice.entry or program.exported(handed.address):
        return None
    callers = [edge.place for edge in program.entries(handed) if edge.kind is Kind.CALL]
    if program.taken.at(handed.address) is not None or len(callers) != len(program.entries(handed)):
        return None
    if not _has_handler(program, handed.region):
        return None
    known = numbers(program.machine.arch)
    family = {known[name] for name in IDENTITY | {"setgroups"}}
    found = [_number(program, caller) for caller in callers]
    told = [each for each in found if each is not None and not each.gaps and not each.parameters]
    all_ = frozenset(number for each in told for number in each.numbers)
    sure = len(told) == len(found) and {number.value for number in all_} <= family
    return Resolution(all_, frozenset()) if sure else None


def _texts(program: Program) -> _Texts:
    return _TEXTS[program.machine.arch]


def _text(place: Place) -> str:
    return f"{place.instruction.mnemonic} {place.instruction.operands}"


def _has_handler(program: Program, region: Region) -> bool:
    """Whether a variable that a function uses is used by glibc's handler, too."""
    used = _used(program, region)
    asking = [r.address + at for r in program.code.ranges for at in find_all(r.data, _texts(program).asking)]
    places = (place for address in asking if (place := program.place(address)) is not None)
    return any(
        _is_handler(program, place.region) and not used.isdisjoint(_used(program, place.region)) for place in places
    )


def _used(program: Program, region: Region) -> set[int]:
    """The variables that a function names."""
    named = program.references
    inside = (named.sources >= region.start) & (named.sources < region.end)
    return {*named.targets[inside].tolist()}


def _is_handler(program: Program, region: Region) -> bool:
    names = region.instructions.names
    compared = [_text(Place(region, at)) for at, name in enumerate(names) if name in {"cmp", "cmn"}]
    return all(any(map(asked.fullmatch, compared)) for asked in _texts(program).handling)


def _handed(program: Program, place: Place, register: str) -> Place | None:
    """The beginning of the function whose first parameter a register holds, of itself or from a variable."""
    origin = _origin(program, place, register)
    if origin is None or origin.parameter:
        return None if origin is None else origin.place
    stored = [each for variable in program.named_at(origin.place) for each in _stored(program, variable)]
    beginnings = {None if each is None else each.address for each in stored}
    return stored[0] if len(beginnings) == 1 else None


def _stored(program: Program, variable: int) -> Iterator[Place | None]:
    """The beginnings of the functions that leave their first parameter in a variable; None for all else but zero."""
    held = program.pointers.at(variable) is not None or any(program.slice.read(variable, _POINTER))
    if held or next(program.code.words(variable, _POINTER), None) is not None:
        yield None
    for source, _, _ in program.references.into(variable, variable + _POINTER):
        region = program.region(source)
        at = -1 if region is None else bisect_right(region.instructions.addresses, source) - 1
        place = None if region is None or at < 0 else Place(region, at)
        named = None if place is None else program.taken.completed(place, variable, variable + _POINTER)
        if place is None or named is None:
            yield None
            continue
        for each in named:
            yield from _stored_at(program, Place(place.region, each), variable)


def _stored_at(program: Program, place: Place, variable: int) -> Iterator[Place | None]:
    """`_stored` for one instruction that names the variable, or what stands beside it."""
    texts, text = _texts(program), _text(place)
    storing, loading = texts.storing.fullmatch(text), texts.loading.fullmatch(text)
    named = [each for each in program.named_at(place) if abs(each - variable) < _POINTER]
    if (storing or loading) is None or named not in ([], [variable]):
        yield None
    elif storing is not None and storing[1] and named:
        origin = _origin(program, place, storing[1])
        yield origin.place if origin is not None and origin.parameter else None


class _Origin(NamedTuple):
    """The beginning of the function of whose first parameter a value is, or the instruction that loads it."""

    place: Place
    parameter: bool


def _origin(program: Program, place: Place, register: str) -> _Origin | None:
    """Where a register's value comes from on all ways; None where that is no such place, or there are several."""
    found: dict[tuple[int, bool], _Origin] = {}
    seen: set[tuple[int, Location]] = set()
    work: list[tuple[Place, Location]] = [(place, register)]
    while work:
        here, location = work.pop()
        here = program.undisturbed(here, (location,), program.jumped_to(here.region) or ())
        if (here.address, location) in seen:
            continue
        seen.add((here.address, location))
        ways = all_ways(program, here)
        if here.at == 0 and location == program.machine.arguments[0]:
            found[here.address, True] = _Origin(here, parameter=True)
        elif not ways or len(seen) > _MAX_STEPS:
            return None
        for edge in (Edge(Kind.FLOW, way) for way in ways):
            for origin in before(program, here, edge, location):
                if isinstance(origin.source, Moved) and not origin.source.operations:
                    work.append((edge.place, origin.source.location))
                elif isinstance(origin.source, Unknown) and _texts(program).loading.fullmatch(_text(edge.place)):
                    found[edge.place.address, False] = _Origin(edge.place, parameter=False)
                else:
                    return None
    return found.popitem()[1] if len(found) == 1 else None


def _number(program: Program, call: Place) -> Resolution | None:
    """The first word of the object on the stack whose address a call passes; None where that is no such object."""
    region = call.region
    for at in range(call.at - 1, max(-1, call.at - _MAX_BETWEEN), -1):
        if at + 1 in region.jumps_to or region.flow(at)[0] is not Flow.NEXT:
            return None
        computed = _texts(program).passing.fullmatch(_text(Place(region, at)))
        if computed is not None:
            frame = region.frames[at].get(computed["base"])
            distance = int(computed["distance"] or "0", 0) * (-1 if computed["less"] else 1)
            return None if frame is None else argument(program, [call], frame + distance)
        if program.sources(Place(region, at), program.machine.arguments[0]) is not None:
            return None
    return None
