"""Whether ports are free, and who holds one that is not."""

import contextlib
import errno
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bandit_runner.errors import PortTaken

LOOPBACK: Final = "127.0.0.1"
_AIRPLAY_PORT: Final = 5000
_LISTEN: Final = "0A"


def check_free(ports: Iterable[int], *, hint: str | None = None) -> None:
    """Try each port; raises PortTaken for the first that cannot be listened on, and says why."""
    for port in ports:
        if why := obstacle(port):
            raise PortTaken(f"port {port} {why}", hint=hint or _hint(port), port=port)


def obstacle(port: int) -> str | None:
    """Why a port cannot be listened on, as what can be said of it; who holds it is named where that can be known."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            trial.bind((LOOPBACK, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            return f"is taken{_by(holder(port))}" if taken else f"may not be listened on ({error.strerror})"
    return None


def holder(port: int) -> str | None:
    """The program that listens on a port, as "name (pid N)"; None where we may not know."""
    if sys.platform == "linux":
        return _linux_holder(port)
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = ["/usr/sbin/lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
        fields = {line[0]: line[1:] for line in done.stdout.splitlines() if line}
        if "p" in fields:
            return f"{fields.get('c', '?')} (pid {fields['p']})"
    return None


def _linux_holder(port: int) -> str | None:
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            rows = (line.split() for line in Path(table).read_text(encoding="ascii").splitlines()[1:])
            inodes.update(f"socket:[{row[9]}]" for row in rows if row[3] == _LISTEN and row[1].endswith(f":{port:04X}"))
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # another user's, or gone
            if any(str(descriptor.readlink()) in inodes for descriptor in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _by(name: str | None) -> str:
    return f" by {name}" if name else ""


def _hint(port: int) -> str:
    if sys.platform == "darwin" and port == _AIRPLAY_PORT:
        return "macOS's AirPlay Receiver holds 5000: System Settings > General > AirDrop & Handoff turns it off"
    return "stop that program, or the start that runs it; the servers need exactly their own ports"
