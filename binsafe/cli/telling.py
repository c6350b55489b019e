"""What is said of a program's denials, while it runs and at its end.

Written past Python's buffers: an unread standard error must not hold up the end, nor a full disk break it.
"""

import contextlib
import os
import select
from collections import Counter
from pathlib import Path

import msgspec

from binsafe.model import Violation

_STDERR = 2


class Teller:
    """Tells violations on standard error, and as JSON lines in ``report``."""

    def __init__(self, report: Path | None) -> None:
        self._report = report.open("wb", buffering=0) if report is not None else None
        self._told: Counter[str] = Counter()
        self._sentences: set[str] = set()
        self._usual = self._again = 0

    def tell(self, violation: Violation) -> None:
        """Tell one; what ordinary programs try on the way, and what was said before, goes to the file only."""
        if violation.expected:
            self._usual += 1
        elif (sentence := violation.sentence) in self._sentences:
            self._again += 1
        else:
            from binsafe.reports.escape import escape

            self._sentences.add(sentence)  # no more of them than are reported singly
            self._told[violation.operation] += 1
            os.write(_STDERR, f"{escape(sentence)}\n".encode())
        if self._report is not None:
            self._report.write(msgspec.json.encode(violation) + b"\n")

    def sum_up(self, unreported: int) -> None:
        """One line at the end, if there is anything to say and anybody listens."""
        if not self._told and not unreported:
            return
        kinds = ", ".join(f"{operation} {count}" for operation, count in self._told.most_common())
        unshown = unreported + self._again
        parts = [f"{self._told.total() + unshown} denied" + (f": {kinds}" if kinds else "")]
        if unshown:
            parts.append(f"{unshown} more were counted, not shown")
        if self._usual:
            parts.append(f"{self._usual} that ordinary programs do without are in --report only")
        mention("; ".join(parts))


def mention(message: str) -> None:
    """A line on standard error unless that would mean waiting."""
    poll = select.poll()
    poll.register(_STDERR, select.POLLOUT)
    if any(event & select.POLLOUT for _, event in poll.poll(0)):
        with contextlib.suppress(OSError):
            os.write(_STDERR, f"{message}\n".encode())
