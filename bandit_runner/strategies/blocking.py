"""``v8``: blocking bandit. A server that answers 429 again and again is left alone for longer and longer."""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from bandit_runner.model import Outcome
from bandit_runner.strategies.masked_thompson import (
    MAX_PAUSE,
    CooldownOptions,
    LimitedArm,
    LimitedMemory,
    MaskedThompson,
    MaskedThompsonFixed,
)

MAX_MULTIPLIER: Final = 100.0


class BlockedArm(LimitedArm):
    """An arm and how many times the cooldown a block lasts."""

    multiplier: Annotated[float, msgspec.Meta(ge=1, le=MAX_MULTIPLIER)] = 1.0


class BlockedMemory(LimitedMemory):
    """Arms that can be blocked."""

    arms: Sequence[BlockedArm]


class BlockingOptions(CooldownOptions, frozen=True):
    """``cooldown``: the unit of a block, in seconds; ``max_multiplier``: how many units it may last at most."""

    cooldown: Annotated[float, msgspec.Meta(ge=0, le=MAX_PAUSE / MAX_MULTIPLIER)] = 5.0
    max_multiplier: Annotated[float, msgspec.Meta(ge=1, le=MAX_MULTIPLIER)] = 4.0


class Blocking(MaskedThompson):
    """V8 as the original plays it: V6 with blocks of 5 s times a multiplier, instead of a mask of 1 s.

    A 429 doubles the multiplier (at most 4) *before* it is used, so that the first block lasts 10 s; a success resets
    it to 1. The name is shared with, but not the model of, Basu, Sen, Sanghavi and Shakkottai, "Blocking Bandits",
    NeurIPS 2019.

    >>> from bandit_runner.strategies import Outcome, create
    >>> def pauses(name):
    ...     strategy = create(name, arms=1, seed=1)
    ...     for _ in range(4):
    ...         strategy.update(arm=0, outcome=Outcome.RATE_LIMITED, now=0.0, attempt=0, latency=0.001)
    ...         yield strategy.memory.arms[0].pause
    >>> list(pauses("v8")), list(pauses("v8-fixed"))
    ([10.0, 20.0, 20.0, 20.0], [5.0, 10.0, 20.0, 20.0])
    """

    name = "v8"
    options_type = BlockingOptions
    options: BlockingOptions
    memory: BlockedMemory

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        if outcome is Outcome.OK:
            self.memory.arms[arm].multiplier = 1.0

    def _pause(self, arm: int) -> float:
        self._escalate(arm)
        return self.options.cooldown * self.memory.arms[arm].multiplier

    def _escalate(self, arm: int) -> None:
        blocked = self.memory.arms[arm]
        blocked.multiplier = min(self.options.max_multiplier, 2 * blocked.multiplier)

    def _new_memory(self, arms: int) -> BlockedMemory:
        return BlockedMemory(arms=[BlockedArm() for _ in range(arms)])


class BlockingFixed(Blocking, MaskedThompsonFixed):
    """V8 that respects its own blocks, stops, and begins with a block of 5 s: the multiplier doubles after its use."""

    name = "v8-fixed"

    def _pause(self, arm: int) -> float:
        pause = self.options.cooldown * self.memory.arms[arm].multiplier
        self._escalate(arm)
        return pause
