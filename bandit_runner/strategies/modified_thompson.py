"""``v5``: modified Thompson sampling. Bolder on an id's first attempt than on its last free one."""

from typing import Final

from bandit_runner.strategies.fixed import StopWhenNotWorthIt
from bandit_runner.strategies.thompson import Thompson

FIRST_SCALE: Final = 4.0
LEAST_TOTAL: Final = 2.0


class ModifiedThompson(Thompson):
    """V5 as the original plays it: V4 with a posterior that is widened, the earlier the attempt the more.

    With T = alpha + beta > 2 and scale = 4 x 0.5^attempt (4, 2, 1 for the free attempts), alpha and beta are multiplied
    by max(2, T/scale) / T = max(2/T, 1/scale) and then kept from falling below 1. From the fourth attempt on: the best
    observed rate.

    >>> from bandit_runner.strategies import create
    >>> strategy = create("v5", arms=1, seed=1)
    >>> strategy.memory.arms[0].successes, strategy.memory.arms[0].failures = 11, 3
    >>> [strategy._posterior(0, attempt) for attempt in range(3)]
    [(3.0, 1.0), (6.0, 2.0), (12.0, 4.0)]
    """

    name = "v5"

    def _posterior(self, arm: int, attempt: int) -> tuple[float, float]:
        counts = self.memory.arms[arm]
        alpha, beta = 1.0 + counts.successes, 1.0 + counts.failures
        total = alpha + beta
        if total <= LEAST_TOTAL:
            return alpha, beta
        factor = max(LEAST_TOTAL / total, 2.0**attempt / FIRST_SCALE)
        return max(1.0, alpha * factor), max(1.0, beta * factor)


class ModifiedThompsonFixed(StopWhenNotWorthIt, ModifiedThompson):
    """V5 that stops when another attempt is not worth its penalty, instead of going on with the best-rate arm."""

    name = "v5-fixed"
