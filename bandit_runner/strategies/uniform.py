"""``random``: each attempt on an arm drawn uniformly. A baseline: it learns nothing."""

from collections.abc import Sequence

from bandit_runner.strategies.base import Choice
from bandit_runner.strategies.fixed import StopWhenNotWorthIt


class Uniform(StopWhenNotWorthIt):
    """Uniform over the arms that this id has not tried; after the free attempts it stops as the fixed forms do.

    >>> from bandit_runner.strategies import create
    >>> strategy = create("random", arms=4, seed=1)
    >>> [strategy.select(now=0.0, attempt=0, tried=(), available=range(4)) for _ in range(6)]
    [1, 0, 2, 0, 3, 3]
    """

    name = "random"

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, attempt, usable
        return self._random.choice(fresh)
