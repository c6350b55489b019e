"""What the algorithms of Bandits with Knapsacks share: resources, budgets, and how sure their estimates are.

The model of Badanidiyuru, Kleinberg and Slivkins, "Bandits with Knapsacks", FOCS 2013 (arXiv 1305.2545): each attempt
yields a reward and uses up resources, each of which has a budget; what counts is the reward until one is used up. Here
the resources are the attempts themselves (the paper's time) and each server's 429s.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from bandit_runner.model import Outcome, Scoring
from bandit_runner.strategies.base import Choice, Count, Options
from bandit_runner.strategies.fixed import StopWhenNotWorthIt
from bandit_runner.strategies.masked_thompson import LimitedArm, LimitedMemory


class KnapsackMemory(LimitedMemory):
    """Arms with their 429s, and the attempts of this horizon so far."""

    spent: Count = 0


class KnapsackOptions(Options, frozen=True):
    """``horizon``: how many attempts are planned for. ``budgets``: how many 429s each server is allowed in that time.

    ``budgets`` is one number for all servers, by default a twentieth of the horizon. ``confidence`` is the factor C of
    the confidence radius; the analysis wants it to be of the order of log(resources x horizon x arms), about 11 here,
    with which no estimate would mean anything within 1000 attempts. After ``horizon`` attempts a new one begins.
    """

    horizon: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 1000
    budgets: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    confidence: Annotated[float, msgspec.Meta(gt=0, le=1e3)] = 1.0

    @property
    def allowed(self) -> float:
        """The budget of 429s per server."""
        return self.budgets or max(1.0, self.horizon / 20)


class Knapsack(StopWhenNotWorthIt):
    """Estimates and confidence intervals of every arm's reward and consumption; subclasses choose."""

    options_type = KnapsackOptions
    options: KnapsackOptions
    memory: KnapsackMemory

    def __init__(self, *, arms: int, seed: int, scoring: Scoring, options: Options) -> None:
        super().__init__(arms=arms, seed=seed, scoring=scoring, options=options)
        self._bounds: dict[int, tuple[float, float]] = {}
        """Of each arm, until its next attempt: the upper bound of its reward, the lower one of its rejection."""

    def restore(self, state: dict[str, Any]) -> None:
        """As every strategy's."""
        super().restore(state)
        self._bounds.clear()

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        limited = self.memory.arms[arm]
        if outcome is Outcome.RATE_LIMITED:
            limited.limited += 1
        else:
            super()._learn(arm, outcome, now)
        self._bounds.pop(arm, None)
        self.memory.spent = (self.memory.spent + 1) % self.options.horizon

    def _new_memory(self, arms: int) -> KnapsackMemory:
        return KnapsackMemory(arms=[LimitedArm() for _ in range(arms)])

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        """The paper's algorithms pull every arm once to begin with."""
        del now, attempt, usable
        unknown = self._unknown(fresh)
        return self._informed(fresh) if unknown is None else unknown

    @abstractmethod
    def _informed(self, fresh: Sequence[int]) -> int:
        """The rule of the algorithm for arms of which each has an attempt, and its bounds in ``_bounds``."""

    def _unknown(self, candidates: Sequence[int]) -> int | None:
        """The first candidate without any attempt; if there is none, all candidates are in ``_bounds``."""
        bounds = self._bounds
        for arm in candidates:
            if arm not in bounds:
                if not self._attempts(arm):
                    return arm
                bounds[arm] = self._reward(arm)[1], self._rejection(arm)[0]
        return None

    def _attempts(self, arm: int) -> int:
        limited = self.memory.arms[arm]
        return limited.pulls + limited.limited

    def _reward(self, arm: int) -> tuple[float, float]:
        """Lower and upper confidence bound of the arm's probability to accept an id."""
        return self._interval(self.memory.arms[arm].successes, self._attempts(arm))

    def _rejection(self, arm: int) -> tuple[float, float]:
        """Lower and upper confidence bound of the arm's probability to answer 429."""
        return self._interval(self.memory.arms[arm].limited, self._attempts(arm))

    def _interval(self, hits: int, tries: int) -> tuple[float, float]:
        if not hits:
            return 0.0, min(1.0, self.options.confidence / tries)
        mean, radius = hits / tries, confidence_radius(hits / tries, tries, self.options.confidence)
        return max(0.0, mean - radius), min(1.0, mean + radius)


def confidence_radius(mean: float, tries: int, confidence: float) -> float:
    """rad(v, N) = sqrt(C v / N) + C / N (section 4 of the paper, after Kleinberg, Slivkins and Upfal, STOC 2008).

    >>> round(confidence_radius(0.25, 100, 1.0), 6)
    0.06
    """
    return math.sqrt(confidence * mean / tries) + confidence / tries
