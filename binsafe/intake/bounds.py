"""How much time and memory the processes may take that parse."""

import resource
import signal
import sys
import time
from pathlib import Path

from binsafe.limits import MAX_LAST_WORDS_BYTES, WORKER_BYTES, WORKER_KEPT_BYTES, WORKER_SECONDS

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NO_CORE = 1 if sys.platform == "linux" else 0
"""Where Linux pipes core dumps to a program, as root, 0 stops nothing, and 1 does (fs/coredump.c)."""


def limit_memory() -> None:
    """Limit this process's address space, and those of its children; and leave no core behind."""
    _limit(resource.RLIMIT_AS, WORKER_BYTES)
    _limit(resource.RLIMIT_CORE, _NO_CORE)


def limit_time() -> None:
    """Begin an order: from now on this process may take so many seconds more."""
    _limit(resource.RLIMIT_CPU, int(time.process_time()) + WORKER_SECONDS)


def limit_output() -> None:
    """Limit the size of files that this process writes: its standard error is one, in its parent's memory."""
    _limit(resource.RLIMIT_FSIZE, MAX_LAST_WORDS_BYTES)


def end_with_parent() -> None:
    """Let this process be killed when its parent ends, however busy it is (Linux, prctl(2))."""
    if sys.platform == "linux":
        import ctypes  # whoever parses has loaded it

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL.value)


def keep_freed_memory() -> None:
    """Let glibc keep the memory of large arrays for the next ones from the start, as it does when it has met some.

    Until then each takes a system call and a fault for each page: mallopt(3), with the most that it comes to by itself.
    """
    if sys.platform == "linux":
        import ctypes  # whoever parses has loaded it

        change = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if change is not None:
            change(_M_MMAP_THRESHOLD, 32 * 1024**2)
            change(_M_TRIM_THRESHOLD, 64 * 1024**2)


def has_grown() -> bool:
    """Whether this process has taken too much memory to be given another file."""
    return _peak_bytes() > WORKER_KEPT_BYTES


def _limit(kind: int, value: int) -> None:
    """Lower or raise the soft limit; the hard one stays, so that the next order can have more time."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, hard))
    except (OSError, ValueError):
        if sys.platform == "linux":  # macOS refuses RLIMIT_AS below what it has mapped already
            raise


def _peak_bytes() -> int:
    """The most memory that this program has had at once.

    Linux tells it of the address space, which began with our execve (``VmHWM``, proc(5)); its ``ru_maxrss`` keeps what
    whoever forked us had. macOS has only the latter, in bytes, and so have kernels that stand in for Linux (gVisor).
    """
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":
        return most
    return 1024 * _peak_of(Path("/proc/self/status").read_text(encoding="ascii", errors="replace"), most)


def _peak_of(status: str, otherwise: int) -> int:
    """What /proc/self/status says of it, in KiB; ``otherwise`` where it says nothing."""
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), otherwise)
