"""``nginx-like``: round robin over the servers that did not just fail. A baseline: what nginx does."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.model import Outcome
from bandit_runner.strategies.base import Arm, Choice, Options, Seconds
from bandit_runner.strategies.masked_thompson import MAX_PAUSE
from bandit_runner.strategies.round_robin import RoundRobin, Turn


class FailingArm(Arm):
    """An arm, and how many times it failed lately, and when it last did."""

    fails: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    failed_at: Seconds = 0.0


class FailingTurn(Turn, kw_only=True):
    """Where the round stands, and who failed."""

    arms: Sequence[FailingArm]


class NginxOptions(Options, frozen=True):
    """``max_fails`` failures set an arm aside for ``fail_timeout`` seconds; the values are nginx's own."""

    max_fails: Annotated[int, msgspec.Meta(ge=1)] = 1
    fail_timeout: Annotated[float, msgspec.Meta(ge=0, le=MAX_PAUSE)] = 10.0


class NginxLike(RoundRobin):
    """The next untried arm in turn that has not failed ``max_fails`` times within ``fail_timeout``; 429s are failures.

    A success clears an arm's failures. When no live arm is left that this id has not tried, all count as live again
    (nginx's "quick recovery"). Source: documentation of ngx_http_upstream_module (``max_fails``, ``fail_timeout``) and
    of ``proxy_next_upstream error timeout http_502 http_429 non_idempotent`` with ``proxy_next_upstream_tries 3``.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("nginx-like", arms=3, seed=1)
    >>> strategy.update(arm=1, outcome=Outcome.ERROR, now=0.0, attempt=0, latency=0.001)
    >>> [strategy.select(now=9.0, attempt=0, tried=(), available=range(3)) for _ in range(4)]
    [0, 2, 0, 2]
    """

    name = "nginx-like"
    options_type = NginxOptions
    options: NginxOptions
    memory: FailingTurn

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        live = self._open(now, fresh)
        if not live:
            for arm in self.memory.arms:
                arm.fails = 0
        return super()._choose(now, attempt, live or fresh, usable)

    def _open(self, now: float, candidates: Sequence[int]) -> Sequence[int]:
        arms, options = self.memory.arms, self.options
        return [
            arm
            for arm in candidates
            if arms[arm].fails < options.max_fails or abs(now - arms[arm].failed_at) > options.fail_timeout
        ]

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        failing = self.memory.arms[arm]
        if outcome is Outcome.OK:
            failing.fails = 0
        else:
            failing.fails += 1
            failing.failed_at = now

    def _new_memory(self, arms: int) -> FailingTurn:
        return FailingTurn(arms=[FailingArm() for _ in range(arms)])
