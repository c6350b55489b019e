"""``p2c-ewma``: the better of two random servers. A baseline: the power of two choices."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.model import Outcome
from bandit_runner.strategies.base import Arm, Choice, Memory, Options
from bandit_runner.strategies.fixed import StopWhenNotWorthIt


class AveragedArm(Arm):
    """An arm and its moving average of successes, which starts with the benefit of the doubt."""

    average: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class AveragedMemory(Memory):
    """Arms with moving averages."""

    arms: Sequence[AveragedArm]


class EwmaOptions(Options, frozen=True):
    """``weight``: of the latest outcome in the average."""

    weight: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1


class PowerOfTwo(StopWhenNotWorthIt):
    """Of two random untried arms the one with the higher average; a += weight (success - a). A 429 is no success.

    Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE Transactions on Parallel and
    Distributed Systems 12, 2001; on success rates instead of load, as Finagle's and Envoy's peak EWMA do on latency.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("p2c-ewma", arms=3, seed=1)
    >>> strategy.update(arm=1, outcome=Outcome.ERROR, now=0.0, attempt=0, latency=0.001)
    >>> strategy.memory.arms[1].average
    0.9
    >>> {strategy.select(now=0.1, attempt=0, tried=(), available=range(3)) for _ in range(20)}
    {0, 2}
    """

    name = "p2c-ewma"
    options_type = EwmaOptions
    options: EwmaOptions
    memory: AveragedMemory

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, attempt, usable
        pair = self._random.sample(fresh, min(2, len(fresh)))
        return max(pair, key=lambda arm: self.memory.arms[arm].average)

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        averaged = self.memory.arms[arm]
        averaged.average += self.options.weight * ((outcome is Outcome.OK) - averaged.average)

    def _new_memory(self, arms: int) -> AveragedMemory:
        return AveragedMemory(arms=[AveragedArm() for _ in range(arms)])
