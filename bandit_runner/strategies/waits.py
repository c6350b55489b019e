"""Waits: which there are, which ids were told to, so that each waits only so long, and what a Retry-After says."""

import bisect
import operator
from typing import Annotated, Final

import msgspec

from bandit_runner.strategies.base import Seconds
from bandit_runner.strategies.masked_thompson import MAX_PAUSE
from bandit_runner.strategies.weighted import CERTAIN

PAUSES: Final = (0.03, 0.06, 0.12, 0.25, 0.5)
"""Seconds: the waits that are considered."""
RETRY_UNIT: Final = 1.0
"""Seconds. Retry-After counts whole ones, rounded up: the server may be free that much sooner."""
EARLY: Final = 0.002
"""Seconds. Timers may fire that much too early (uvloop's count milliseconds)."""
FORGOTTEN: Final = 10.0
"""Seconds after which an id that did not come back is not expected any more."""
MAX_WAITS: Final = 1024
"""Waits that are remembered; ids beyond wait without being remembered, which costs them nothing but patience."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An id that was told to wait: at which attempt, until when, and how long in all."""

    attempt: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    until: Seconds
    waited: Seconds


UNTIL: Final = operator.attrgetter("until")
"""By which the ids that wait are in order."""


def remember(waiting: list[Waiting], each: Waiting) -> None:
    """Put an id that was told to wait among the others, by when it is to come back."""
    bisect.insort(waiting, each, key=UNTIL)


def resumed(waiting: list[Waiting], now: float, attempt: int) -> float:
    """How long the id that asks has waited before this attempt; it is taken out of those that wait, soonest first.

    Ids have no name here. One that asks at the attempt at which another was to come back, and not before its time, is
    taken for it; if it is not, the two have changed places.

    >>> waiting = [Waiting(attempt=1, until=5.0, waited=0.25)]
    >>> resumed(waiting, 4.9, 1), resumed(waiting, 5.0, 0), resumed(waiting, 5.0, 1), resumed(waiting, 5.0, 1)
    (0.0, 0.0, 0.25, 0.0)
    """
    while waiting and not -MAX_PAUSE < now - waiting[0].until < FORGOTTEN:
        del waiting[0]
    for place, each in enumerate(waiting):
        if each.until > now + EARLY:
            break
        if each.attempt == attempt:
            return waiting.pop(place).waited
    return 0.0


def told(chance: float, ahead: float) -> float:
    """The chance to be admitted so many seconds before a server opens that has said when (negative: since then).

    >>> told(0.5, 3.0), told(0.5, 0.4), told(0.5, -1.0)
    (0.005, 0.5, 0.998)
    """
    low, high = CERTAIN
    if ahead >= RETRY_UNIT:
        return low
    return max(chance, high) if ahead <= 0 else chance
