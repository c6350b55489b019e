"""Answers whose head was seen before on their connection: they mean what a parser makes of them, to the byte."""

import asyncio

import pytest
from balancing import FAST, PATIENT, Behaviour, Scripted, Upstream, accepts, balanced, connected, post, response, says

from bandit_runner.balancer.repeats import LONGEST, Repeats

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
WHOLE = HEAD + b"good"


async def in_two(writer: asyncio.StreamWriter) -> None:
    writer.write(WHOLE[:-2])
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(WHOLE[-2:])


SECOND = {
    "the same": (says(WHOLE), "ok", 1),
    "another body": (says(HEAD + b"\r\n\r\n"), "ok", 1),
    "in two pieces": (in_two, "ok", 1),
    "a byte too many": (says(WHOLE + b"!"), "error", 2),
    "another answer behind it": (says(WHOLE + WHOLE), "error", 2),
    "a byte too few": (says(WHOLE[:-1]), "timeout", 2),
    "cut short": (says(WHOLE[:-1], then_close=True), "error", 2),
    "as long, another status": (says(WHOLE.replace(b"200 OK", b"429 OK")), "rate_limited", 1),
    "as long, closes": (says(b"HTTP/1.0" + WHOLE[8:]), "ok", 2),
    "an interim answer before it": (says(b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE), "ok", 1),
}


@pytest.mark.parametrize("what", SECOND)
async def test_second_answer_with_a_known_head(what: str):
    second, expected, connections = SECOND[what]
    async with (
        Upstream(says(WHOLE), second, accepts) as upstream,
        balanced(upstream, strategy=Scripted([0, 0, 0]), timeouts=FAST if expected == "timeout" else PATIENT) as world,
        connected(world.address) as wire,
    ):
        assert (await wire.ask(post())).status == 200
        await wire.ask(post())
        assert [record.trials[0].outcome for record in world.records] == ["ok", expected]
        if expected == "ok":  # else the same id's second attempt was the third question
            await wire.ask(post())
        assert upstream.connections == connections


@pytest.mark.parametrize("first", [says(b"HTTP/1.1 103 X\r\nContent-Length: 4\r\n\r\n" + response()), in_two])
async def test_what_is_not_one_whole_answer_is_not_remembered(first: Behaviour):
    async with (
        Upstream(first, says(WHOLE), says(WHOLE + b"!")) as upstream,
        balanced(upstream, strategy=Scripted([0, 0, 0])) as world,
        connected(world.address) as wire,
    ):
        statuses = [(await wire.ask(post())).status for _ in range(3)]
        assert statuses == [200, 200, 502]
        assert [record.outcomes for record in world.records] == [("ok",), ("ok",), ("error",)]


async def test_retry_after_is_read_from_each_head():
    def limited(at: str) -> Behaviour:
        date = b"Date: Fri, 27 Nov 2026 12:00:00 GMT\r\n"
        return says(response(429, b"", date + f"Retry-After: Fri, 27 Nov 2026 12:00:{at} GMT\r\n".encode()))

    async with (
        Upstream(limited("07"), limited("07"), limited("08")) as upstream,
        balanced(upstream, strategy=Scripted([0, 0, 0])) as world,
        connected(world.address) as wire,
    ):
        await wire.ask(post())
        (record,) = world.records
        assert [trial.retry_after for trial in record.trials] == [7.0, 7.0, 8.0]
        assert upstream.connections == 1


@pytest.mark.parametrize(
    "piece",
    [
        b"\r\n\r\n" + WHOLE,
        WHOLE + b"\r\n",
        WHOLE + WHOLE,
        WHOLE[:-1],
        b"",
        b"good",
        b"A: " + b"b" * LONGEST + WHOLE,
    ],
    ids=["empty line before", "empty line after", "twice", "cut", "nothing", "no head", "a huge head"],
)
def test_only_one_whole_message_is_remembered(piece: bytes):
    repeats: Repeats[str] = Repeats()
    repeats.learn(piece, 4, "meaning")
    assert repeats.recall(piece) is None
    repeats.learn(WHOLE, 4, "meaning")
    assert repeats.recall(WHOLE) == repeats.recall(HEAD + b"evil") == "meaning"
    assert repeats.recall(piece) is None
