"""An open-loop load: requests leave when they are due, whatever became of those before.

A closed loop waits for each answer, so a slow server is asked less often and looks faster than it is ("coordinated
omission", Gil Tene, "How NOT to Measure Latency", 2013). Here the moments are fixed beforehand, and latency counts from
the moment a request was due, so that what we send late counts against the result and is reported besides.
"""

import asyncio
import math
import random
import string
import time
from collections.abc import Callable, Sequence
from typing import Final

from bandit_runner.balancer.config import TIER_NAME, Address, host_port, is_address
from bandit_runner.balancer.connection import Endpoint, Reply
from bandit_runner.balancer.messages import ID_LENGTH
from bandit_runner.balancer.upstream import NO_CONNECTION, Pool
from bandit_runner.errors import BanditError, NotReady, UsageError
from bandit_runner.harness.samples import Sample

ALPHABET: Final = string.ascii_letters + string.digits

NOT_FOUND: Final = 404
MAX_ANSWER_BYTES: Final = 65_536
MAX_IDLE: Final = 256
IDLE_SECONDS: Final = 30.0
"""Less than the balancer keeps a connection, so that it is never the one to close."""


async def play(
    address: Address,
    tier: str | None,
    *,
    requests: int,
    rps: float,
    seed: int,
    timeout: float = 15.0,  # noqa: ASYNC109 - of each request, not of the call
    on_answer: Callable[[Sample], None] = lambda _: None,
) -> list[Sample]:
    """Send ``requests`` fresh ids at ``rps`` a second, evenly spaced; the samples in the order in which they were due.

    Args:
        address: the balancer's.
        tier: asked as ``POST /TIER``; None asks ``POST /``.
        requests: how many, 1 or more.
        rps: requests a second.
        seed: of the ids.
        timeout: seconds from a request's leaving after which it is given up; let it exceed the balancer's deadline.
        on_answer: told of each request once it is over, so that nothing is lost if this is cancelled.

    Raises:
        UsageError: a number that makes no load, an address or tier that cannot be, or one that the first answer denies.
        NotReady: the first request found nobody at that address.
    """
    if requests < 1 or not 0 < rps < math.inf or not 0 < timeout < math.inf:
        raise UsageError(
            f"{requests} requests at {rps} a second with a timeout of {timeout} s is no load",
            hint="use at least one request, and a rate and timeout above 0",
        )
    if not is_address(address) or not TIER_NAME.fullmatch(tier or "T1"):
        raise UsageError(
            f"{host_port(address)}/{tier or ''} is nowhere to send to",
            hint="use a host (name or IP) and port, and a tier as the balancer names it: T1",
        )
    pool = Pool(answer_bytes=MAX_ANSWER_BYTES, max_idle=MAX_IDLE, idle_seconds=IDLE_SECONDS)
    endpoint = Endpoint(address, path=f"/{tier or ''}")
    load = _Load(pool, endpoint, fresh_ids(requests, seed), interval=1 / rps, timeout=timeout, on_answer=on_answer)
    try:
        return await load.run()
    finally:
        load.stop()
        await pool.close()


def fresh_ids(count: int, seed: int) -> list[str]:
    """So many different ids of 24 ASCII letters and digits; the same for the same seed."""
    generator = random.Random(seed)
    ids: dict[str, None] = {}
    while len(ids) < count:
        ids["".join(generator.choices(ALPHABET, k=ID_LENGTH))] = None
    return list(ids)


class _Load:
    """The requests of one `play`, under way."""

    def __init__(
        self,
        pool: Pool,
        endpoint: Endpoint,
        ids: Sequence[str],
        *,
        interval: float,
        timeout: float,
        on_answer: Callable[[Sample], None],
    ) -> None:
        self._pool = pool
        self._endpoint = endpoint
        self._ids = ids
        self._interval = interval
        self._timeout = timeout
        self._on_answer = on_answer
        self._samples: list[Sample | None] = [None] * len(ids)
        self._answered = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._started = time.monotonic()

    async def run(self) -> list[Sample]:
        self._schedule(0)
        await self._over
        return [sample for sample in self._samples if sample is not None]

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self, number: int) -> None:
        # from the start each time, so that a late request does not make the next ones late
        wait = self._started + number * self._interval - time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, wait), self._send, number)

    def _send(self, number: int) -> None:
        if number + 1 < len(self._ids):
            self._schedule(number + 1)
        sent = time.monotonic()
        self._pool.ask(
            self._endpoint,
            self._ids[number].encode("ascii"),
            self._timeout,
            lambda reply: self._answer(number, sent, reply),
        )

    def _answer(self, number: int, sent: float, reply: Reply) -> None:
        if not self._answered and (why := self._in_vain(reply)) and not self._over.done():
            self._over.set_exception(why)
            self.stop()
        if self._over.done():
            return
        due = self._started + number * self._interval
        self._samples[number] = sample = Sample(
            id=self._ids[number],
            due=number * self._interval,
            late=sent - due,
            latency=time.monotonic() - min(due, sent),
            status=reply.status,
            reason=reply.reason,
            attempts=reply.attempts,
        )
        self._answered += 1
        self._on_answer(sample)
        if self._answered == len(self._ids):
            self._over.set_result(None)

    def _in_vain(self, reply: Reply) -> BanditError | None:
        """Why the other requests could fare no better than the first that was answered, if so."""
        name = self._endpoint.name
        if reply.reason.startswith(NO_CONNECTION):
            return NotReady(
                f"no balancer is at {name} ({reply.reason})",
                hint="start a balancer in another terminal: bandit_runner start --serve,"
                " or before servers that run already: bandit_runner balancer --upstream HOST:PORT",
            )
        if reply.status == NOT_FOUND:
            return UsageError(
                f"{name} answers 404: it has no such tier",
                hint="name one of its tiers with --tier (T1, T2 or T3 of a start), or none if it has only one",
            )
        return None
