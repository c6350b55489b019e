"""``kl-ucb``: upper confidence bounds that know that outcomes are 0 or 1. A reference: asymptotically optimal."""

import math
from collections.abc import Sequence
from typing import Final

from bandit_runner.strategies.base import Choice
from bandit_runner.strategies.fixed import StopWhenNotWorthIt

STEPS: Final = 30
"""Halvings of the interval in which the bound is: down to 1e-9."""

TINY: Final = 1e-12


class KLUCB(StopWhenNotWorthIt):
    """An unknown arm first, then the largest q with n kl(s/n, q) <= ln t + 3 ln ln t; a 429 is a failure.

    kl(p, q) = p ln(p/q) + (1-p) ln((1-p)/(1-q)). Source: Garivier and Cappe, "The KL-UCB Algorithm for Bounded
    Stochastic Bandits and Beyond", COLT 2011, algorithm 1 with c = 3.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("kl-ucb", arms=2, seed=1)
    >>> for arm, outcome in [(0, Outcome.OK), (1, Outcome.ERROR), (0, Outcome.OK), (0, Outcome.OK)]:
    ...     strategy.update(arm=arm, outcome=outcome, now=0.0, attempt=0, latency=0.001)
    >>> strategy.select(now=0.1, attempt=0, tried=(), available=range(2))
    0
    """

    name = "kl-ucb"

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, attempt, usable
        arms = self.memory.arms
        log_t = math.log(max(math.e, sum(arm.pulls for arm in arms)))
        budget = log_t + 3 * math.log(log_t)

        def bound(index: int) -> float:
            arm = arms[index]
            return upper_bound(arm.rate, budget / arm.pulls) if arm.pulls else math.inf

        return max(fresh, key=bound)


def upper_bound(mean: float, radius: float) -> float:
    """The largest q in [mean, 1] with kl(mean, q) <= radius.

    >>> round(upper_bound(0.0, 0.5), 4) == round(1 - math.exp(-0.5), 4)  # kl(0, q) = -ln(1 - q)
    True
    """
    low, high = mean, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _divergence(mean, middle) <= radius else (low, middle)
    return low


def _divergence(p: float, q: float) -> float:
    first = p * math.log(p / max(q, TINY)) if p else 0.0
    return first + ((1 - p) * math.log((1 - p) / max(1 - q, TINY)) if p < 1 else 0.0)
