"""``exp3``: exponential weights. A reference: it does not even assume that rewards are random."""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.model import Outcome
from bandit_runner.strategies.base import Arm, Choice, Memory, Options
from bandit_runner.strategies.fixed import StopWhenNotWorthIt


class WeightedArm(Arm):
    """An arm, the logarithm of its weight, and the probability with which it was last chosen."""

    log_weight: Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)] = 0.0
    chance: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0


class WeightedMemory(Memory):
    """Arms with weights."""

    arms: Sequence[WeightedArm]


class Exp3Options(Options, frozen=True):
    """``gamma``: the share of uniform exploration, and the learning rate."""

    gamma: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1


class Exp3(StopWhenNotWorthIt):
    """An arm with probability (1 - gamma) w / sum(w) + gamma / K; a success multiplies w by exp(gamma / (K chance)).

    K is the number of arms that this id has not tried: the probabilities are over those. Source: Auer, Cesa-Bianchi,
    Freund and Schapire, "The Nonstochastic Multiarmed Bandit Problem", SIAM Journal on Computing 32, 2002, figure 1.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("exp3", arms=2, seed=1)
    >>> for _ in range(200):
    ...     arm = strategy.select(now=0.0, attempt=0, tried=(), available=range(2))
    ...     outcome = Outcome.OK if arm == 1 else Outcome.ERROR
    ...     strategy.update(arm=arm, outcome=outcome, now=0.0, attempt=0, latency=0.001)
    >>> strategy.select(now=0.0, attempt=0, tried=(), available=range(2)), round(strategy.memory.arms[1].chance, 2)
    (1, 0.95)
    """

    name = "exp3"
    options_type = Exp3Options
    options: Exp3Options
    memory: WeightedMemory

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, attempt, usable
        arms, gamma = self.memory.arms, self.options.gamma
        highest = max(arms[arm].log_weight for arm in fresh)
        weights = [math.exp(arms[arm].log_weight - highest) for arm in fresh]
        scale = (1 - gamma) / sum(weights)
        chances = [scale * weight + gamma / len(fresh) for weight in weights]
        (place,) = self._random.choices(range(len(fresh)), chances)
        arms[fresh[place]].chance = min(1.0, chances[place])
        return fresh[place]

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        if outcome is Outcome.OK:
            arms = self.memory.arms
            arms[arm].log_weight += self.options.gamma / (len(arms) * arms[arm].chance)
            highest = max(other.log_weight for other in arms)
            for other in arms:  # only differences count
                other.log_weight = max(other.log_weight - highest, -1e9)

    def _new_memory(self, arms: int) -> WeightedMemory:
        return WeightedMemory(arms=[WeightedArm() for _ in range(arms)])
