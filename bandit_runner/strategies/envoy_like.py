"""``envoy-like``: random, without servers that failed several times in a row. A baseline: what Envoy does."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.model import Outcome
from bandit_runner.strategies.base import Arm, Choice, Count, Memory, Options, Seconds
from bandit_runner.strategies.fixed import StopWhenNotWorthIt
from bandit_runner.strategies.masked_thompson import MAX_PAUSE


class EjectableArm(Arm):
    """An arm, its failures in a row, how often it was ejected, and until when it is."""

    row: Count = 0
    ejections: Count = 0
    ejected_at: Seconds = 0.0
    ejected_for: Annotated[float, msgspec.Meta(ge=0, le=MAX_PAUSE)] = 0.0

    def is_ejected(self, now: float) -> bool:
        """Whether it is out now; an ejection by a clock that has started again is over."""
        return abs(now - self.ejected_at) < self.ejected_for


class EjectionMemory(Memory):
    """Arms that can be ejected."""

    arms: Sequence[EjectableArm]


class EnvoyOptions(Options, frozen=True):
    """Named as in Envoy's outlier detection; ``max_ejection_percent`` is Envoy's 10 there.

    With 10 servers that would never eject a second one, and do little; here up to half may be out.
    """

    consecutive: Annotated[int, msgspec.Meta(ge=1)] = 5
    base_ejection_time: Annotated[float, msgspec.Meta(ge=0, le=MAX_PAUSE)] = 30.0
    max_ejection_time: Annotated[float, msgspec.Meta(ge=0, le=MAX_PAUSE)] = 300.0
    max_ejection_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] = 50.0


class EnvoyLike(StopWhenNotWorthIt):
    """A random untried arm that is not ejected; retries avoid previous hosts. A 429 counts as a failure.

    An arm that failed ``consecutive`` times in a row is ejected for ``base_ejection_time`` times the number of its
    ejections so far, unless too many are out. When all untried arms are ejected, all of them are candidates (panic
    mode). Source: Envoy's documentation of outlier detection and of the ``previous_hosts`` retry predicate.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("envoy-like", arms=3, seed=1)
    >>> for _ in range(5):
    ...     strategy.update(arm=1, outcome=Outcome.ERROR, now=0.0, attempt=0, latency=0.001)
    >>> {strategy.select(now=29.0, attempt=0, tried=(), available=range(3)) for _ in range(20)}
    {0, 2}
    """

    name = "envoy-like"
    options_type = EnvoyOptions
    options: EnvoyOptions
    memory: EjectionMemory

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del attempt, usable
        return self._random.choice(self._open(now, fresh) or fresh)

    def _open(self, now: float, candidates: Sequence[int]) -> Sequence[int]:
        return [arm for arm in candidates if not self.memory.arms[arm].is_ejected(now)]

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        mine, options = self.memory.arms[arm], self.options
        mine.row = 0 if outcome is Outcome.OK else mine.row + 1
        if mine.row < options.consecutive or mine.is_ejected(now):
            return
        out = sum(other.is_ejected(now) for other in self.memory.arms)
        if (out + 1) * 100 <= options.max_ejection_percent * len(self.memory.arms):
            mine.row = 0
            mine.ejections += 1
            mine.ejected_at = now
            mine.ejected_for = min(options.base_ejection_time * mine.ejections, options.max_ejection_time)

    def _new_memory(self, arms: int) -> EjectionMemory:
        return EjectionMemory(arms=[EjectableArm() for _ in range(arms)])
