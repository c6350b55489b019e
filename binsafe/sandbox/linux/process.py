"""The handle on a program that runs in a sandbox of Linux's."""

import contextlib
import os
import select
import signal
import socket
import subprocess
from typing import IO, TYPE_CHECKING, Final

from binsafe.sandbox.backends import Level

if TYPE_CHECKING:
    from binsafe.sandbox.linux.supervisor import Supervisor

_LISTEN = "0A"
"""State TCP_LISTEN in /proc/net/tcp (net/tcp_states.h)."""
_STATE, _INODE = 3, 9

HELD_UP_SECONDS: Final = 10.0
"""Time that the supervisor, and init, have to do their last. A program may hold up the one (a socket that lingers)."""


class Process:
    """A sandboxed program. Keep the thread that started it alive: the sandbox dies with that thread."""

    enforcement: Final[Level] = "full"
    """Each denial is held by at least one layer, or the program would not have been started."""

    untold: Final = None
    """Each denied call goes through the supervisor."""

    def __init__(
        self,
        middle: "subprocess.Popen[bytes]",
        supervisor: "Supervisor",
        control: socket.socket,
        backend: str,
        stdout: IO[bytes] | None,
    ) -> None:
        self.stdout = stdout
        """The program's standard output, where a pipe was asked for."""
        self.backend = backend
        self.pid = supervisor.pid
        self.supervisor = supervisor
        self._middle = middle
        self._control = control

    @property
    def unreported(self) -> int:
        """Violations that were only counted, because many of their kind had been reported."""
        return self.supervisor.reporter.unreported

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status (128+N after signal N); None while it still runs after ``timeout`` seconds."""
        if not self._has_ended(timeout):
            return None
        self._middle.wait()
        self.supervisor.ended.wait(HELD_UP_SECONDS)
        self.supervisor.reporter.close()
        code = self.supervisor.exit_code
        if code is None:
            return 128 + signal.SIGKILL
        return code if code >= 0 else 128 - code

    def _has_ended(self, timeout: float | None) -> bool:
        """Whether all processes of the sandbox end in that time: the outermost does so last."""
        if self._middle.returncode is not None:
            return True
        try:
            pidfd = os.pidfd_open(self._middle.pid)
        except ProcessLookupError:  # another thread has waited for it
            return True
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            return bool(poll.poll(None if timeout is None else timeout * 1000))
        finally:
            os.close(pidfd)

    def send_signal(self, number: int) -> None:
        """Forward a signal; nothing happens when the program has ended."""
        self.supervisor.send_signal(number)

    def stop(self, grace: float = 3.0) -> int:
        """SIGTERM, and after ``grace`` seconds the end of init, with which the kernel ends everything inside."""
        self.send_signal(signal.SIGTERM)
        self.send_signal(signal.SIGCONT)  # one that is stopped would never see it
        status = self.wait(grace)
        if status is None:
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            status = self.wait(HELD_UP_SECONDS)
        if status is None:  # init is stopped, and sees no end of a socket
            self._middle.kill()
            status = self.wait()
        return 128 + signal.SIGKILL if status is None else status

    def listening(self) -> frozenset[int]:
        """Ports whose listening socket is one that was made for this program and handed over to it."""
        inodes = _listening_inodes()
        return frozenset(port for port, inode in self.supervisor.grafts.items() if inode in inodes)


def _listening_inodes() -> frozenset[int]:
    """Inodes of the TCP sockets of our network namespace that listen."""
    found: set[int] = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as stream:
            next(stream)
            rows = (line.split() for line in stream if _LISTEN in line)  # splitting thousands that do not takes 4 ms
            found.update(int(row[_INODE]) for row in rows if row[_STATE] == _LISTEN)
    return frozenset(found)
