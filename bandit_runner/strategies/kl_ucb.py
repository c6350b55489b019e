"""``kl-ucb``: upper confidence bounds that know that outcomes are 0 or 1. A reference: asymptotically optimal."""

import math
from collections.abc import Sequence
from typing import Final

from bandit_runner.strategies.base import Choice
from bandit_runner.strategies.fixed import StopWhenNotWorthIt

STEPS: Final = 30
"""Of Newton's method at most; five do."""

CLOSE: Final = 1e-9
"""How exact a bound is."""

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
        pulls = [arm.successes + arm.failures for arm in self.memory.arms]
        log_t = math.log(max(math.e, sum(pulls)))
        budget = log_t + 3 * math.log(log_t)

        best, highest = fresh[0], -1.0
        for index in fresh:
            if not pulls[index]:
                return index
            rate, radius = self.memory.arms[index].successes / pulls[index], budget / pulls[index]
            # most arms are ruled out by one look at the best bound so far, without their own
            if rate > highest or divergence(rate, highest) < radius:
                bound = upper_bound(rate, radius)
                if bound > highest:
                    best, highest = index, bound
        return best


def upper_bound(mean: float, radius: float) -> float:
    """The largest q in [mean, 1] with kl(mean, q) <= radius.

    kl is convex in q, so Newton's method comes down to the root from any point above it. Two are known: kl(p, q) is at
    least 2 (q - p)^2 (Pinsker), and at least p ln p + (1-p) ln((1-p)/(1-q)).

    >>> round(upper_bound(0.0, 0.5), 9) == round(1 - math.exp(-0.5), 9)  # kl(0, q) = -ln(1 - q)
    True
    """
    if mean >= 1.0:
        return 1.0
    entropy = mean * math.log(mean) if mean else 0.0
    reach = -(1 - mean) * math.expm1((entropy - radius) / (1 - mean))
    bound = min(mean + math.sqrt(radius / 2), mean + reach, 1 - TINY)
    for _ in range(STEPS):
        if bound <= mean:
            return mean
        step = (divergence(mean, bound) - radius) * bound * (1 - bound) / (bound - mean)
        bound -= max(0.0, step)  # near 1 rounding may point upwards
        if step < CLOSE:
            break
    return max(bound, mean)


def divergence(p: float, q: float) -> float:
    """kl(p, q), with q kept from 0 and 1."""
    first = p * math.log(p / max(q, TINY)) if p else 0.0
    return first + ((1 - p) * math.log((1 - p) / max(1 - q, TINY)) if p < 1 else 0.0)
