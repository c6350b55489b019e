"""How many ids come: counted as they come, older ones less."""

import math
from typing import Annotated, Final

import msgspec

from bandit_runner.strategies.base import Seconds
from bandit_runner.strategies.masked_thompson import MAX_PAUSE

WINDOW: Final = 20.0
"""Seconds over which ids are counted."""
AT_ONCE: Final = 0.05
"""Seconds: ids that come within so many are counted as if at the same moment."""


class Arrivals(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``ids``: how many came lately; ``since`` when they are counted, and when the ``last`` one was.

    >>> arrivals = Arrivals()
    >>> for tenth in range(300):
    ...     arrivals.count(tenth / 10)
    >>> round(arrivals.expected(30.0, ahead=10.0))
    100
    """

    ids: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0
    since: Seconds = 0.0
    last: Seconds = 0.0

    def count(self, now: float) -> None:
        """One more has come."""
        passed = now - self.last
        if self.ids and 0 <= passed < AT_ONCE:
            self.ids += 1
            return
        if self.ids == 0 or not 0 <= passed < MAX_PAUSE:
            self.ids, self.since, passed = 0.0, now, 0.0
        self.ids = self.ids * math.exp(-passed / WINDOW) + 1
        self.last = now

    def expected(self, now: float, *, ahead: float) -> float:
        """How many come in the next ``ahead`` seconds, at least one, if they go on as they came."""
        return max(1.0, self._rate(now) * ahead)

    def horizon(self, now: float, *, ids: float, least: float) -> float:
        """Seconds in which so many come, but no more than they have been counted for; ``least`` or more.

        >>> arrivals = Arrivals()
        >>> for second in range(100):
        ...     arrivals.count(second)
        >>> round(arrivals.horizon(100.0, ids=30, least=10.0)), arrivals.horizon(100.0, ids=5, least=10.0)
        (29, 10.0)
        """
        return max(least, min(ids / self._rate(now), now - self.since)) if self.ids else least

    def _rate(self, now: float) -> float:
        """Ids per second."""
        window = WINDOW * (1 - math.exp(-max(now - self.since, 1.0) / WINDOW))
        return self.ids / window
