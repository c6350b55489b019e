"""Players that know what no strategy can: rates and limiters. They show how many points there were to be had.

``clairvoyant-greedy`` plays the best server that would admit the attempt. ``clairvoyant`` plays by the shadow prices of
a fluid linear program, which keep scarce good servers for the last attempt of an id; no better policy is known. `bound`
is the optimum of that program over the whole run: no policy can expect more.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np

from bandit_runner.linear import Vector, maximize
from bandit_runner.model import Outcome, Scoring
from bandit_runner.simulation.world import World
from bandit_runner.strategies import STOP, Choice

LOOKAHEAD: Final = 10.0
"""Seconds of the future that prices are made for: the limiters here forget about as fast."""

REPRICE: Final = 0.5
"""Seconds that prices last."""


class Prices(NamedTuple):
    """What one more id at attempt k would add, and one more admission of server i, both in points."""

    value: float
    attempts: Vector
    servers: Vector


class Greedy:
    """The best server that is ready; ``STOP`` when none is, or when it is not worth the penalty of one more attempt."""

    def __init__(self, world: World, scoring: Scoring, requests: int) -> None:
        del requests
        self._world = world
        self._scoring = scoring

    def select(self, *, now: float, attempt: int, tried: Sequence[int], available: Collection[int]) -> Choice:
        """The server of the highest gain among those that would admit the attempt."""
        del tried
        world, scoring = self._world, self._scoring
        cost = scoring.penalty if attempt >= scoring.free_attempts else 0.0
        ready = [arm for arm in available if world.ready(arm, now) and world.rate(arm, now) > cost]
        gains = [self._gain(arm, attempt, now) for arm in ready]
        return ready[gains.index(max(gains))] if ready else STOP

    def _gain(self, arm: int, attempt: int, now: float) -> float:
        del attempt
        return self._world.rate(arm, now)

    def update(
        self, *, arm: int, outcome: Outcome, now: float, attempt: int, latency: float, retry_after: float | None = None
    ) -> None:
        """Nothing is news to a clairvoyant."""

    def finish(self, *, accepted: bool, attempts: int, now: float) -> None:
        """Nothing is news to a clairvoyant."""


class ShadowPrices(Greedy):
    """The server of the largest p + (1 - p) V(attempt + 1) - price: success now, or hope later, minus what it uses up.

    V and the prices are the dual variables of `program` over the coming seconds, made anew as time goes on.
    """

    def __init__(self, world: World, scoring: Scoring, requests: int) -> None:
        super().__init__(world, scoring, requests)
        self._end = requests / world.scenario.requests_per_second
        self._priced_at = -REPRICE
        self._prices: Prices | None = None

    def _gain(self, arm: int, attempt: int, now: float) -> float:
        if self._prices is None or now >= self._priced_at + REPRICE:
            end = min(now + LOOKAHEAD, max(self._end, now + REPRICE))
            self._prices, self._priced_at = program(self._world, self._scoring, now, end), now
        prices, rate = self._prices, self._world.rate(arm, now)
        later = prices.attempts[attempt + 1] if attempt + 1 < len(prices.attempts) else 0.0
        return float(rate + (1 - rate) * later - prices.servers[arm])


CLAIRVOYANTS: Final[dict[str, type[Greedy]]] = {"clairvoyant": ShadowPrices, "clairvoyant-greedy": Greedy}


def program(world: World, scoring: Scoring, start: float, end: float) -> Prices:
    """The fluid linear program over the ids that arrive from ``start``, which is now, to ``end``.

    x[k, i] is how many ids make attempt k on server i. Maximize the sum of (p_i - cost_k) x[k, i] subject to: attempts
    0 are at most the ids that arrive; attempts k + 1 at most the failures of attempts k; a server's attempts at most
    its capacity.
    """
    ids = max(1.0, (end - start) * world.scenario.requests_per_second)
    depth = scoring.max_attempts if scoring.penalty < 1 else min(scoring.free_attempts, scoring.max_attempts)
    arms = len(world.arms)
    rates = np.array([world.mean_rate(arm, start, end) for arm in world.arms])
    capacity = np.array([min(world.capacity(arm, start, end), ids * depth) for arm in world.arms]) / ids
    gain = np.concatenate([rates - scoring.penalty * (k >= scoring.free_attempts) for k in range(depth)])
    used = np.zeros((depth + arms, depth * arms))
    for k in range(depth):
        here = slice(k * arms, (k + 1) * arms)
        used[k, here] = 1.0
        used[depth:, here] = np.eye(arms)
        if k + 1 < depth:
            used[k + 1, here] = rates - 1.0
    optimum = maximize(gain, used, np.concatenate([[1.0], np.zeros(depth - 1), np.maximum(capacity, 0.0)]))
    return Prices(optimum.value, optimum.prices[:depth], optimum.prices[depth:])


def bound(world: World, scoring: Scoring, requests: int) -> float:
    """No policy can expect a higher score than this of so many ids in a world that has just begun."""
    return requests * program(world, scoring, 0.0, requests / world.scenario.requests_per_second).value
