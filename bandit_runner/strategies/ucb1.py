"""``v2``: UCB1. The optimism of the upper confidence bound."""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.strategies.base import Choice, Options, Strategy
from bandit_runner.strategies.fixed import StopWhenNotWorthIt


class UCB1Options(Options, frozen=True):
    """``c``: the factor of the confidence radius; the paper's is the square root of 2."""

    c: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = math.sqrt(2)


class UCB1(Strategy):
    """V2 as the original plays it: an arm without attempts first, then the largest s/n + c sqrt(ln t / n).

    t is the number of all attempts so far, n and s are the arm's attempts and successes; ties go to the lowest arm.
    From the fourth attempt on: the best observed rate, whatever this id has tried. Source: Auer, Cesa-Bianchi and
    Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47, 2002, figure 1 (c = sqrt 2);
    leaving out arms that were tried for the same id is the original project's addition.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("v2", arms=2, seed=1)
    >>> for arm, outcome in [(0, Outcome.OK), (1, Outcome.ERROR), (0, Outcome.OK), (0, Outcome.OK)]:
    ...     strategy.update(arm=arm, outcome=outcome, now=0.0, attempt=0, latency=0.001)
    >>> strategy.select(now=0.1, attempt=0, tried=(), available=range(2))  # 1 + 0.96 against 0 + 1.67
    0
    """

    name = "v2"
    options_type = UCB1Options
    options: UCB1Options

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, usable
        arms = self.memory.arms
        pulls = [arm.successes + arm.failures for arm in arms]
        log_t = math.log(max(1, sum(pulls)))
        factor = self._factor(attempt)

        def upper_bound(arm: int) -> float:
            n = pulls[arm]
            return arms[arm].successes / n + factor * math.sqrt(log_t / n) if n else math.inf

        return max(fresh, key=upper_bound)

    def _factor(self, attempt: int) -> float:
        del attempt
        return self.options.c


class UCB1Fixed(StopWhenNotWorthIt, UCB1):
    """V2 that stops when another attempt is not worth its penalty, instead of going on with the best-rate arm."""

    name = "v2-fixed"
