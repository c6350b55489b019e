"""``v7``: masked Thompson sampling that forgets. Only the latest outcomes of an arm count."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.model import Outcome
from bandit_runner.strategies.masked_thompson import (
    CooldownOptions,
    LimitedArm,
    LimitedMemory,
    MaskedThompson,
    MaskedThompsonFixed,
)


class WindowedArm(LimitedArm):
    """An arm and its latest outcomes, oldest first: whether each was a success."""

    recent: list[bool] = msgspec.field(default_factory=list)


class WindowedMemory(LimitedMemory):
    """Arms with their latest outcomes."""

    arms: Sequence[WindowedArm]


class WindowOptions(CooldownOptions, frozen=True):
    """``window``: how many outcomes of each arm count."""

    window: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 30


class SlidingWindow(MaskedThompson):
    """V7 as the original plays it: V6 with alpha and beta from the last ``window`` outcomes of each arm.

    From the fourth attempt on: the best rate observed since the beginning. Idea: Garivier and Moulines, "On
    Upper-Confidence Bound Policies for Switching Bandit Problems", ALT 2011, there with a window over all attempts.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("v7", arms=1, seed=1, window=2)
    >>> for outcome in (Outcome.ERROR, Outcome.OK, Outcome.RATE_LIMITED, Outcome.OK):
    ...     strategy.update(arm=0, outcome=outcome, now=0.0, attempt=0, latency=0.001)
    >>> strategy.memory.arms[0].recent
    [True, True]
    """

    name = "v7"
    options_type = WindowOptions
    options: WindowOptions
    memory: WindowedMemory

    def _posterior(self, arm: int, attempt: int) -> tuple[float, float]:
        del attempt
        recent = self.memory.arms[arm].recent
        successes = sum(recent)
        return 1.0 + successes, 1.0 + len(recent) - successes

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        if outcome is not Outcome.RATE_LIMITED:
            recent = self.memory.arms[arm].recent
            recent.append(outcome is Outcome.OK)
            del recent[: -self.options.window]

    def _new_memory(self, arms: int) -> WindowedMemory:
        return WindowedMemory(arms=[WindowedArm() for _ in range(arms)])


class SlidingWindowFixed(SlidingWindow, MaskedThompsonFixed):
    """V7 that respects its own mask, and stops: what ``v6-fixed`` does to V6."""

    name = "v7-fixed"
