"""The macOS backend: ``sandbox-exec`` with the rendered profile. Written from cited facts; it awaits a run on a Mac.

sandbox-exec(1) compiles the profile and executes the program under it; nobody leaves a sandbox, children inherit it.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from binsafe.model import Gap
from binsafe.renderers import render
from binsafe.sandbox import guard
from binsafe.sandbox.backends import Enforcement, Level, Order

SANDBOX_EXEC: Final = "/usr/bin/sandbox-exec"

_GAPS: Final = (
    Gap(id="loopback", reason="'localhost' in a profile also matches the machine's other addresses"),
    Gap(id="system-calls", reason="a profile names operations, not system calls: the list found is not enforced"),
    Gap(id="memory", reason="writable memory can be made executable"),
)


class SandboxExec:
    """Seatbelt, through the tool that macOS ships."""

    name = "sandbox-exec"
    system = "macos"

    def probe(self) -> Enforcement:
        """Whether the tool is there and starts a harmless program under a profile."""
        if not os.access(SANDBOX_EXEC, os.X_OK):
            gap = Gap(id="sandbox-exec", reason=f"{SANDBOX_EXEC} is not there", fix="macOS ships it")
            return Enforcement(level="none", gaps=(gap,))
        trial = [SANDBOX_EXEC, "-p", "(version 1)(allow default)", "/usr/bin/true"]
        if subprocess.run(trial, check=False, capture_output=True).returncode != 0:
            gap = Gap(id="nested", reason="sandbox-exec cannot start a program here", fix="not inside another sandbox")
            return Enforcement(level="none", gaps=(gap,))
        return Enforcement(level="partial", gaps=_GAPS)

    def launch(self, order: Order) -> "SeatbeltProcess":
        """Start a private copy of the inspected bytes under the rendered profile."""
        with contextlib.ExitStack() as undo:
            folder = Path(tempfile.mkdtemp(prefix="binsafe-")).resolve()
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            binary = private_copy(order.program, folder / Path(order.policy.artifact.name).name)
            profile = folder / "profile.sb"
            profile.write_text(render(order.policy, "seatbelt", binary=str(binary)).text)
            guarded = Guarded(command_line(profile, binary, order.arguments), order)
            undo.pop_all()
        return SeatbeltProcess(guarded, folder, order.policy.listen_ports())


def command_line(profile: Path, binary: Path, arguments: Sequence[str]) -> list[str]:
    """What starts ``binary`` under ``profile``; a list, never a string for a shell."""
    return [SANDBOX_EXEC, "-f", str(profile), str(binary), *arguments]


def private_copy(descriptor: int, target: Path) -> Path:
    """Write the inspected bytes to a file that only its owner may execute and nobody may change."""
    with (
        open(os.dup(descriptor), "rb") as source,
        open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o500), "wb") as out,
    ):
        source.seek(0)
        shutil.copyfileobj(source, out)
    return target


class Guarded:
    """A command in a process group that dies with us (see ``guard.py``); works on every POSIX system."""

    def __init__(self, command: Sequence[str], order: Order) -> None:
        lifeline, self._lifeline = os.pipe()
        report, told = os.pipe()
        try:
            self.popen = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, str(lifeline), str(told), *command],
                pass_fds=(lifeline, told),
                env=order.environment(),
                cwd="/",
                stdin=order.stdin,
                stdout=order.stdout,
                stderr=order.stderr,
            )
        finally:
            os.close(lifeline)
            os.close(told)
        with open(report, "rb") as stream:
            self.pid = int(stream.read() or -1)

    def end(self) -> None:
        """Kill the group; more than once does no harm."""
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)


class SeatbeltProcess:
    """A program under sandbox-exec."""

    backend: Final = "sandbox-exec"
    enforcement: Final[Level] = "partial"
    unreported: Final = 0
    """The unified log is not read yet, so nothing is reported or counted."""

    def __init__(self, guarded: Guarded, folder: Path, ports: tuple[int, ...]) -> None:
        self.pid = guarded.pid
        self._guarded = guarded
        self._folder = folder
        self._ports = ports

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
        shutil.rmtree(self._folder, ignore_errors=True)
        return status

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


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(0.2)
        return client.connect_ex(("127.0.0.1", port)) == 0
