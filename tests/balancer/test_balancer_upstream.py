"""One attempt against servers that do everything wrong: what it comes to, and what becomes of the connection."""

import asyncio

import msgspec
import pytest
from balancing import (
    FAST,
    ID,
    PATIENT,
    Behaviour,
    Scripted,
    Upstream,
    accepts,
    balanced,
    connected,
    drips,
    eventually,
    floods,
    hangs,
    limits_me,
    post,
    refuses,
    resets,
    response,
    says,
)

from bandit_runner.balancer.config import Limits, Timeouts
from bandit_runner.strategies import STOP

OK = response()


async def outcome_of(behaviour: Behaviour, *, limits: Limits | None = None, timeouts: Timeouts = PATIENT):
    """What one attempt against a server that behaves so came to: (the attempt, the server)."""
    async with (
        Upstream(behaviour) as upstream,
        balanced(upstream, strategy=Scripted([0]), limits=limits, timeouts=timeouts) as world,
        connected(world.address) as wire,
    ):
        answer = await wire.ask(post())
        (record,) = world.records
        assert answer.status == (200 if record.accepted else 502)
        assert answer.headers["x-attempts"] == "1"
        assert answer.headers["x-upstream"] == upstream.name
        assert set(answer.headers) == {"content-type", "content-length", "x-attempts", "x-upstream"}
        assert upstream.asked == [ID]
        return record.trials[0], upstream


