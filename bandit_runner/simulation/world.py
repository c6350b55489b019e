"""The servers of one simulated run: what they answer, and what only a clairvoyant knows of them."""

import bisect
import math
import random
from collections.abc import Callable
from typing import Final

from bandit_runner.model import Outcome
from bandit_runner.simulation.limiters import draw, make
from bandit_runner.simulation.scenario import Drift, Outages, Scenario

STEPS: Final = 20
"""At so many moments of a stretch of time is a changing success rate looked at, to take its mean."""


class World:
    """Servers of a scenario, drawn from a seed.

    Common random numbers: rates, limiters, outages and the luck of the n-th attempt that a server admits depend on the
    seed alone, whoever plays. So the same seed makes a pair of two strategies' runs (Law, "Simulation Modeling and
    Analysis", section 11.2).
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        luck = random.Random(seed)
        self.scenario = scenario
        self.arms = range(scenario.arms)
        self.rates = [draw(scenario.success, luck) for _ in self.arms]
        self.limiters = [make(luck.choice(scenario.limits), luck) for _ in self.arms]
        self._changes = [_changes(scenario, rate, luck) for rate in self.rates]
        self._luck = [random.Random(f"{seed}/{arm}").random for arm in self.arms]
        self._is_steady = scenario.drift is None and scenario.outages is None and not scenario.timeouts

    def answer(self, arm: int, now: float) -> Outcome:
        """What the server does with an attempt that it gets now."""
        limiter = self.limiters[arm]
        if limiter is not None and not limiter.take(now):
            return Outcome.RATE_LIMITED
        fate = self._luck[arm]()
        if self._is_steady:
            return Outcome.OK if fate < self.rates[arm] else Outcome.ERROR
        if fate < self.rate(arm, now):
            return Outcome.OK
        return Outcome.TIMEOUT if fate >= 1.0 - self.scenario.timeouts else Outcome.ERROR

    def retry_after(self, arm: int, now: float) -> float | None:
        """What a 429 says about when to come back: whole seconds (RFC 9110, section 10.2.3), or nothing."""
        limiter = self.limiters[arm]
        if limiter is None or not self.scenario.retry_after:
            return None
        return float(math.ceil(limiter.opens(now) - now))

    def rate(self, arm: int, now: float) -> float:
        """The probability that an admitted attempt succeeds now."""
        rate = self.rates[arm] if self._is_steady else self._changes[arm](now)
        return min(rate, 1.0 - self.scenario.timeouts)

    def ready(self, arm: int, now: float) -> bool:
        """Whether the server would admit an attempt now."""
        limiter = self.limiters[arm]
        return limiter is None or limiter.ready(now)

    def capacity(self, arm: int, start: float, end: float) -> float:
        """The most attempts that the server can admit from now, which is ``start``, to ``end``."""
        limiter = self.limiters[arm]
        return math.inf if limiter is None else limiter.capacity(start, end)

    def mean_rate(self, arm: int, start: float, end: float) -> float:
        """The mean of `rate` over that time."""
        if self._is_steady:
            return self.rate(arm, start)
        step = (end - start) / STEPS
        return sum(self.rate(arm, start + (i + 0.5) * step) for i in range(STEPS)) / STEPS


def _changes(scenario: Scenario, rate: float, luck: random.Random) -> Callable[[float], float]:
    """The success rate as a function of time."""
    swing = _swing(rate, scenario.drift, luck) if scenario.drift else lambda _: rate
    if scenario.outages is None:
        return swing
    is_down = _downtimes(scenario.outages, random.Random(luck.random()))
    return lambda now: 0.0 if is_down(now) else swing(now)


def _swing(rate: float, drift: Drift, luck: random.Random) -> Callable[[float], float]:
    frequency, phase = 2 * math.pi / draw(drift.period, luck), luck.uniform(0, 2 * math.pi)
    return lambda now: min(1.0, max(0.0, rate + drift.amplitude * math.sin(frequency * now + phase)))


def _downtimes(outages: Outages, luck: random.Random) -> Callable[[float], bool]:
    changes = [0.0]

    def is_down(now: float) -> bool:
        while changes[-1] <= now:
            mean = outages.down if len(changes) % 2 == 0 else outages.up
            changes.append(changes[-1] + luck.expovariate(1 / mean))
        return bisect.bisect_right(changes, now) % 2 == 0

    return is_down
