"""The delivery of violations: counted, capped, and never blocking the supervised program.

The thread that answers a program's calls must not wait for a terminal that is not read, and an error of the reader's
(a full disk, a closed pipe) must not end a program that did nothing wrong. So violations go through a bounded queue to
a thread of their own; what does not fit, or could not be told, is counted.
"""

import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from binsafe.model import Violation

REPORTED_EACH: Final = 5
REPORTED_PER_CALL: Final = 200
"""Violations that are reported singly, of one call with one object and of one call with any; the rest is counted.

What ordinary programs try on the way is counted apart: a thousand such look-ups must not hide one that is none.
"""

REPORTED_CHARACTERS: Final = 65_536
"""Characters of the objects that are reported singly of one call: two hundred names of 4,000 would fill a screen."""

MAX_WAITING: Final = 1000
"""Violations that may wait for the reader."""

MAX_OBJECTS: Final = 10_000
"""Different objects that are told apart; further ones count as one, so that inventing names takes no memory."""

FLUSH_SECONDS: Final = 1.0


class Reporter:
    """Hands violations to ``tell``, one after the other, in a thread of its own."""

    def __init__(self, tell: Callable[[Violation], None]) -> None:
        self._tell = tell
        self._waiting: queue.Queue[Violation | None] = queue.Queue(MAX_WAITING)
        self._calls: Counter[tuple[str, bool]] = Counter()
        self._objects: Counter[tuple[str, bool, int]] = Counter()
        """By their hashes: a program's names may be long."""
        self._characters: Counter[tuple[str, bool]] = Counter()
        self._omitted = self._queued = self._told = 0
        self._thread = threading.Thread(target=self._run, name="binsafe-reporter", daemon=True)
        self._thread.start()

    @property
    def unreported(self) -> int:
        """Violations that were only counted, and such as have not been told."""
        return self._omitted + self._queued - self._told

    def admits(self, kind: str, object_: str, *, expected: bool = False) -> bool:
        """Whether one more of its kind is reported singly; counts it either way, an ``expected`` one in silence."""
        self._calls[kind, expected] += 1
        key = (kind, expected, hash(object_) if len(self._objects) < MAX_OBJECTS else 0)
        self._objects[key] += 1
        if self._calls[kind, expected] <= REPORTED_PER_CALL and self._objects[key] <= REPORTED_EACH:
            self._characters[kind, expected] += len(object_)
            if self._characters[kind, expected] <= REPORTED_CHARACTERS:
                return True
        self._omitted += not expected
        return False

    def report(self, violation: Violation) -> None:
        """Queue a violation; never waits and never fails."""
        try:
            self._waiting.put_nowait(violation)
        except queue.Full:
            self._omitted += 1
        else:
            self._queued += 1

    def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """Let what waits be told, for ``seconds`` at most."""
        try:
            self._waiting.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _run(self) -> None:
        while (violation := self._waiting.get()) is not None:
            with contextlib.suppress(Exception):  # the reader's trouble is not the program's
                self._tell(violation)
                self._told += 1
