"""Bad servers for seconds on end, and ten thousand ids: nobody waits too long, nothing is lost, memory stays flat.

pytest -m endurance tests/balancer
"""

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Self

import pytest
from balancing import (
    PATIENT,
    Behaviour,
    Upstream,
    accepts,
    balanced,
    drips,
    floods,
    hangs,
    limits_me,
    refuses,
    resets,
    says,
)

from bandit_runner import harness
from bandit_runner.balancer.config import Address, Limits

pytestmark = pytest.mark.endurance

DEADLINE = 1.0
PATIENCE = 0.5
"""Seconds by which a busy machine may deliver an answer late, beside what our loop and the balancer's are late by."""
BUSY = 0.1
"""Seconds of being late from which on it is the machine that lets attempts take too long."""
RPS = 150
MEASURED = 4 * RPS
"""Ids, for all of which there is room at once, as after a busy second: who answers 503 has lost count."""
MEGABYTES = 6
"""What a process may grow by between its second and its last seconds: caches and fragments, but no leak per request."""

ROOMY = Limits(connections=4_096, requests=4_096)
"""For counting: a busy machine must not make an answer late, for a late one is counted otherwise."""

BALANCER = f"""
import asyncio, sys
from bandit_runner.balancer import Balancer, BalancerConfig, Limits, TierConfig, Timeouts

async def main():
    upstreams = tuple(("127.0.0.1", int(port)) for port in sys.argv[2:])
    balancer = Balancer(BalancerConfig(
        tiers=(TierConfig(name="T1", upstreams=upstreams, strategy=sys.argv[1]),),
        timeouts=Timeouts(attempt=0.25, request={DEADLINE}, down=0.2),
        limits=Limits(connections={MEASURED}, requests={MEASURED}),
    ))
    print((await balancer.start("127.0.0.1", 0))[1], flush=True)
    loop, late = asyncio.get_running_loop(), 0.0
    told_to_end = loop.run_in_executor(None, sys.stdin.read)
    while not told_to_end.done():
        began = loop.time()
        await asyncio.sleep(0.01)
        late = max(late, loop.time() - began - 0.01)
    await balancer.close()
    print(late)

asyncio.run(main())
"""


async def trickles(writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n":
        if writer.is_closing():  # the balancer gave up on us
            return
        writer.write(bytes([byte]))
        await asyncio.sleep(1)


async def babbles(writer: asyncio.StreamWriter) -> None:
    writer.write(random.randbytes(random.randrange(1, 2000)))


async def repeats_itself(writer: asyncio.StreamWriter) -> None:
    """Answers that nobody asked for, to poison the next request on the connection."""
    await accepts(writer)
    await asyncio.sleep(0.001)
    if not writer.is_closing():
        await accepts(writer)


def always(*behaviours: Behaviour) -> Callable[[], AbstractAsyncContextManager[Address]]:
    @asynccontextmanager
    async def serving() -> AsyncIterator[Address]:
        async with Upstream(*behaviours) as up:
            yield up.address

    return serving


@asynccontextmanager
async def dies_and_returns() -> AsyncIterator[Address]:
    """A server that is there for a third of a second and away for as long, always on its one port."""

    async def live(port: int) -> None:
        while True:
            await asyncio.sleep(0.3)
            async with Upstream(accepts, port=port):
                await asyncio.sleep(0.3)

    async with Upstream(accepts) as first:
        address = first.address
    life = asyncio.create_task(live(address[1]))
    try:
        yield address
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


KINDS = {
    "hangs": always(hangs),
    "resets": always(resets),
    "garbage": always(babbles),
    "a byte a second": always(trickles),
    "drips": always(drips),
    "floods": always(floods),
    "answers twice": always(repeats_itself),
    "cut short": always(says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", then_close=True)),
    "dies and returns": dies_and_returns,
}


@asynccontextmanager
async def a_balancer(strategy: str, *upstreams: Address) -> AsyncIterator[tuple[Address, int, list[float]]]:
    """One in a process of its own, so that its memory is nobody else's: its address and process id.

    And once it has ended, by how many seconds its loop was late at most: the machine has others to serve.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        BALANCER,
        strategy,
        *(str(port) for _, port in upstreams),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    late: list[float] = []
    try:
        yield ("127.0.0.1", int(await process.stdout.readline())), process.pid, late
    finally:
        process.stdin.close()  # which ends it
        late += map(float, (await process.stdout.read()).split())
        status = await process.wait()
    assert status == 0


def megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


class Lateness:
    """By how much our own loop, which plays client and servers, was late at most while the block ran."""

    seconds = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            self.seconds = max(self.seconds, time.monotonic() - began - 0.01)


@pytest.mark.parametrize("strategy", ["round-robin", "best"])
@pytest.mark.parametrize("kind", KINDS)
async def test_no_request_waits_beyond_its_deadline_and_memory_stays_flat(kind: str, strategy: str):
    async with (
        KINDS[kind]() as bad,
        KINDS[kind]() as worse,
        Upstream(accepts) as good,
        a_balancer(strategy, bad, worse, good.address) as (address, pid, theirs),
    ):
        await harness.play(address, None, requests=2 * RPS, rps=RPS, seed=1)  # modules, caches and buffers come
        before = megabytes(pid)
        async with Lateness() as ours:
            samples = await harness.play(address, None, requests=MEASURED, rps=RPS, seed=2)
        assert megabytes(pid) - before < MEGABYTES
    assert [sample for sample in samples if sample.status not in harness.PLAYED] == []
    late = ours.seconds + sum(theirs)
    accepted = sum(sample.status == 200 for sample in samples)
    assert accepted > 0.8 * len(samples) or late > BUSY, "the good server is one of three that each id may ask"
    waited = max(sample.latency - max(0.0, sample.late) for sample in samples)
    assert waited < DEADLINE + PATIENCE + 2 * late, "each loop is passed on the way there and on the way back"


async def test_ten_thousand_ids_are_each_answered_once():
    """Three accounts of them agree: what the client heard, what the balancer recorded, what the servers were asked."""
    moods = random.Random(1).choices([accepts, refuses, limits_me, resets], [6, 2, 1, 1], k=20_000)
    async with (
        Upstream(*moods[:9_000], accepts) as a,
        Upstream(*moods[9_000:], accepts) as b,
        balanced(a, b, timeouts=PATIENT, limits=ROOMY) as world,
    ):
        samples = await harness.play(world.address, None, requests=10_000, rps=300, seed=3, timeout=90)
        assert len({sample.id for sample in samples}) == 10_000
        assert {sample.status for sample in samples} == set(harness.PLAYED)
        assert harness.cross_check(samples, world.records) == []
        asked = Counter(a.asked) + Counter(b.asked)
        assert asked == {record.id: record.attempts for record in world.records}
