"""A terminal of the program's own, where the user sits at one: of the same size, and as simple as a pipe otherwise.

Lines are edited, shown and interrupted by the user's terminal. A full-screen program wants each key at once and none of
them shown: what it asks of its terminal is done to the user's, as far as that can do no harm, and undone at the end.
"""

import contextlib
import errno
import fcntl
import os
import termios
import threading
import tty
from typing import Any, Final

from binsafe.sandbox.patience import Patience

Attributes = list[Any]
"""What tcgetattr(3) says, in the form of :mod:`termios`."""

_ECHO: Final = termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ECHONL
_CHANGEABLE: Final = (
    (tty.OFLAG, termios.OPOST | termios.ONLCR),
    (tty.LFLAG, termios.ICANON | termios.ISIG | termios.IEXTEN | _ECHO),
)
"""What of ours a program may change, beside how input is translated and which keys are special: not the speed (0 hangs
up), nor what holds output up or throws it away."""
_TIOCSIG, _TIOCGPTPEER = 0x4004_5436, 0x5441
"""asm-generic/ioctls.h"""
_CTRL_C: Final = b"\x03"
_NONE: Final = b"\0"
"""_POSIX_VDISABLE: no key is this one."""


class PseudoTerminal:
    """``slave`` is the program's end, until it has been closed; ``master`` is ours."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        itself = os.fstat(self.slave)
        self.identity = (itself.st_dev, itself.st_rdev)
        """The program's end, by whatever descriptor (``st_dev`` and ``st_rdev`` of stat(2))."""
        self._plain = termios.tcgetattr(self.slave)
        self._plain[tty.OFLAG] &= ~termios.OPOST
        self._plain[tty.LFLAG] &= ~(termios.ECHO | termios.ISIG)  # our own terminal does that
        termios.tcsetattr(self.slave, termios.TCSANOW, self._plain)
        self._before = termios.tcgetattr(0)
        self._given = self._before
        self._lock = threading.RLock()
        self._patience = Patience()
        self._ended = False
        self.took_keys = False
        """Whether the program ever wanted each key by itself, as those do that draw on the screen."""
        self.seen = termios.tcgetattr(0)
        """Its attributes as the program sees them: those of ours, and what it has set itself."""
        self.resize()

    def resize(self) -> None:
        """Give it the size of ours."""
        with self._lock, contextlib.suppress(OSError, termios.error):
            if self.master >= 0:
                termios.tcsetwinsize(self.master, termios.tcgetwinsize(0))

    def close(self) -> None:
        """Let go of it, with which it hangs up."""
        with self._lock:
            os.close(self.master)
            self.master = -1

    def signal(self, number: int) -> None:
        """Signal whoever has it, as its keys would: the program, or its job in the foreground, with all processes."""
        with self._lock, contextlib.suppress(OSError):
            if self.master >= 0:
                fcntl.ioctl(self.master, _TIOCSIG, number)

    def opened(self, flags: int) -> int:
        """The program's end once more, as open(2) would open it: a new descriptor."""
        with self._lock:
            if self.master < 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return fcntl.ioctl(self.master, _TIOCGPTPEER, flags | os.O_NOCTTY | os.O_CLOEXEC)

    def holder(self) -> int:
        """The process group that has it; 0 where nobody controls it."""
        with self._lock, contextlib.suppress(OSError):
            return os.tcgetpgrp(self.master)
        return 0

    def end_of_file(self) -> bytes:
        """The character that ends its input."""
        return bytes(termios.tcgetattr(self.master)[tty.CC][termios.VEOF])

    def is_to_end(self, typed: bytes) -> bool:
        """Whether a user asks for the end by Ctrl-C, again and again, where that is a key like any other.

        A terminal whose Ctrl-C is a signal lets no such key through.
        """
        if typed.strip(_CTRL_C):
            self._patience.renew()
            return False
        return self._patience.ends(len(typed))

    def change(self, wanted: Attributes) -> None:
        """Do what the program asks of its terminal."""
        own = list(self._plain)
        if not wanted[tty.LFLAG] & termios.ICANON:
            self.took_keys = True
            own[tty.IFLAG] = own[tty.LFLAG] = 0  # each byte as ours lets it through
            own[tty.CC] = wanted[tty.CC]
        with self._lock:
            self.seen = wanted
            if not self._ended and self.master >= 0:
                termios.tcsetattr(self.master, termios.TCSANOW, own)
        self.reflect()

    def reflect(self) -> None:
        """Give our terminal what the program asked for, once it is ours to change: not from the background."""
        with self._lock:
            if not self._ended and not is_in_background(0):
                self._give(self._reflected())

    def resume(self) -> None:
        """We were stopped: whoever had the terminal meanwhile may have changed it."""
        with self._lock:
            self._given = []
        self.reflect()

    def suspend(self) -> None:
        """Put our terminal back for whoever is next, as long as we are stopped."""
        with self._lock:
            if not is_in_background(0):
                self._give(self._before)

    def restore(self) -> None:
        """Put our terminal back, for good."""
        with self._lock:
            self.suspend()
            self._ended = True

    def _give(self, attributes: Attributes) -> None:
        if attributes != self._given:
            with contextlib.suppress(termios.error):  # it is gone
                termios.tcsetattr(0, termios.TCSANOW, attributes)
                self._given = attributes

    def _reflected(self) -> Attributes:
        """Ours, with what may change as the program wants it."""
        if self.seen == self._before:
            return self._before
        mixed = list(self._before)
        mixed[tty.IFLAG] = self.seen[tty.IFLAG]
        for part, changeable in _CHANGEABLE:
            mixed[part] = (self._before[part] & ~changeable) | (self.seen[part] & changeable)
        mixed[tty.CC] = self._without_ctrl_c(self.seen[tty.CC])
        if not mixed[tty.LFLAG] & termios.ICANON:
            mixed[tty.CC][termios.VMIN], mixed[tty.CC][termios.VTIME] = 1, 0  # nothing typed is no end
        else:  # a key waits for the end of its line, or for ever: only as a signal it comes at once
            mixed[tty.LFLAG] |= self._before[tty.LFLAG] & termios.ISIG
            mixed[tty.CC][termios.VINTR] = self._before[tty.CC][termios.VINTR]
        return mixed

    def _without_ctrl_c(self, characters: list[Any]) -> list[Any]:
        """The special characters as the program wants them, but for one that would swallow the user's Ctrl-C."""
        ctrl_c = self._before[tty.CC][termios.VINTR]
        return [_NONE if each == ctrl_c and place != termios.VINTR else each for place, each in enumerate(characters)]


def is_in_background(terminal: int) -> bool:
    """Whether it is our controlling terminal and another process group has it: to read or change it would stop us."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # not our controlling terminal
        return False
