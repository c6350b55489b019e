"""One run: a strategy against a world, id by id, in simulated time."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, Protocol

import msgspec

from bandit_runner.model import WITHIN, Outcome, Scoring
from bandit_runner.simulation.world import World
from bandit_runner.strategies import STOP, Choice

SHORTEST: Final = 0.001
"""Seconds. A wait moves time forward at least so much, as in the balancer."""

MICROSECONDS: Final = 1e6


class Player(Protocol):
    """The part of a strategy that a run needs; the clairvoyants have it too."""

    def select(self, *, now: float, attempt: int, tried: Sequence[int], available: Collection[int]) -> Choice:
        """See `Strategy.select`."""

    def update(
        self, *, arm: int, outcome: Outcome, now: float, attempt: int, latency: float, retry_after: float | None = None
    ) -> None:
        """See `Strategy.update`."""

    def finish(self, *, accepted: bool, attempts: int, now: float) -> None:
        """See `Strategy.finish`."""


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one run came to. ``latencies``: how many ids took so many microseconds, waits included."""

    requests: int
    accepted: int
    accepted_within_3: int
    extra_attempts: int
    rate_limited: int
    score: float
    latencies: dict[int, int]


def play(player: Player, world: World, *, requests: int, scoring: Scoring) -> RunResult:
    """Play so many ids, one after another: each begins when its time has come and the one before it is done."""
    select, update, answer, arms = player.select, player.update, world.answer, world.arms
    usual, interval = world.scenario.latency, 1.0 / world.scenario.requests_per_second
    ok, limited, timeout = Outcome.OK, Outcome.RATE_LIMITED, Outcome.TIMEOUT
    accepted = within = extra = rejected = 0
    latencies = Counter[int]()
    now = 0.0
    for request in range(requests):
        began = now = max(now, request * interval)
        deadline = began + world.scenario.deadline
        tried: list[int] = []
        outcome = None
        while outcome is not ok and len(tried) < scoring.max_attempts and now < deadline:
            attempt = len(tried)
            choice = select(now=now, attempt=attempt, tried=tried, available=arms)
            if choice is STOP:
                break
            if not isinstance(choice, int):
                now = min(now + max(SHORTEST, choice.seconds), deadline)
                continue
            outcome = answer(choice, now)
            retry_after = None
            if outcome is limited:
                rejected += 1
                retry_after = world.retry_after(choice, now)
            latency = world.scenario.timeout if outcome is timeout else usual
            now += latency
            update(arm=choice, outcome=outcome, now=now, attempt=attempt, latency=latency, retry_after=retry_after)
            tried.append(choice)
        attempts = len(tried)
        player.finish(accepted=outcome is ok, attempts=attempts, now=now)
        if outcome is ok:
            accepted += 1
            within += attempts <= WITHIN
        extra += scoring.extra_attempts(attempts)
        latencies[int((now - began) * MICROSECONDS + 0.5)] += 1
    return RunResult(
        requests=requests,
        accepted=accepted,
        accepted_within_3=within,
        extra_attempts=extra,
        rate_limited=rejected,
        score=scoring.score(accepted, extra),
        latencies=dict(latencies),
    )
