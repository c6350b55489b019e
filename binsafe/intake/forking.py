"""A child that begins where we are: it has loaded already what we have, which saves the start of an interpreter.

Only where that is safe and buys something: on Linux, in a process of one thread (a lock that another thread held would
never be released in the child) that is still small (the child's memory is limited with what it inherits).
"""

import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from binsafe.intake.bounds import end_with_parent

_MOST_BYTES = 64 * 1024**2
_STEP = 0.002
_FRAME_WORDS = 1 << 14
"""Of a frame so large that the piece of memory in which it lies has room for a thousand others."""


def can_fork() -> bool:
    """Whether this process may make such children."""
    if sys.platform != "linux":
        return False
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])  # in pages (proc(5))
    return resident * os.sysconf("SC_PAGE_SIZE") <= _MOST_BYTES and len([*Path("/proc/self/task").iterdir()]) == 1


class Forked:
    """A child process, as `subprocess.Popen` tells of one."""

    def __init__(self, work: Callable[[], None], *, keep: Collection[int], said: int) -> None:
        """Do ``work`` in a session of its own, with no descriptors but ``keep``; what it says goes to ``said``.

        It ends with us, however busy it is.
        """
        self.returncode: int | None = None
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _be_child(work, keep, said, parent)

    def poll(self) -> int | None:
        """Its exit status, minus the signal that ended it; None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int | None:
        """The same, once it has ended; None if it has not within ``timeout`` seconds."""
        if timeout is None:
            return self._wait(0)
        ends = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < ends:
            time.sleep(_STEP)
        return self.returncode

    def kill(self) -> None:
        """End it."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode


def _be_child(work: Callable[[], None], keep: Collection[int], said: int, parent: int) -> None:
    """Never comes back: nothing of ours that is buffered or registered for the end may happen twice."""
    status = 1
    try:
        end_with_parent()
        if os.getppid() != parent:  # it has ended already
            return
        gc.freeze()  # to look for cycles in what we were born with would copy all of it
        os.setsid()  # Ctrl-C is for our parent to handle: it ends us
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor, standard in ((nothing, 0), (nothing, 1), (said, 2)):
            os.dup2(descriptor, standard)
        _close_all_but({0, 1, 2, *keep})
        roomily(work)
        status = 0
    except BaseException as error:  # noqa: BLE001 - the process ends here
        os.write(2, f"{type(error).__name__}: {error}".removesuffix(": ").encode("utf-8", "replace"))
    finally:
        os._exit(status)


def roomily(work: Callable[[], None]) -> None:
    """Do ``work`` with room for the frames of what it calls in one piece of memory, however deep our caller is.

    CPython (3.11 and later) takes 16 KiB at a time for frames, and gives a piece back when the last frame in it ends.
    Where a loop's calls happen to begin a new piece each of them takes two system calls and a page fault: an analysis
    then takes twice its time.
    """
    work()


roomily.__code__ = roomily.__code__.replace(co_stacksize=_FRAME_WORDS)


def _close_all_but(keep: Collection[int]) -> None:
    """Those that there are, not those that there could be: a limit may be 2^30, or lowered since they were opened."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers
        if int(name) not in keep:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(int(name))
