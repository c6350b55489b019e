"""Calls that name another process or thread: when they come by the supervisor, and whether they find anybody.

What is asked of the program itself (by far most of it) is decided by the filter; the rest comes by, so that a hostile
program's look at others can be named. Where there is a pid namespace the kernel decides, and we only say what it will.
Where there is none a thread of another process is not found: all numbers are registers, which cannot change any more.
"""

from typing import Final, NamedTuple

from binsafe.sandbox.linux.alone import PRIO_PGRP, PRIO_PROCESS
from binsafe.sandbox.linux.describing import signed
from binsafe.sandbox.linux.neighbours import finds_process, finds_thread, is_own_thread, own_numbers
from binsafe.sandbox.linux.notifications import Call

SIGNALS: Final = frozenset({"kill", "tkill", "tgkill", "pidfd_open", "fcntl"})
"""Those of them that are about signals."""

_PLACES: Final = {"tgkill": 1, "fcntl": 2}
"""The argument with the number, where it is not the first."""


class Target(NamedTuple):
    """The target of a call: in words, and whether a process of that number is in the sandbox."""

    object: str
    found: bool


def target_of(call: Call, name: str, *, alone: bool) -> Target:
    """``alone`` says that there is no pid namespace: then the program itself is all that it may find."""
    if name in ("getpriority", "setpriority"):
        return _whose_priority(call, *map(signed, call.arguments[:2]), alone=alone)
    number = signed(call.arguments[_PLACES.get(name, 0)])
    if name in ("kill", "pidfd_open", "fcntl"):
        return Target(f"process {number}", finds_process(call.pid, number))
    return _thread(call, number, "thread" if name in ("tkill", "tgkill") else "process", alone=alone)


def is_to_itself(call: Call) -> bool:
    """Whether a kill(2) is for the calling process, or for its group, in which there are none but the sandbox's.

    Programs end so by the signal that they have caught, and stop so for Ctrl-Z (ncurses).
    """
    number = signed(call.arguments[0])
    return number == 0 or number in own_numbers(call.pid)


def _whose_priority(call: Call, which: int, number: int, *, alone: bool) -> Target:
    if which == PRIO_PROCESS:
        return _thread(call, number, "process", alone=alone)
    if which == PRIO_PGRP:
        return Target(f"process group {number}", not alone and (number == 0 or finds_process(call.pid, -number)))
    return Target(f"user {number}", not alone)


def _thread(call: Call, number: int, word: str, *, alone: bool) -> Target:
    found = is_own_thread if alone else finds_thread
    return Target(f"{word} {number}", found(call.pid, number))
