"""``v1``: Larkin's intuition. Look around for a while, then stay with the best."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.strategies.base import Arm, Choice, Count, Memory, Options, Strategy
from bandit_runner.strategies.fixed import StopWhenNotWorthIt


class Discovery(Memory):
    """How many ids have been begun: the first ``discover_limit`` of them are discovery."""

    ids: Count = 0


class LarkinOptions(Options, frozen=True):
    """``discover_limit``: how many ids serve discovery."""

    discover_limit: Annotated[int, msgspec.Meta(ge=0)] = 50


class Larkin(Strategy):
    """V1 as the original plays it.

    For the first ``discover_limit`` ids: an arm without attempts first, then the largest variance of its posterior
    Beta(1+s, 1+f), which is (s+1)(f+1) / ((n+2)^2 (n+3)) with n = s + f. Afterwards: the best observed rate s/n.
    Ties go to the lowest arm. From the fourth attempt on: the best observed rate, whatever this id has tried.

    An id begins with its ``select(attempt=0)``; while ids overlap, the count of the newest decides for all.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("v1", arms=2, seed=1, discover_limit=2)
    >>> strategy.update(arm=0, outcome=Outcome.OK, now=0.0, attempt=0, latency=0.001)
    >>> [strategy.select(now=0.1, attempt=0, tried=(), available=range(2)) for _ in range(3)]  # 1 is unknown, 0 is best
    [1, 1, 0]
    """

    name = "v1"
    options_type = LarkinOptions
    options: LarkinOptions
    memory: Discovery

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, usable
        if attempt == 0:
            self.memory.ids += 1
        if self.memory.ids > self.options.discover_limit:
            return self._best_rate(fresh)
        arms = self.memory.arms
        return max(fresh, key=lambda arm: (arms[arm].pulls == 0, beta_variance(arms[arm])))

    def _new_memory(self, arms: int) -> Discovery:
        return Discovery(arms=[Arm() for _ in range(arms)])


class LarkinFixed(StopWhenNotWorthIt, Larkin):
    """V1 that stops when another attempt is not worth its penalty, instead of going on with the best-rate arm."""

    name = "v1-fixed"


def beta_variance(arm: Arm) -> float:
    """The variance of Beta(1+s, 1+f).

    >>> beta_variance(Arm(successes=1, failures=1))
    0.05
    """
    n = arm.pulls
    return (arm.successes + 1) * (arm.failures + 1) / ((n + 2) ** 2 * (n + 3))
