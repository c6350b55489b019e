"""The processes in a sandbox, by the numbers that they have inside (pid_namespaces(7)).

Only to say what a call was for: whom it reaches is the kernel's to decide.
"""

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_NEIGHBOURS: Final = 1024
"""Processes that are looked at; a sandbox has some hundreds at most (RLIMIT_NPROC)."""

_INIT: Final = 1
_EVERYBODY: Final = -1


class _Numbers(NamedTuple):
    """A process: its id on the host and its parent's, and its id and process group inside."""

    host: int
    parent: int
    own: int
    group: int


def finds_process(caller: int, target: int) -> bool:
    """Whether kill(2) with that first argument finds anybody; ``caller`` is the calling thread's id on the host.

    True as well where that cannot be told any more. Init does not count: it is ours.
    """
    try:
        if target == 0:
            return True
        members = list(_members(caller))
        if target == _EVERYBODY:
            own = _process(caller)
            return any(each.host != own for each in members)
        return any(target in (each.own, -each.group) for each in members)
    except (OSError, ValueError, KeyError):
        return True


def finds_thread(caller: int, target: int) -> bool:
    """Whether a call that takes a thread's number finds one, as `finds_process`."""
    try:
        tasks = (
            f"{each.host}/task/{task}" for each in _members(caller) for task in os.listdir(f"/proc/{each.host}/task")
        )
        return any(int(_status(task)["NSpid"].split()[-1]) == target for task in tasks)
    except (OSError, ValueError, KeyError):
        return True


def count_tasks(caller: int) -> int:
    """How many processes and threads RLIMIT_NPROC counts: all of the caller's sandbox, init and who started that.

    0 where that cannot be told any more.
    """
    try:
        return 1 + sum(len(os.listdir(f"/proc/{each.host}/task")) for each in _family(_init(caller)))
    except (OSError, ValueError, KeyError):
        return 0


def is_own_thread(caller: int, target: int) -> bool:
    """Whether a thread, by its number on the host, is of the caller's own process."""
    return target > 0 and os.path.exists(f"/proc/{caller}/task/{target}")


def is_interrupted(thread: int) -> bool:
    """Whether a signal waits that this very thread will handle (proc(5), status)."""
    status = _status(thread)
    waiting, shared, blocked, caught = (int(status[name], 16) for name in ("SigPnd", "ShdPnd", "SigBlk", "SigCgt"))
    if int(status["Threads"]) == 1:  # else another thread may take what is for the process
        waiting |= shared
    return bool(waiting & ~blocked & caught)


def own_numbers(thread: int) -> frozenset[int]:
    """The numbers that a thread and its process have for themselves; none where that cannot be told any more."""
    try:
        status = _status(thread)
        return frozenset(int(status[name].split()[-1]) for name in ("NSpid", "NStgid"))
    except (OSError, ValueError, KeyError):
        return frozenset()


def _members(caller: int) -> Iterator[_Numbers]:
    """All processes of the caller's sandbox but init."""
    return (each for each in _family(_init(caller)) if each.own != _INIT)


def _init(caller: int) -> int:
    first = _process(caller)
    while (numbers := _numbers(first)).own != _INIT:
        first = numbers.parent
    return first


def _family(first: int) -> Iterator[_Numbers]:
    waiting = [first]
    for _ in range(MAX_NEIGHBOURS):
        if not waiting:
            return
        process = waiting.pop()
        yield _numbers(process)
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/children", encoding="ascii") as stream:
                waiting += map(int, stream.read().split())


def _process(thread: int) -> int:
    return int(_status(thread)["Tgid"])


def _numbers(process: int) -> _Numbers:
    status = _status(process)
    own, group = (int(status[name].split()[-1]) for name in ("NSpid", "NSpgid"))
    return _Numbers(process, int(status["PPid"]), own, group)


def _status(process: int | str) -> dict[str, str]:
    with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as stream:
        return {name: value for name, _, value in (line.partition(":") for line in stream)}
