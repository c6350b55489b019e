"""Driving `play` with real servers: one `Drive` per id in flight, one `Tier` per tier."""

import asyncio
import logging
from collections.abc import Callable, Collection

from bandit_runner.balancer.config import TierConfig
from bandit_runner.balancer.connection import Endpoint, Reply
from bandit_runner.balancer.core import Broken, Result, Steps, Try
from bandit_runner.balancer.upstream import Pool
from bandit_runner.model import BalancedRequest
from bandit_runner.strategies import Strategy

log = logging.getLogger(__name__)


class Tier:
    """The servers of one tier, which of them are down, and the strategy that chooses among them."""

    def __init__(
        self, config: TierConfig, strategy: Strategy, *, down_seconds: float, clock: Callable[[], float]
    ) -> None:
        self.name = config.name
        self.strategy = strategy
        self.endpoints = tuple(Endpoint(address) for address in config.upstreams)
        self._all = range(len(self.endpoints))
        self._down_until: dict[int, float] = {}
        self._down_seconds = down_seconds
        self._clock = clock
        self._failed: Strategy | None = None

    def arms(self) -> Collection[int]:
        """The arms that are not known to be down; all of them when all are, for only asking shows who came back."""
        if not self._down_until:
            return self._all
        now = self._clock()
        self._down_until = {arm: until for arm, until in self._down_until.items() if until > now}
        return [arm for arm in self._all if arm not in self._down_until] or self._all

    def heard(self, arm: int, reply: Reply) -> None:
        """A server that refuses connections is down for a while; one that answers is not."""
        if reply.refused:
            self._down_until[arm] = self._clock() + self._down_seconds
        elif self._down_until and reply.status is not None:
            self._down_until.pop(arm, None)

    def failed(self, error: Exception) -> None:
        """The strategy raised that, which is told once of each strategy."""
        if self._failed is not self.strategy:
            self._failed = self.strategy
            names = self.strategy.name, self.name
            log.error("strategy %s failed on tier %s: where it does, ids are answered 500", *names, exc_info=error)


class Drive:
    """Takes one id through its steps; ``finished`` gets the record, and whether the strategy failed."""

    __slots__ = ("_arm", "_broken", "_finished", "_id", "_pool", "_steps", "_tier")

    def __init__(
        self, steps: Steps, id_: bytes, tier: Tier, pool: Pool, finished: Callable[[BalancedRequest, bool], None]
    ) -> None:
        self._steps = steps
        self._id = id_
        self._tier = tier
        self._pool = pool
        self._finished = finished
        self._arm = 0
        self._broken = False

    def advance(self, result: Result | None = None) -> None:
        """Do the next step; to begin with, without a result."""
        try:
            step = self._steps.send(result)
        except StopIteration as end:
            self._finished(end.value, self._broken)
            return
        if isinstance(step, Try):
            self._arm = step.arm
            self._pool.ask(self._tier.endpoints[step.arm], self._id, step.timeout, self._replied)
        elif isinstance(step, Broken):
            self._broken = True
            self._tier.failed(step.error)
            self.advance()
        else:
            asyncio.get_running_loop().call_later(step.seconds, self.advance)

    def _replied(self, reply: Reply) -> None:
        self._tier.heard(self._arm, reply)
        self.advance(reply)
