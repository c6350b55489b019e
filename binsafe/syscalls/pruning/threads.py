"""Where glibc makes threads, in static programs in which no attribute asks for a priority or processors of their own.

``pthread_create`` asks for priorities, and ``create_thread`` sets them, only where an attribute has the flag
``ATTR_FLAG_NOTINHERITSCHED``, which ``pthread_attr_setinheritsched`` alone sets and clears (``nptl/``); all others copy
the flags. Without names it is known by what it does: it changes one bit in the third word of an object, or returns
``EINVAL``. Too many small functions look so, if anything. ``create_thread`` is known by its flags for the kernel, and
``pthread_create`` (of which it may be a part) by the thread's own descriptor, which no compiler reads.
"""

import re
from collections.abc import Callable, Iterator

from binsafe.formats.eh_frame import Extent, Frames
from binsafe.formats.structure import find_all, matches
from binsafe.syscalls.controlflow.places import Kind, Place
from binsafe.syscalls.controlflow.program import Program

SELF = "fs:[0x10]"
"""The thread's own descriptor (``sysdeps/x86_64/nptl/tls.h``, ``THREAD_SELF``): no compiler reads it, only glibc."""
_READS_SELF = re.compile(rb"\x64[\x48\x4c]\x8b[\x04\x0c\x14\x1c\x24\x2c\x34\x3c]\x25\x10\0\0\0")
_CREATING = ("pthread_create", "create_thread")
_ATTRIBUTES = frozenset({"pthread_attr_setinheritsched", "pthread_setattr_default_np", "pthread_getattr_np"})
_FLAGS = (0x3D0F00).to_bytes(4, "little")
"""What ``create_thread`` gives to ``clone`` or ``clone3`` (``sysdeps/unix/sysv/linux/createthread.c`` before 2.34)."""
_BIT = re.compile(
    rb"[\x80\x83](?:[\xc8-\xcf]\x02|[\xe0-\xe7]\xfd|[\x48-\x4f]\x24?\x08\x02|[\x60-\x67]\x24?\x08\xfd)"
    rb"|\x0c\x02|\x24\xfd|\x0f\xba[\xe8-\xf7\x68-\x77]"
)
"""``or`` of 2 or ``and`` of its complement, to a register or the third word of an object; ``bts`` and ``btr``."""
_FLAGS_WORD = re.compile(rb"[\x40-\x7f]\x24?\x08")
"""``[register + 8]``"""
_INVALID = b"\x16"
_ENDBR = b"\xf3\x0f\x1e\xfa"
_EXTENDS = re.compile(rb"\x48\x83\x7f\x28\0[\x74\x75]")
"""An attribute's extension, the word at 40 of what is handed over, is compared with 0,"""
_EXTENSION = b"\xbf\x98\0\0\0"
"""and one of 152 bytes is asked for."""
_EXTENDING = ("pthread_attr_setaffinity_np", "__pthread_attr_setsigmask_internal")
"""Who calls it."""
_SETS_MASK = re.compile(rb"\xc6[\x80-\x87]\x90\0\0\0\x01")
"""The extension's ``sigmask_set`` is set, at 144: it has a mask of signals."""
_SMALL = 96
"""Bytes of such a function, at most: it has 32."""


def creating(program: Program) -> Callable[[Place], bool]:
    """Whether an instruction is one of what makes a thread; none is where an attribute may ask for a priority."""
    told = program.frames
    if _ATTRIBUTES & _named(program).keys() or told is None or (not _starts(program) and _may_set_flag(program, told)):
        return lambda _: False
    return _making(program, told)


def creating_anywhere(program: Program) -> Callable[[Place], bool]:
    """The same; none is where an attribute may say on which processors threads run.

    It has an extension for that (``nptl/pthread_attr_extension.c``), into which one function puts the processors
    (``nptl/pthread_attr_setaffinity.c``). What copies attributes calls it for those that have some already, and the
    other one that extends them (``nptl/pthread_attr_copy.c``): where no other call of it is seen none ever has.
    """
    told = program.frames
    if told is None or not _only_copies_processors(program, told):
        return lambda _: False
    return _making(program, told)


