"""A program under sandbox-exec: tied to us by a guard, listened to, ended. Works on every POSIX system."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from binsafe.errors import NotEnforceable
from binsafe.model import Policy
from binsafe.paths import is_inside
from binsafe.sandbox import guard
from binsafe.sandbox.backends import Level, Order
from binsafe.sandbox.macoslog import LogReader
from binsafe.sandbox.reporting import Reporter


class Guarded:
    """A command in a process group that dies with us (see ``guard.py``)."""

    def __init__(self, command: Sequence[str], order: Order, *, scratch: Path | None = None) -> None:
        lifeline, self._lifeline = os.pipe()
        report, told = os.pipe()
        guarding = [sys.executable, "-I", "-S", guard.__file__, str(lifeline), str(told), limits_of(order.policy)]
        with open(report, "rb") as stream:
            try:
                self.popen = subprocess.Popen(
                    [*guarding, *command],
                    pass_fds=(lifeline, told),
                    env=order.environment() | ({"TMPDIR": str(scratch)} if scratch is not None else {}),
                    cwd=working_folder(order.policy),
                    stdin=order.stdin,
                    stdout=order.stdout,
                    stderr=order.stderr,
                )
            except BaseException:
                self.end()
                raise
            finally:
                os.close(lifeline)
                os.close(told)
            pid = stream.read()
        if not pid:  # and never a number that kill(2) would take for more than one process
            self.end()
            self.popen.wait()
            raise NotEnforceable("what guards the program could not start it", hint="allow more processes: ulimit -u")
        self.pid = int(pid)

    def end(self) -> None:
        """Let go of the lifeline, at whose end the guard kills the group. Idempotent."""
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)


class SeatbeltProcess:
    """A program under sandbox-exec."""

    backend: Final = "sandbox-exec"
    enforcement: Final[Level] = "partial"

    def __init__(
        self,
        guarded: Guarded,
        folder: Path,
        ports: tuple[int, ...],
        *,
        log: LogReader | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.pid = guarded.pid
        self._guarded = guarded
        self._folder = folder
        self._ports = ports
        self._log = log
        self._reporter = reporter
        self._finished = False

    @property
    def unreported(self) -> int:
        """Denials that were only counted."""
        return self._reporter.unreported if self._reporter is not None else 0

    @property
    def untold(self) -> str | None:
        """Why denials may have gone unreported."""
        return self._log.trouble if self._log is not None else None

    @property
    def stdout(self) -> IO[bytes] | None:
        """The program's standard output, where a pipe was asked for."""
        return self._guarded.popen.stdout

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status (128+N after signal N); None while it still runs after ``timeout`` seconds."""
        try:
            status = self._guarded.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._guarded.end()
        if status < 0:  # somebody killed the guard, and the program may go on
            guard.kill(self.pid)
            status = 128 - status
        self._finish()
        return status

    def _finish(self) -> None:
        """Report what is left in the log, and clean up. Idempotent."""
        finished, self._finished = self._finished, True
        if self._log is not None and not finished:
            self._log.close()
        if self._reporter is not None and not finished:
            self._reporter.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def send_signal(self, number: int) -> None:
        """Forward a signal; nothing happens when the program has ended."""
        with contextlib.suppress(ProcessLookupError):
            if self._guarded.popen.poll() is None:
                os.kill(self.pid, number)

    def stop(self, grace: float = 3.0) -> int:
        """SIGTERM, and after ``grace`` seconds SIGKILL for its whole group."""
        self.send_signal(signal.SIGTERM)
        status = self.wait(grace)
        if status is None:
            self._guarded.end()
            status = self.wait()
        return 128 + signal.SIGKILL if status is None else status

    def listening(self) -> frozenset[int]:
        """Granted ports that accept a connection now; each was free before the start, so it is this program's."""
        return frozenset(port for port in self._ports if _accepts(port))


def limits_of(policy: Policy) -> str:
    """The policy's limits as ``guard.py`` takes them, but for ``nproc``.

    XNU counts all processes of the user against it (kern_fork.c), and a session has more than any limit worth the name:
    a program that may start others could start none.
    """
    limits = (grant for grant in policy.of("limit") if grant.object != "nproc")
    return ",".join(f"{grant.object.upper()}={int(grant.access)}" for grant in limits)


def working_folder(policy: Policy) -> str:
    """Ours, if it is granted or in something granted."""
    here = os.getcwd()
    granted = (grant.object for kind in ("read", "write") for grant in policy.of(kind) if grant.object.startswith("/"))
    return here if is_inside(here, *granted) else "/"


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(0.2)
        return client.connect_ex(("127.0.0.1", port)) == 0
