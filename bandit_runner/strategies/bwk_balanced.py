"""``bwk-balanced``: Bandits with Knapsacks by elimination. Explores what may be part of the best mix."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from bandit_runner.linear import Vector, maximize
from bandit_runner.strategies.base import Choice
from bandit_runner.strategies.knapsack import Knapsack, KnapsackMemory
from bandit_runner.strategies.masked_thompson import LimitedArm

Share = Annotated[float, msgspec.Meta(ge=-1e-6, le=1.001)]


class PhaseMemory(KnapsackMemory, kw_only=True):
    """The mixes of this phase that are still to be drawn from: one per arm, last one next."""

    mixes: list[list[Share]]


class Balanced(Knapsack):
    """BalancedExploration (algorithm 1 of arXiv 1305.2545).

    In phases of one attempt per arm x: of all mixes D over the arms that may be optimal, as far as the confidence
    intervals tell, the one that plays x most is taken, and an arm drawn from it. A mix may be optimal if with the
    highest rewards and the lowest consumption of the intervals it reaches what the best mix is sure to reach with the
    lowest rewards and the highest consumption; each side is a linear program over D (sum at most 1, 429s of each server
    at most its budget per attempt), intervals being boxes. An arm that this id has tried is left out of the draw; what
    remains is scaled up, or uniform where nothing does.

    Within 1000 attempts hardly any arm is eliminated, so that the play is close to uniform: that is the algorithm.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("bwk-balanced", arms=2, seed=1)
    >>> for _ in range(50):
    ...     strategy.update(arm=0, outcome=Outcome.OK, now=0.0, attempt=0, latency=0.001)
    ...     strategy.update(arm=1, outcome=Outcome.ERROR, now=0.0, attempt=0, latency=0.001)
    >>> [strategy.select(now=0.1, attempt=0, tried=(), available=range(2)) for _ in range(8)]
    [0, 0, 0, 0, 0, 0, 0, 0]
    """

    name = "bwk-balanced"
    memory: PhaseMemory

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, attempt, usable
        unknown = self._unknown(fresh)
        if unknown is not None:
            return unknown
        if not self.memory.mixes:
            self.memory.mixes = self._phase()
        mix = self.memory.mixes.pop()
        shares = [max(0.0, mix[arm]) for arm in fresh]
        if not sum(shares):
            return self._random.choice(fresh)
        return self._random.choices(fresh, shares)[0]

    def _phase(self) -> list[list[float]]:
        """A mix for each arm that has been tried, in random order."""
        arms = [arm for arm in range(len(self.memory.arms)) if self._attempts(arm)]
        rewards = np.array([self._reward(arm) for arm in arms])
        rejections = np.array([self._rejection(arm) for arm in arms])
        count, allowed = len(arms), self.options.allowed / self.options.horizon
        bounds = np.concatenate([[1.0], np.full(count, allowed)])
        sure = maximize(rewards[:, 0], np.vstack([np.ones(count), np.diag(rejections[:, 1])]), bounds)
        promised = sure.value if sure else 0.0
        used = np.vstack([np.ones(count), np.diag(rejections[:, 0]), -rewards[:, 1]])
        mixes = [self._most_of(place, used, np.append(bounds, -promised), arms) for place in range(count)]
        self._random.shuffle(mixes)
        return mixes

    def _most_of(self, place: int, used: Vector, bounds: Vector, arms: Sequence[int]) -> list[float]:
        """The mix that plays an arm most."""
        gain = np.zeros(len(arms))
        gain[place] = 1.0
        found = maximize(gain, used, bounds)
        mix = [0.0] * len(self.memory.arms)
        if found is not None:
            for arm, share in zip(arms, found.point, strict=True):
                mix[arm] = min(1.0, float(share))
        return mix

    def _new_memory(self, arms: int) -> PhaseMemory:
        return PhaseMemory(arms=[LimitedArm() for _ in range(arms)], mixes=[])
