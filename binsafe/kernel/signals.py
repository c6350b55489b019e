"""Signals (asm/signal.h): the same on all processors that we support. Not Python's ``signal``, which loads ``enum``."""

from __future__ import annotations

import ctypes
import os

from binsafe.kernel.calls import check, libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SIGKILL: Final = 9
SIGPIPE: Final = 13
SIGCHLD: Final = 17
SIGXFSZ: Final = 25
_SIG_DFL: Final = 0
_SIG_BLOCK: Final = 0
_SIG_SETMASK: Final = 2
_TIOCSCTTY: Final = 0x540E
_SIGNAL_SET: Final = 128
"""Bytes of a C library's ``sigset_t``."""


def child_signals() -> int:
    """A descriptor that can be read when a child has ended; SIGCHLD does nothing else from here on (signalfd(2))."""
    default_signals(SIGCHLD)
    chosen = (1 << (SIGCHLD - 1)).to_bytes(_SIGNAL_SET, "little")
    check(libc.sigprocmask(ctypes.c_int(_SIG_BLOCK), chosen, None), "sigprocmask")
    return check(libc.signalfd(ctypes.c_int(-1), chosen, ctypes.c_int(os.O_NONBLOCK | os.O_CLOEXEC)), "signalfd")


def default_signals(*numbers: int) -> None:
    """Let these signals do what they do by default: what is ignored stays so across execve."""
    for number in numbers:
        libc.signal(ctypes.c_int(number), ctypes.c_void_p(_SIG_DFL))


def unblock_signals() -> None:
    """Let all signals through that were blocked."""
    check(libc.sigprocmask(ctypes.c_int(_SIG_SETMASK), bytes(_SIGNAL_SET), None), "sigprocmask")


def pause() -> None:
    """Wait for a signal."""
    libc.pause()


def control(terminal: int) -> None:
    """Make a terminal that nobody controls that of our session, which we lead: its keys signal us (ioctl_tty(2))."""
    check(libc.ioctl(ctypes.c_int(terminal), ctypes.c_ulong(_TIOCSCTTY), ctypes.c_int(0)), "TIOCSCTTY")
