"""``v6``: masked Thompson sampling. A server that answered 429 is left alone for a moment."""

import math
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from bandit_runner.model import Outcome
from bandit_runner.strategies.base import Arm, Choice, Count, Memory, Options, Seconds
from bandit_runner.strategies.fixed import StopWhenNotWorthIt
from bandit_runner.strategies.thompson import Thompson

MAX_PAUSE: Final = 86_400.0
"""No setting and no saved state sets an arm aside for more than a day."""


class LimitedArm(Arm):
    """An arm and its 429s: how many, when the last one came, and for how many seconds that sets the arm aside."""

    limited: Count = 0
    limited_at: Seconds | None = None
    pause: Annotated[float, msgspec.Meta(ge=0, le=MAX_PAUSE)] = 0.0

    @property
    def rate(self) -> float:
        """The observed success rate, in which a 429 is an attempt like any other; 0 before the first attempt."""
        attempts = self.pulls + self.limited
        return self.successes / attempts if attempts else 0.0

    @property
    def free_at(self) -> float:
        """When the pause ends, or ended."""
        return -math.inf if self.limited_at is None else self.limited_at + self.pause

    def is_open(self, now: float) -> bool:
        """Whether the arm is not set aside.

        A 429 from further ahead than its pause was seen by another clock (before the machine was restarted): over.
        """
        return self.limited_at is None or abs(now - self.limited_at) >= self.pause


class LimitedMemory(Memory):
    """Arms that can be set aside."""

    arms: Sequence[LimitedArm]


class CooldownOptions(Options, frozen=True):
    """``cooldown``: for how many seconds a 429 sets an arm aside."""

    cooldown: Annotated[float, msgspec.Meta(ge=0, le=MAX_PAUSE)] = 1.0


class MaskedThompson(Thompson):
    """V6 as the original plays it: V4 over the arms without a 429 in the last ``cooldown`` seconds.

    A 429 says nothing about an arm's quality: the posterior counts it neither as success nor as failure. If all untried
    arms are set aside, the arm whose 429 is oldest is played, whether this id has tried it or not. From the fourth
    attempt on: the best observed rate, in which a 429 does count, whatever was tried or set aside.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("v6", arms=2, seed=1)
    >>> strategy.update(arm=1, outcome=Outcome.RATE_LIMITED, now=5.0, attempt=0, latency=0.001)
    >>> [strategy.select(now=5.9, attempt=0, tried=(), available=range(2)) for _ in range(5)]
    [0, 0, 0, 0, 0]
    """

    name = "v6"
    options_type = CooldownOptions
    options: CooldownOptions
    memory: LimitedMemory

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        candidates = self._open(now, fresh)
        if candidates:
            return self._sample_best(candidates, attempt)
        return min(self._last_resort(fresh, usable), key=lambda arm: self.memory.arms[arm].free_at)

    def _last_resort(self, fresh: Sequence[int], usable: Sequence[int]) -> Sequence[int]:
        """Where to look for the oldest 429 when all untried arms are set aside: the original ignores what was tried."""
        del fresh
        return [arm for arm in usable if self.memory.arms[arm].limited_at is not None]

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        if outcome is Outcome.RATE_LIMITED:
            limited = self.memory.arms[arm]
            limited.limited += 1
            limited.limited_at, limited.pause = now, self._pause(arm)
        else:
            super()._learn(arm, outcome, now)

    def _pause(self, arm: int) -> float:
        """For how many seconds a 429 that just came sets the arm aside."""
        del arm
        return self.options.cooldown

    def _open(self, now: float, candidates: Sequence[int]) -> Sequence[int]:
        arms = self.memory.arms
        return [arm for arm in candidates if arms[arm].limited_at is None or arms[arm].is_open(now)]

    def _new_memory(self, arms: int) -> LimitedMemory:
        return LimitedMemory(arms=[LimitedArm() for _ in range(arms)])


class MaskedThompsonFixed(StopWhenNotWorthIt, MaskedThompson):
    """V6 that respects its own mask, and stops.

    If all untried arms are set aside it takes the untried one whose 429 is oldest. After the free attempts it stops, or
    goes on with an arm that is neither tried nor set aside, by whether that is worth the penalty.
    """

    name = "v6-fixed"

    def _last_resort(self, fresh: Sequence[int], usable: Sequence[int]) -> Sequence[int]:
        del usable
        return fresh
