"""``binsafe run`` as a user types it, and what was left of it afterwards."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

BINSAFE = (sys.executable, "-m", "binsafe")
READY = 100.0
"""Seconds until a server must answer: the inspection of node alone is ten of them on one busy core."""
ENDED = 15.0


class Started:
    """A server under ``binsafe run``; leaving the context stops it as a service manager does, with SIGTERM."""

    def __init__(self, folder: Path, *command: str, start_in: Path | None = None) -> None:
        self.said = folder / "said"
        with self.said.open("wb") as said:
            self._process = subprocess.Popen(
                [*BINSAFE, "run", *command], stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=start_in
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        family = set(_descendants(self._process.pid))
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDED)
        self._process.kill()
        self._process.wait()
        self.left = {pid for pid in family if Path(f"/proc/{pid}").exists()}
        for pid in self.left:
            os.kill(pid, signal.SIGKILL)

    def get(self, host: str, port: int) -> bytes:
        """What the server answers to a client outside, as soon as it answers.

        Raises:
            AssertionError: it ended, or said nothing in time; with all that was printed.
        """
        deadline = time.monotonic() + READY
        while True:
            try:
                return _get(host, port)
            except OSError as problem:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{problem}\n{self.said.read_text()}") from problem
                time.sleep(0.1)


def _get(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b""
        while part := connection.recv(4096):
            answer += part
    if not answer:
        raise ConnectionResetError("it closed the connection without an answer")
    return answer.partition(b"\r\n\r\n")[2]


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(FileNotFoundError):  # ended
        yield from _children(pid)


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))
