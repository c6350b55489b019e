"""The load leaves when it is due, measures from there, and loses nothing."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig
from bandit_runner.errors import UsageError
from bandit_runner.harness import Fault, Sample, cross_check, play, row, scheduling_error
from bandit_runner.harness.load import fresh_ids
from bandit_runner.model import Scoring

ANSWERS = {
    200: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    429: b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n",
    404: b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    503: b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
}


@asynccontextmanager
async def served(respond: Callable[[int], Awaitable[bytes]]):
    """A server that answers the ``n``-th request with ``await respond(n)``, bytes; (address, times of arrival, ids)."""
    arrivals, ids, tasks = [], [], set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        tasks.add(asyncio.current_task())
        try:
            while not writer.is_closing():
                await reader.readuntil(b"\r\n\r\n")
                ids.append((await reader.readexactly(24)).decode())
                arrivals.append(time.monotonic())
                writer.write(await respond(len(ids) - 1))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(asyncio.current_task())
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname(), arrivals, ids
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def test_slow_answers_delay_no_later_request():
    """None is answered before the last has come, which a load that waits for answers would never send."""

    async def main():
        last_came = asyncio.Event()

        async def with_the_last(number: int):
            if number == 19:
                last_came.set()
            await last_came.wait()
            return ANSWERS[200]

        async with served(with_the_last) as (address, arrivals, _):
            began = time.monotonic()
            samples = await asyncio.wait_for(play(address, None, requests=20, rps=20, seed=1), 60)
            return samples, [arrival - began for arrival in arrivals]

    samples, arrivals = asyncio.run(main())
    due = [number * 0.05 for number in range(20)]
    assert [sample.due for sample in samples] == pytest.approx(due)
    assert all(arrival >= at for arrival, at in zip(arrivals, due, strict=True))
    assert all(sample.status == 200 for sample in samples)
    assert all(sample.latency >= due[-1] - at for sample, at in zip(samples, due, strict=True))


def test_latency_counts_from_when_a_request_was_due():
    """The client itself is blocked for 0.3 s: the requests that were due meanwhile are late, and it shows."""

    async def main():
        async def respond(number: int):
            if number == 2:
                time.sleep(0.3)  # noqa: ASYNC251 - client and server share this thread: it blocks the sending
            return ANSWERS[200]

        async with served(respond) as (address, _, _ids):
            return await play(address, None, requests=30, rps=50, seed=1)

    samples = asyncio.run(main())
    behind = max(samples, key=lambda sample: sample.late)  # on a busy machine not always the one after the block
    assert behind.late >= 0.2
    assert behind.latency >= behind.late
    error = scheduling_error(samples)
    assert error.worst == max(abs(sample.late) for sample in samples)
    assert 0 <= error.p99 <= error.worst
    later = [sample.late for sample in samples[samples.index(behind) + 1 :]]
    assert min(later) < behind.late / 2, "what came late must not make the rest late"


def test_ids_are_all_different_and_follow_from_the_seed():
    ids = fresh_ids(1_000, seed=5)
    assert len(set(ids)) == 1_000
    assert all(len(id_) == 24 and id_.isascii() and id_.isalnum() for id_ in ids)
    assert ids == fresh_ids(1_000, seed=5) != fresh_ids(1_000, seed=6)


def test_progress_and_order():
    seen = []

    async def jittery(number: int):
        await asyncio.sleep(0.05 if number % 2 else 0)
        return ANSWERS[200]

    async def main():
        async with served(jittery) as (address, _, ids):
            samples = await play(address, "T1", requests=10, rps=200, seed=1, on_answer=seen.append)
            return samples, ids

    samples, ids = asyncio.run(main())
    assert sorted(seen, key=lambda sample: sample.due) == samples
    assert [sample.id for sample in samples] == fresh_ids(10, seed=1)
    assert Counter(ids) == Counter(sample.id for sample in samples)


def test_no_answer_is_told_as_such():
    async def never(_: int):
        await asyncio.sleep(60)

    async def main():
        async with served(never) as (address, _, _ids):
            return await play(address, None, requests=3, rps=100, seed=1, timeout=0.2)

    hung = asyncio.run(main())
    assert [sample.status for sample in hung] == [None] * 3
    assert {sample.reason for sample in hung} == {"no whole answer in time"}
    assert {d.fault for d in cross_check(hung, [])} == {Fault.UNANSWERED}


def test_a_server_that_is_gone_after_the_first_answer_ends_no_load():
    """What the first answer would have ended goes on: a balancer may be restarted."""

    async def main():
        async with served(once_and_away) as (address, _, _ids):
            return await play(address, None, requests=5, rps=50, seed=1)

    async def once_and_away(number: int):
        return ANSWERS[404 if number else 200]

    assert [sample.status for sample in asyncio.run(main())] == [200, 404, 404, 404, 404]


@pytest.mark.parametrize("rps", [1.0, 10_000.0])
def test_a_first_answer_that_names_no_tier_ends_the_load(rps: float):
    async def no_such_tier(_: int):
        return ANSWERS[404]

    async def main():
        async with served(no_such_tier) as (address, arrivals, _):
            with pytest.raises(UsageError, match="no such tier"):
                await asyncio.wait_for(play(address, "T9", requests=20_000, rps=rps, seed=1), 60)
            assert len(arrivals) < 20_000

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "tier"), [("127.0.0.1", "\xe9"), ("\xe9", "T1"), ("127.0.0.1", "T1 HTTP/1.1\r\nA: b")]
)
def test_what_no_request_can_name_is_refused(host: str, tier: str):
    with pytest.raises(UsageError, match="nowhere to send to"):
        asyncio.run(play((host, 9), tier, requests=1, rps=1.0, seed=1))


@pytest.mark.parametrize(
    "wrong", [{"requests": 0}, {"rps": 0}, {"rps": float("inf")}, {"rps": float("nan")}, {"timeout": 0}]
)
def test_numbers_that_make_no_load_are_refused(wrong: dict[str, float]):
    with pytest.raises(UsageError, match="no load"):
        asyncio.run(play(("127.0.0.1", 9), None, **{"requests": 1, "rps": 1.0, "seed": 1, **wrong}))


def test_cancelled_play_leaves_nothing():
    async def never(_: int):
        await asyncio.sleep(60)

    async def main():
        async with served(never) as (address, arrivals, _):
            task = asyncio.create_task(play(address, None, requests=50, rps=20, seed=1))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            sent = len(arrivals)
            await asyncio.sleep(0.2)
            assert len(arrivals) == sent

    asyncio.run(main())


def test_two_thousand_requests_without_a_lost_or_doubled_answer():
    """Through the balancer, dozens at a time, over servers that accept, fail and limit, at any speed."""
    generator = random.Random(7)

    async def moody(_: int):
        await asyncio.sleep(generator.random() * 0.04)
        return ANSWERS[generator.choice((200, 200, 429, 503))]

    async def main():
        records, busiest = [], 0
        async with served(moody) as (a, _, asked_a), served(moody) as (b, _, asked_b):
            tier = TierConfig(name="T1", upstreams=(a, b), strategy="random")
            balancer = Balancer(BalancerConfig(tiers=(tier,)), on_request=records.append)
            address = await balancer.start("127.0.0.1", 0)

            def look(_: Sample):
                nonlocal busiest
                busiest = max(busiest, balancer._in_flight)

            samples = await play(address, "T1", requests=2_000, rps=800, seed=3, on_answer=look)
            await balancer.close()
        return samples, records, asked_a + asked_b, busiest

    samples, records, asked, busiest = asyncio.run(main())
    assert busiest > 10
    assert cross_check(samples, records) == []
    assert len(samples) == len({sample.id for sample in samples}) == 2_000
    attempts = Counter({record.id: record.attempts for record in records})
    assert Counter(asked) == attempts, "each attempt reached a server once, and nothing else did"
    result = row(samples, records, strategy="random", tier="T1", scoring=Scoring())
    assert result.requests == 2_000
    assert result.accepted == sum(sample.status == 200 for sample in samples) > 1_000
    assert result.rate_limited == sum(record.outcomes.count("rate_limited") for record in records) > 100
    assert result.p50_ms > 1
