"""What ``best`` remembers, as its snapshots hold it."""

from typing import Final

import msgspec

from bandit_runner.strategies.arrivals import Arrivals
from bandit_runner.strategies.base import Memory, Seconds
from bandit_runner.strategies.prices import Prices
from bandit_runner.strategies.rate_limits import Packed
from bandit_runner.strategies.strain import Packed as PackedStrain
from bandit_runner.strategies.waits import Waiting

LOST: Final = 10.0
"""Seconds after which an attempt that was chosen is taken for one that will never be told of."""


class BestMemory(Memory):
    """Counts of each arm, for people; ids that wait and that come, attempts under way; the rest for snapshots only.

    >>> BestMemory(arms=[]).beliefs(attempts=3)
    Traceback (most recent call last):
    ValueError: no beliefs
    """

    waiting: list[Waiting] = msgspec.field(default_factory=list)
    under_way: list[list[Seconds]] = msgspec.field(default_factory=list)
    """Of each arm, when attempts were chosen that have not come back."""
    limits: Packed | None = None
    luck: list[list[float]] = msgspec.field(default_factory=list)
    quality: list[float | list[float] | None] = msgspec.field(default_factory=list)
    strain: PackedStrain | None = None
    opens: list[Seconds | None] = msgspec.field(default_factory=list)
    prices: Prices | None = None
    first_prices: Prices | None = None
    priced_at: Seconds | None = None
    arrivals: Arrivals = msgspec.field(default_factory=Arrivals)

    def still_under_way(self, now: float) -> list[int]:
        """So many attempts of each arm; those that nobody will tell of any more are forgotten."""
        for times in self.under_way:
            while times and not 0 <= now - times[0] < LOST:
                del times[0]
        return [len(times) for times in self.under_way]

    def beliefs(self, *, attempts: int) -> tuple[Packed, Prices, Prices]:
        """A snapshot's beliefs of rate limits and its prices, of all and of first attempts.

        Raises:
            ValueError: it has none, or they are not for this many arms and for ``attempts`` attempts of an id.
        """
        if self.limits is None or self.prices is None or self.first_prices is None:
            raise ValueError("no beliefs")
        both = (self.prices, self.first_prices)
        by_arm = {len(self.opens), len(self.under_way), *(len(each.servers) for each in both)}
        if by_arm != {len(self.arms)} or {len(each.values) for each in both} != {attempts + 1}:
            raise ValueError("not as many numbers as arms and attempts")
        return self.limits, *both
