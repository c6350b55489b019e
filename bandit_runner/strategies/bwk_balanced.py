"""``bwk-balanced``: Bandits with Knapsacks by elimination. Explores what may be part of the best mix."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from bandit_runner.strategies.knapsack import Knapsack, KnapsackMemory
from bandit_runner.strategies.masked_thompson import LimitedArm

TINY: Final = 1e-9
"""What rounding may take from a reward."""

Share = Annotated[float, msgspec.Meta(ge=-1e-6, le=1.001)]


class PhaseMemory(KnapsackMemory, kw_only=True):
    """The mixes of this phase that are still to be drawn from: one per arm, last one next."""

    mixes: list[list[Share]]


class Balanced(Knapsack):
    """BalancedExploration (algorithm 1 of arXiv 1305.2545).

    In phases of one attempt per arm x: of all mixes D over the arms that may be optimal, as far as the confidence
    intervals tell, the one that plays x most is taken, and an arm drawn from it. A mix may be optimal if with the
    highest rewards and the lowest consumption of the intervals it reaches what the best mix is sure to reach with the
    lowest rewards and the highest consumption. Each side takes its own numbers from the intervals, which are boxes:
    that misses no mix that may be optimal, and keeps some that cannot be. It is a linear program over D (sum at most
    1, 429s of each server at most its budget per attempt); as no budget is shared, it is a fractional knapsack, and
    filling it with the best first is optimal (Dantzig, Operations Research 5, 1957). An arm that this id has tried is
    left out of the draw; what remains is scaled up, or uniform where nothing does.

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

    def _informed(self, fresh: Sequence[int]) -> int:
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
        rewards = {arm: self._reward(arm) for arm in arms}
        rejections = {arm: self._rejection(arm) for arm in arms}
        allowed = self.options.allowed / self.options.horizon

        promised, left = 0.0, 1.0
        for arm in sorted(arms, key=lambda arm: -rewards[arm][0]):
            share = min(left, _most(allowed, rejections[arm][1]))
            promised, left = promised + share * rewards[arm][0], left - share

        order = sorted(arms, key=lambda arm: -rewards[arm][1])
        highest = {arm: rewards[arm][1] for arm in order}
        most = {arm: _most(allowed, rejections[arm][0]) for arm in order}
        mixes = [self._mix(most_of(arm, highest, most, promised)) for arm in arms]
        self._random.shuffle(mixes)
        return mixes

    def _mix(self, shares: Mapping[int, float]) -> list[float]:
        return [shares.get(arm, 0.0) for arm in range(len(self.memory.arms))]

    def _new_memory(self, arms: int) -> PhaseMemory:
        return PhaseMemory(arms=[LimitedArm() for _ in range(arms)], mixes=[])


def most_of(arm: int, rewards: Mapping[int, float], most: Mapping[int, float], promised: float) -> dict[int, float]:
    """The mix that plays ``arm`` most and whose reward reaches what is promised; empty if there is none.

    Args:
        arm: which.
        rewards: of every arm per share of the attempts, the highest first.
        most: the share that each arm's own budget allows.
        promised: the least reward of the whole.

    >>> most_of(1, {0: 1.0, 1: 0.5}, {0: 1.0, 1: 1.0}, promised=0.75)
    {0: 0.5, 1: 0.5}
    """
    share = min(1.0, most[arm])
    value, left = share * rewards[arm], 1.0 - share
    mix = {}
    for other, reward in rewards.items():
        if left <= 0 and value >= promised - TINY:
            break
        if other == arm:
            continue
        taken = min(most[other], left)  # of what the arm's own budget leaves over
        value, left = value + taken * reward, left - taken
        if value < promised and reward > rewards[arm]:  # of the arm's share, as little as will do
            moved = min(most[other] - taken, share, (promised - value) / (reward - rewards[arm]))
            value, share, taken = value + moved * (reward - rewards[arm]), share - moved, taken + moved
        mix[other] = taken
    return {**mix, arm: share} if value >= promised - TINY else {}


def _most(allowed: float, rejections: float) -> float:
    """The share of the attempts that an arm may have, by the 429s per attempt that it is allowed and has."""
    return allowed / rejections if rejections > allowed else 1.0
