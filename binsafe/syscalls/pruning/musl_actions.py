"""The file action ``fchdir``, where a program never gives it to musl's ``posix_spawn``, in static programs.

In the child (``child`` in ``src/process/posix_spawn.c``) a table of jumps leads to what each action is. An action is
an object of its own (``src/process/fdop.h``), made by a function that stores the action's number and behind it the
descriptor (``src/process/posix_spawn_file_actions_addfchdir.c``; ``..._adddup2.c`` does the same). gcc and clang make
two stores of that at each level. Where the action ``dup2`` is seen to be made like this and ``fchdir`` is not there is
none: too much looks so, if anything. Where neither is seen these functions were built in another way, and nothing is
left out. Nor is it where musl may have been compiled as one with the program (`musl.is_apart`), so that a number of the
program's stands where the parameter did.
"""

import re
from collections.abc import Callable, Container, Iterator
from collections.abc import Set as AbstractSet

from binsafe.formats.structure import matches
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.glibc import is_static_glibc
from binsafe.syscalls.machines.machine import Flow
from binsafe.syscalls.pruning import musl
from binsafe.syscalls.tables import numbers

_DUP2, _FCHDIR = 2, 5
"""``FDOP_DUP2`` and ``FDOP_FCHDIR``: the number stands at 16, and the descriptor behind it."""
_NUMBERED = rb"\xc7(?:[\x40-\x43\x45-\x47]|\x44\x24)\x10%c\0\0\0"
"""``mov dword ptr [register + 16], number``"""
_WRITTEN = rb"[\x89\xc7][\x40-\x7f]\x24?%c"
"""``mov dword ptr [register + distance]``, whatever it is."""
_DESCRIPTOR, _SOURCE = 20, 24
"""Where the descriptor stands, and for ``dup2`` the other one."""
_NEAR = 32
"""Bytes between two instructions that compilers put behind each other."""
_BLOCK = 12
"""Instructions for one action, at most."""


def never_taken(program: Program, child: Region, made_at: Callable[[int], AbstractSet[int]]) -> set[tuple[int, int]]:
    """Edges of the child, between its instructions by index, to the code for the action if it is never added.

    ``made_at`` gives the numbers of the calls that are made at an instruction.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    table = program.jumped_to(child)
    if not table or is_static_glibc(program.slice.data) or not musl.is_apart(program):
        return set()
    if not _may_add(program, _DUP2, _DESCRIPTOR, _SOURCE) or _may_add(program, _FCHDIR, _DESCRIPTOR):
        return set()
    wanted = {numbers(program.machine.arch)["fchdir"]}
    leads = {target for target in table if wanted == set().union(*map(made_at, _block(child, target, table)))}
    return {(jump, target) for target in leads for jump in table[target]}


def _block(child: Region, start: int, table: Container[int]) -> Iterator[int]:
    """The instructions from one on up to a jump, or to where something else leads."""
    for at in range(start, min(start + _BLOCK, len(child.instructions))):
        if at != start and (at in table or at in child.jumps_to):
            break
        yield at
        if child.leaving(at) in {Flow.JUMP, Flow.RETURN, Flow.INDIRECT}:
            break


def _may_add(program: Program, action: int, *places: int) -> bool:
    """Whether an action may be made anywhere, of which some words are written beside the number."""
    numbered = re.compile(_NUMBERED % action)
    beside = [re.compile(_WRITTEN % place) for place in places]
    for code in program.code.ranges:
        for match in matches(code.data, numbered):
            around = code.data[max(0, match.start() - _NEAR) : match.end() + _NEAR]
            if all(each.search(around) for each in beside):
                return True
    return False
