"""``round-robin``: the arms in turn. A baseline: it learns nothing, and spreads load as evenly as can be."""

import bisect
from collections.abc import Sequence

from bandit_runner.strategies.base import Arm, Choice, Count, Memory
from bandit_runner.strategies.fixed import StopWhenNotWorthIt


class Turn(Memory):
    """Where the round stands: the arm that is next in turn."""

    next_arm: Count = 0


class RoundRobin(StopWhenNotWorthIt):
    """Each attempt on the next arm in turn, over those that this id has not tried (HAProxy's ``redispatch``).

    After the free attempts it stops as the fixed forms do.

    >>> from bandit_runner.strategies import create
    >>> strategy = create("round-robin", arms=3, seed=1)
    >>> [strategy.select(now=0.0, attempt=0, tried=(), available=range(3)) for _ in range(4)]
    [0, 1, 2, 0]
    >>> strategy.select(now=0.0, attempt=1, tried=(1,), available=range(3))
    2
    """

    name = "round-robin"
    memory: Turn

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, attempt, usable
        memory, arms = self.memory, len(self._all)
        arm = memory.next_arm % arms
        if arm not in fresh:
            arm = fresh[bisect.bisect_left(fresh, arm) % len(fresh)]
        memory.next_arm = (arm + 1) % arms
        return arm

    def _new_memory(self, arms: int) -> Turn:
        return Turn(arms=[Arm() for _ in range(arms)])
