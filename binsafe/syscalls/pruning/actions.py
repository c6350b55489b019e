"""File actions that a program never gives to ``posix_spawn``, in static programs of glibc.

In the child (``__spawni_child`` in ``sysdeps/unix/sysv/linux/spawni.c``) a table of jumps leads to what each action is.
An action is added by a function of its own (``posix/spawn_faction_add*.c``): it stores the action's number where the
last one ends, in an array of entries of 32 bytes, and counts up how many there are, in the second word of
``posix_spawn_file_actions_t``. Where all that is seen near each other, there may be the action: too many, if anything.
Where it is seen nowhere these functions were built in another way, and nothing is left out.
"""

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from binsafe.formats.eh_frame import Extent, Frames
from binsafe.syscalls.controlflow.jump_tables import tables_of
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.glibc import is_static_glibc
from binsafe.syscalls.tables import numbers

_ACTIONS = 7
"""``spawn_do_close`` to ``spawn_do_tcsetpgrp`` (``posix/spawn_int.h``)."""
_CHDIR, _FCHDIR = 3, 4
_STORED = re.compile(rb"\xc7(?:[\x00-\x03\x06\x07]|\x04.|\x45\x00)([\x00-\x06])\0\0\0", re.DOTALL)
"""``mov dword ptr [register], number``, and of the sum of two."""
_COUNT = re.compile(r"dword ptr \[r\w+ \+ 4\], ")
_SCALED = re.compile(r", (?:5|0x20)$")
_NEAR = 32
"""Instructions between both."""
_LONGEST = 16
"""Bytes of an instruction, and one."""


def never_taken(
    program: Program, child: Region, made_behind: Callable[[int], AbstractSet[int]]
) -> set[tuple[int, int]]:
    """Edges of the child, between its instructions by index, to the code for actions that are never added.

    ``made_behind`` gives the numbers of the calls that are made shortly behind an instruction.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    if len(child.indirect_jumps) != 1 or not is_static_glibc(program.slice.data):
        return set()
    jump, known = child.indirect_jumps[0], numbers(program.machine.arch)
    leads = _leads(program, child, jump)
    told = program.frames
    if len(leads) != _ACTIONS or told is None:
        return set()
    sure = known["chdir"] in made_behind(leads[_CHDIR]) and known["fchdir"] in made_behind(leads[_FCHDIR])
    added = _added(program, told) if sure else set()
    taken = {leads[action] for action in added}
    return {(jump, target) for target in leads if added and target not in taken}


def _leads(program: Program, child: Region, jump: int) -> list[int]:
    """Indices to which the table leads for each action; fewer where it is not understood."""
    table = (tables_of(program, child, {}) or {}).get(jump)
    if table is None or len(table.places) != 1:
        return []
    base, origin = table.places[0]
    targets = map(child.at, table.targets(program.code.constants(base, _ACTIONS * table.size), origin))
    return [target for target in targets if target is not None]


def _added(program: Program, told: Frames) -> set[int]:
    """The actions that there may be."""
    found: set[int] = set()
    for code in program.code.ranges:
        for match in _STORED.finditer(code.data):
            action, place = match[1][0], code.address + match.start()
            extent = told.holding(place)
            if action not in found and (extent is None or _counts(program, extent, place)):
                found.add(action)
    return found


def _counts(program: Program, extent: Extent, place: int) -> bool:
    """Whether near a place the second word of something is written, and an index of entries of 32 bytes computed."""
    reach = _NEAR * _LONGEST
    start = extent.start if place - extent.start <= reach else place - reach
    code = program.decoder.sweep(program.code.read(start, min(extent.end, place + reach)), start)
    counted = (_COUNT.match(code.operands(at)) and code.names[at] not in {"cmp", "test"} for at in range(len(code)))
    scaled = (
        name in {"shl", "sal", "imul"} and _SCALED.search(code.operands(at)) for at, name in enumerate(code.names)
    )
    return any(counted) and any(scaled)
