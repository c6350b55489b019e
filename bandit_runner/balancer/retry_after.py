"""Reading `Retry-After` from a server that may send anything there (RFC 9110, section 10.2.3)."""

from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 3_600.0
"""Seconds. A server that asks for more is taken at this: it must not be able to silence itself for a year."""

MAX_BYTES: Final = 64


def retry_after_seconds(value: bytes, date: bytes | None) -> float | None:
    """The wait in seconds, 0 to `LONGEST`; None where the value means nothing.

    The header holds seconds or a date. A date is compared with the answer's own `Date`, never with a clock of ours:
    both are then the server's, and neither its time zone nor its drift matters. Without one a date means nothing.
    """
    value = value.strip()
    if not 0 < len(value) <= MAX_BYTES:
        return None
    if value.isdigit():
        return min(float(value), LONGEST)
    if date is None or len(date) > MAX_BYTES:
        return None
    try:
        wait = parsedate_to_datetime(value.decode("ascii")) - parsedate_to_datetime(date.decode("ascii"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(wait.total_seconds(), 0.0), LONGEST)
