"""What an untrusted program prints: read to the end, so that it never blocks, and only the last of it kept."""

import os
import threading
from collections import deque
from typing import Final

KEPT_LINES: Final = 20
KEPT_CHARACTERS: Final = 300


class Output:
    """A pipe's reading end, drained by a thread. ``write_end`` goes to the program and is then closed here."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._thread = threading.Thread(target=self._drain, name="server-output", daemon=True)

    def start(self) -> None:
        """Begin to read; call it once the program has its own copy of the writing end."""
        os.close(self.write_end)
        self._thread.start()

    def last_lines(self, timeout: float = 1.0) -> list[str]:
        """The last lines; waits a moment for a program that has just ended. They are the program's: escape them."""
        self._thread.join(timeout)
        return list(self._lines)

    def _drain(self) -> None:
        with open(self._read_end, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
            while chunk := stream.readline(KEPT_CHARACTERS):
                self._lines.append(chunk.decode("utf-8", "backslashreplace").rstrip("\r\n"))