BEHAVIOURS = {
    "accepts": (accepts, "ok"),
    "created": (says(response(201)), "ok"),
    "no content": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), "ok"),
    "chunked": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "ok"),
    "ends with the connection": (says(b"HTTP/1.0 200 OK\r\n\r\nok", then_close=True), "ok"),
    "coded, ends with the connection": (  # RFC 9112, section 6.3, rule 4
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", then_close=True),
        "ok",
    ),
    "closes afterwards": (says(response(headers=b"Connection: close\r\n"), then_close=True), "ok"),
    "interim answers": (says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + OK), "ok"),
    "5xx": (refuses, "error"),
    "404": (says(response(404)), "error"),
    "redirect": (says(response(302, headers=b"Location: http://192.0.2.1/\r\n")), "error"),
    "429": (limits_me, "rate_limited"),
    "switches protocols": (
        says(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n" + OK),
        "error",
    ),
    "garbage": (says(bytes(range(256))), "error"),
    "another protocol": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "error"),
    "HTTP/2.0": (says(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), "error"),
    "HTTP/0.9": (says(b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok"), "error"),
    "HTTP/1.0, chunked": (
        says(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", then_close=True),
        "error",
    ),
    "status of four digits": (says(b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), "error"),
    "status of two digits": (says(b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"), "error"),
    "length and chunked": (
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        "error",
    ),
    "two lengths": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"), "error"),
    "negative length": (says(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"), "error"),
    "length too short": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok"), "error"),
    "two answers": (says(OK + OK), "error"),
    "length too long, then hangs": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nok"), "timeout"),
    "length too long, then dies": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nok", then_close=True), "error"),
    "dies in the status line": (says(b"HTTP/1.1 200", then_close=True), "error"),
    "dies in a chunk": (
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", then_close=True),
        "error",
    ),
    "dies without a word": (says(b"", then_close=True), "error"),
    "resets": (resets, "error"),
    "hangs": (hangs, "timeout"),
    "a byte now and then": (drips, "timeout"),
    "an endless header": (says(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000), "error"),
    "endless headers": (says(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 12_000), "error"),
    "endless interim answers": (says(b"HTTP/1.1 100 Continue\r\n\r\n" * 4_000), "error"),
    "a huge body": (says(response(body=bytes(100_000))), "error"),
    "an endless body": (floods, "error"),
}


@pytest.mark.parametrize("what", BEHAVIOURS)
async def test_each_behaviour_is_one_outcome(what: str):
    behaviour, expected = BEHAVIOURS[what]
    trial, _ = await outcome_of(behaviour, timeouts=FAST if expected == "timeout" else PATIENT)
    assert trial.outcome == expected
    assert expected != "timeout" or trial.latency >= 0.29


@pytest.mark.parametrize("behaviour", [hangs, drips])
async def test_an_attempt_has_its_time_and_no_more(behaviour: Behaviour):
    """A timer that begins when the server was asked and runs for longer fires later, however busy the machine is."""
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def timed(writer: asyncio.StreamWriter) -> None:
        asyncio.get_running_loop().call_later(0.35, lambda: ended.set_result(len(world.records)))
        await behaviour(writer)

    timeouts = msgspec.structs.replace(PATIENT, attempt=FAST.attempt)
    async with (
        Upstream(timed) as upstream,
        balanced(upstream, strategy=Scripted([0]), timeouts=timeouts) as world,
        connected(world.address) as wire,
    ):
        assert (await wire.ask(post())).status == 502
        assert await ended == 1


async def test_nothing_of_an_answer_is_copied_through():
    nasty = response(200, b"<script>", b"Set-Cookie: a=b\r\nX-Attempts: 99\r\nContent-Type: text/html\r\n")
    await outcome_of(says(nasty))  # which checks the headers


async def test_what_we_send():
    _, upstream = await outcome_of(accepts)
    assert upstream.heads == [
        f"POST / HTTP/1.1\r\nHost: {upstream.name}\r\nContent-Type: text/plain\r\nContent-Length: 24\r\n\r\n".encode()
    ]


async def test_retry_after_reaches_the_strategy():
    trial, _ = await outcome_of(limits_me)
    assert trial.retry_after == 7.0
    trial, _ = await outcome_of(says(response(429, b"", b"Retry-After: soon\r\n")))
    assert trial.retry_after is None


async def ask_twice(first: Behaviour, *, pause: float = 0.0):
    """Two requests after each other, the first answered so: (statuses, connections that the server saw, ids asked)."""
    async with (
        Upstream(first, accepts) as upstream,
        balanced(upstream, strategy=Scripted([0, 0])) as world,
        connected(world.address) as wire,
    ):
        statuses = [(await wire.ask(post())).status]
        if statuses == [200]:
            await asyncio.sleep(pause)
        else:
            statuses = []  # the script's second choice was this id's second attempt
            assert [r.accepted for r in world.records] == [True]
        statuses.append((await wire.ask(post())).status)
        return statuses, upstream.connections, len(upstream.asked)


async def test_connections_are_kept():
    assert await ask_twice(accepts) == ([200, 200], 1, 2)


async def test_connection_close_is_honoured():
    closes = says(response(headers=b"Connection: close\r\n"))
    assert await ask_twice(closes) == ([200, 200], 2, 2)


async def test_kept_connection_that_died_idle_is_replaced_unseen():
    """Nothing was sent on the dead one, so nothing is counted: two ids, two attempts."""
    assert await ask_twice(says(OK, then_close=True), pause=0.1) == ([200, 200], 2, 2)


async def test_kept_connection_may_be_idle_for_longer_than_an_attempt_may_take():
    assert await ask_twice(accepts, pause=1.5 * FAST.attempt) == ([200, 200], 1, 2)


async def test_connection_that_was_idle_for_long_is_not_used_again():
    timeouts = msgspec.structs.replace(FAST, upstream_idle=0.1)
    async with (
        Upstream(accepts) as upstream,
        balanced(upstream, timeouts=timeouts) as world,
        connected(world.address) as wire,
    ):
        for pause in (0.0, 0.2, 0.0):
            await asyncio.sleep(pause)
            assert (await wire.ask(post())).status == 200
        assert upstream.connections == 2


async def test_server_that_speaks_unasked_is_dropped():
    """An answer sent ahead of the question must not become the answer to it."""

    async def answers_ahead(writer: asyncio.StreamWriter):
        writer.write(OK)
        await asyncio.sleep(0.05)
        writer.write(OK)

    assert await ask_twice(answers_ahead, pause=0.2) == ([200, 200], 2, 2)


async def test_attempt_on_a_connection_that_dies_after_sending_counts():
    """A kept connection takes the bytes and dies: the server may have acted on them, so it is an attempt."""

    async def dies_at_the_second(writer: asyncio.StreamWriter):
        writer.close()

    async with (
        Upstream(accepts, dies_at_the_second, accepts) as upstream,
        balanced(upstream, strategy=Scripted([0, 0, 0])) as world,
        connected(world.address) as wire,
    ):
        assert (await wire.ask(post())).headers["x-attempts"] == "1"
        assert (await wire.ask(post())).headers["x-attempts"] == "2"
        assert [r.outcomes for r in world.records] == [("ok",), ("error", "ok")]
        assert len(upstream.asked) == 3


async def test_server_that_refuses_connections_is_left_out_for_a_while():
    async with Upstream(accepts) as gone:
        nobody = gone.address
    script = Scripted([0, 1, 1])
    timeouts = msgspec.structs.replace(PATIENT, down=60.0)
    async with (
        Upstream(accepts) as up,
        balanced(nobody, up, strategy=script, timeouts=timeouts) as world,
        connected(world.address) as wire,
    ):
        assert (await wire.ask(post())).status == 200
        assert (await wire.ask(post())).status == 200
    assert world.records[0].outcomes == ("error", "ok")
    assert script.offered == [[0, 1], [1], [1]]


async def test_server_that_refused_connections_is_offered_again_after_a_while():
    async with Upstream(accepts) as gone:
        nobody = gone.address
    script = Scripted([0, STOP, 1])
    async with (
        Upstream(accepts) as up,
        balanced(nobody, up, strategy=script) as world,
        connected(world.address) as wire,
    ):
        assert (await wire.ask(post())).status == 502
        await asyncio.sleep(0.25)  # timeouts.down is 0.2
        assert (await wire.ask(post())).status == 200
    assert script.offered[-1] == [0, 1]


async def test_when_all_are_down_all_are_offered():
    async with Upstream(accepts) as gone:
        nobody = gone.address
    script = Scripted([0, 0, 0])
    async with balanced(nobody, strategy=script) as world, connected(world.address) as wire:
        assert (await wire.ask(post())).status == 502
    assert script.offered == [[0], [0], [0]]


async def test_server_that_answers_is_no_longer_down():
    """Else, where all have been down, those that still are would be asked as often as the one that came back."""
    async with Upstream(accepts) as gone, Upstream(accepts) as back:
        addresses = gone.address, back.address
    script = Scripted([0, 1, STOP, 1, 1])
    timeouts = msgspec.structs.replace(PATIENT, down=60.0)
    async with balanced(*addresses, strategy=script, timeouts=timeouts) as world, connected(world.address) as wire:
        assert (await wire.ask(post())).status == 502
        async with Upstream(accepts, port=addresses[1][1]):
            assert [(await wire.ask(post())).status for _ in range(2)] == [200, 200]
    assert script.offered == [[0, 1], [1], [0, 1], [0, 1], [1]]


async def test_idle_connections_are_bounded():
    async def slowly(writer: asyncio.StreamWriter):
        await asyncio.sleep(0.05)
        writer.write(OK)

    limits = Limits(idle_upstream=2)
    async with Upstream(slowly) as upstream, balanced(upstream, limits=limits) as world:

        async def once():
            async with connected(world.address) as wire:
                return (await wire.ask(post())).status

        assert await asyncio.gather(*(once() for _ in range(6))) == [200] * 6
        assert upstream.connections == 6
        await eventually(lambda: len(upstream._tasks) == 2)


async def test_a_connection_that_is_used_makes_room_for_itself_among_the_idle():
    """A strategy that turns to another server must not open a connection per id because of those it left behind."""

    async def slowly(writer: asyncio.StreamWriter):
        await asyncio.sleep(0.05)
        writer.write(OK)

    script = Scripted([0, 0, 1, 1, 1])
    async with (
        Upstream(slowly) as before,
        Upstream(accepts) as after,
        balanced(before, after, strategy=script, limits=Limits(idle_upstream=2)) as world,
        connected(world.address) as wire,
        connected(world.address) as other,
    ):
        assert [a.status for a in await asyncio.gather(wire.ask(post()), other.ask(post()))] == [200, 200]
        assert before.connections == 2
        assert [(await wire.ask(post())).status for _ in range(3)] == [200] * 3
        assert after.connections == 1
        await eventually(lambda: len(before._tasks) + len(after._tasks) == 2)
