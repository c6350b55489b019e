"""What an untrusted program prints: read to the end, so that it never blocks, and only the last of it kept."""

import os
import threading
from collections import deque
from typing import Final

KEPT_LINES: Final = 20
KEPT_CHARACTERS: Final = 300
FIRST_LINE_BYTES: Final = 256 * 1024
"""The stand-in's first line tells its truth: about 20 KB."""


class Output:
    """A pipe's reading end, drained by a thread. ``write_end`` goes to the program and is then closed here."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._first: bytes | None = None
        self._thread = threading.Thread(target=self._drain, name="server-output", daemon=True)

    def start(self) -> None:
        """Begin to read; call it once the program has its own copy of the writing end."""
        os.close(self.write_end)
        self._thread.start()

    def last_lines(self) -> list[str]:
        """The last lines; waits a moment for a program that has just ended. They are the program's: escape them."""
        self._thread.join(timeout=1.0)
        return list(self._lines)

    @property
    def first_line(self) -> bytes | None:
        """What it printed first, up to the end of the line or 256 KB; None until then."""
        return self._first

    def _drain(self) -> None:
        with open(self._read_end, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
            self._first = stream.readline(FIRST_LINE_BYTES)
            self._keep(self._first[:KEPT_CHARACTERS])
            while chunk := stream.readline(KEPT_CHARACTERS):
                self._keep(chunk)

    def _keep(self, chunk: bytes) -> None:
        if chunk:
            self._lines.append(chunk.decode("utf-8", "backslashreplace").rstrip("\r\n"))