def _named(program: Program) -> dict[str, int]:
    return {symbol.name.partition("@")[0]: symbol.address for symbol in program.slice.symbols}


def _starts(program: Program) -> set[int]:
    """Where names say that what makes threads begins."""
    named = _named(program)
    return {named[name] for name in _CREATING} if named.keys() >= set(_CREATING) else set()


def _making(program: Program, told: Frames) -> Callable[[Place], bool]:
    """Functions end where the unwinder is told so: a region may be several."""
    starts = _starts(program)
    extents = set() if starts else set(_unnamed(program, told))
    return lambda place: place.region.start in starts or told.holding(place.address) in extents


def _only_copies_processors(program: Program, told: Frames) -> bool:
    """Whether the processors of an attribute are set for one that is copied, and never else."""
    places = (code.address + match.start() for code in program.code.ranges for match in matches(code.data, _EXTENDS))
    extending = {extent for at in places if (extent := told.holding(at)) is not None and _is_extending(program, extent)}
    calling = _callers(program, told, extending.pop()) if len(extending) == 1 else None
    masks = {extent for extent in calling or () if _SETS_MASK.search(program.code.read(extent.start, extent.end))}
    if calling is None or len(calling) != len(_EXTENDING) or len(masks) != 1:
        return False
    (setting,) = {*calling} - masks
    setters, maskers = (_callers(program, told, extent) for extent in (setting, *masks))
    return setters is not None and maskers is not None and len(setters) == 1 and set(setters) <= set(maskers)


def _is_extending(program: Program, extent: Extent) -> bool:
    """Whether a small function makes the extension."""
    code = program.code.read(extent.start, extent.end)
    return len(code) <= _SMALL and _EXTENDS.match(code.removeprefix(_ENDBR)) is not None and _EXTENSION in code


def _callers(program: Program, told: Frames, called: Extent) -> list[Extent] | None:
    """The functions with the calls of one, each as often as it calls; None where that is not all that leads to it."""
    place = program.place(called.start)
    if place is None or place.at or program.taken.at(called.start) is not None:
        return None
    edges = program.entries(place)
    found = [told.holding(edge.place.address) for edge in edges if edge.kind is Kind.CALL]
    extents = [extent for extent in found if extent is not None]
    return extents if len(extents) == len(edges) else None


def _unnamed(program: Program, told: Frames) -> Iterator[Extent]:
    places = (code.address + at for code in program.code.ranges for at in find_all(code.data, _FLAGS))
    for extent in [found for at in places if (found := told.holding(at)) is not None]:
        if _is_glibcs(program, extent):
            yield extent
            continue
        calls = (program.branch(source) for source, _ in program.calls.into(extent.start, extent.start + 1))
        sure = (call for call in calls if call is not None and call.region.flow(call.at)[1] == extent.start)
        calling = (told.holding(call.address) for call in sure)
        callers = [each for each in calling if each is not None and _is_glibcs(program, each)]
        yield from (extent, *callers) if callers else ()


def _is_glibcs(program: Program, extent: Extent) -> bool:
    """Whether a function reads the thread's own descriptor."""
    return _READS_SELF.search(program.code.read(extent.start, extent.end)) is not None


def _may_set_flag(program: Program, told: Frames) -> bool:
    """Whether a small function may set or clear the flag."""
    for code in program.code.ranges:
        for place in (code.address + match.start() for match in matches(code.data, _BIT)):
            extent = told.holding(place)
            start, end = (place - _SMALL, place + _SMALL) if extent is None else (extent.start, extent.end)
            around = program.code.read(start, min(end, start + 2 * _SMALL))
            is_small = extent is None or end - start <= _SMALL
            if is_small and _INVALID in around and _FLAGS_WORD.search(around):
                return True
    return False
