"""What clients may send, and what they get: every status, in order, with the connection in the right state after it."""

import asyncio
import json
import socket
import time

import msgspec
import pytest
from balancing import (
    FAST,
    ID,
    OTHER_ID,
    Scripted,
    Upstream,
    accepts,
    balanced,
    connected,
    eventually,
    hangs,
    post,
    refuses,
    resets,
    response,
)

from bandit_runner.balancer import Balancer, BalancerConfig, Limits, TierConfig
from bandit_runner.errors import PortTaken, UsageError
from bandit_runner.model import Scoring
from bandit_runner.strategies import create

GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer_to(data: bytes, *, limits: Limits | None = None):
    """The answer to these bytes, and whether the connection is closed after it (else: whether it still serves)."""
    async with Upstream(accepts) as up, balanced(up, limits=limits) as world, connected(world.address) as wire:
        answer = await wire.ask(data)
        if answer.headers.get("connection") == "close":
            assert await wire.is_closed()
        else:
            assert (await wire.ask(post(OTHER_ID))).status == 200
        assert ID not in str(answer)
        return answer


async def test_accepted():
    answer = await answer_to(post())
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')
    assert answer.headers["x-attempts"] == "1"


async def test_all_attempts_failed():
    async with Upstream(refuses) as up, balanced(up) as world, connected(world.address) as wire:
        answer = await wire.ask(post())
        assert (answer.status, answer.body) == (502, b'{"status":"error"}')
        assert answer.headers["x-attempts"] == "3"
        assert answer.headers["x-upstream"] == up.name
        assert (await wire.ask(post())).status == 502


GOOD = {
    "json": post(b'{"id": "%b"}' % ID.encode()),
    "json with space": post(b' { "id" :\n"%b" } ' % ID.encode()),
    "chunked": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nabcd\r\n14;ext=1\r\nefghijklmnopqrstuvw9\r\n0\r\nTrailer: t\r\n\r\n",
    "named tier": post(path="/T1"),
    "query": post(path="/?a=b"),
    "absolute form": post(path="http://balancer.example/T1?q"),
    "empty lines before": b"\r\n\r\n" + post(),
    "keep-alive spelled out": post(headers="Connection: keep-alive\r\n"),
    "Upgrade without its Connection option": post(headers="Upgrade: h2c\r\n"),
}


@pytest.mark.parametrize("what", GOOD)
async def test_served(what: str):
    assert (await answer_to(GOOD[what])).status == 200


BAD = {
    "23 characters": (post(ID[:-1]), 400, False),
    "25 characters": (post(ID + "x"), 400, False),
    "a space": (post(ID[:-1] + " "), 400, False),
    "a dash": (post(ID[:-1] + "-"), 400, False),
    "a line end more": (post(ID + "\n"), 400, False),
    "non-ASCII letters": (post(("\u00e9" * 12).encode()), 400, False),
    "non-ASCII digits": (post("\u0661" * 12), 400, False),
    "no ASCII at all": (post(b"\xff" * 24), 400, False),
    "NUL": (post(bytes(24)), 400, False),
    "empty": (post(b""), 400, False),
    "json without id": (post(b'{"ID": "abcdefghijklmnopqrstuvwx"}'), 400, False),
    "json with more": (post(b'{"id": "%b", "x": 1}' % ID.encode()), 400, False),
    "json number": (post(b'{"id": 123456789012345678901234}'), 400, False),
    "json list": (post(b'["%b"]' % ID.encode()), 400, False),
    "json, 24 characters that are not ASCII": (post(('{"id": "%s"}' % ("\u00e9" * 24)).encode()), 400, False),
    "json surrogate": (post(b'{"id": "\\ud800bcdefghijklmnopqrstuvwx"}'), 400, False),
    "json cut": (post(b'{"id": "abcdefghijk'), 400, False),
    "json nested": (post(b"[" * 1000), 400, False),
    "length and chunked": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        True,
    ),
    "chunked and length": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 24\r\n\r\n0\r\n\r\n",
        400,
        True,
    ),
    "two lengths": (post(headers="Content-Length: 24\r\n"), 400, True),
    "length with a sign": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +24\r\n\r\n" + ID.encode(), 400, True),
    "length beyond 64 bits": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\n\r\n" % (b"9" * 30), 400, True),
    "length in a trailer": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 4\r\n\r\n",
        400,
        True,
    ),
    "other coding": (
        post(headers="Transfer-Encoding: gzip, chunked\r\n").replace(b"Content-Length: 24\r\n", b""),
        400,
        True,
    ),
    "identity": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n" + ID.encode(), 400, True),
    "bad chunk size": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, True),
    "chunked in 1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n18\r\n" + ID.encode() + b"\r\n0\r\n\r\n",
        400,
        True,
    ),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, True),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, True),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: x\n\n", 400, True),
    "folded header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400, True),
    "space before colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, True),
    "NUL in header": (b"GET / HTTP/1.1\r\nHost: x\0\r\n\r\n", 400, True),
    "TLS": (bytes.fromhex("160301020001000001fc0303"), 400, True),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, True),
    "upgrade": (post(headers="Connection: upgrade\r\nUpgrade: h2c\r\n"), 400, True),
    "other path": (post(path="/nope"), 404, False),
    "other tier": (post(path="/T2"), 404, False),
    "path with a dot": (post(path="/T1/."), 404, False),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, False),
    "no length, no chunked": (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 411, True),
    "no length, a body all the same": (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + ID.encode(), 411, True),
    "large body": (post(b"a" * 1025), 413, True),
    "large length, body never sent": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n", 413, True),
    "huge body": (post(b"a" * 3_000_000), 413, True),
    "huge chunk": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"800\r\n" + b"a" * 2048,
        413,
        True,
    ),
    "chunks that are all framing": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b"e" * 30_000,
        413,
        True,
    ),
    "large header": (post(headers="A: " + "b" * 9_000 + "\r\n"), 431, True),
    "endless header": (b"POST / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 300_000, 431, True),
    "endless header name": (b"POST / HTTP/1.1\r\nHost: x\r\n" + b"b" * 300_000, 431, True),
    "endless target": (b"POST /" + b"b" * 300_000, 431, True),
    "many headers": (post(headers="A: b\r\n" * 100), 431, True),
    "endless trailers": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 100,
        431,
        True,
    ),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505, True),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, True),
}


@pytest.mark.parametrize("what", BAD)
async def test_refused(what: str):
    data, status, closes = BAD[what]
    answer = await answer_to(data)
    assert answer.status == status
    assert (answer.headers.get("connection") == "close") is closes
    assert json.loads(answer.body)["status"] == "error"


METHODS = {
    "GET": (GET % b"/", "POST", False),
    "PUT": (post().replace(b"POST", b"PUT", 1), "POST", False),
    "CONNECT": (b"CONNECT a.example:1 HTTP/1.1\r\nHost: x\r\n\r\n", "POST", True),
    "unknown": (post().replace(b"POST", b"BREW", 1), "POST", True),
    "POST to healthz": (post(path="/healthz"), "GET, HEAD", False),
    "POST to metrics": (post(path="/metrics"), "GET, HEAD", False),
}


@pytest.mark.parametrize("what", METHODS)
async def test_wrong_method(what: str):
    data, allow, closes = METHODS[what]
    answer = await answer_to(data)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert (answer.headers.get("connection") == "close") is closes


async def test_own_pages():
    async with Upstream(refuses, accepts) as up, balanced(up) as world, connected(world.address) as wire:
        assert (await wire.ask(post())).status == 200
        health = await wire.ask(GET % b"/healthz")
        assert (health.status, health.body) == (200, b'{"status":"ok"}')
        metrics = await wire.ask(GET % b"/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=")
        lines = metrics.body.decode().splitlines()
        assert f'attempts_total{{outcome="ok",server="{up.name}",tier="T1"}} 1.0' in lines
        assert f'attempts_total{{outcome="error",server="{up.name}",tier="T1"}} 1.0' in lines
        assert "accepted_total 1.0" in lines
        assert "extra_attempts_total 0.0" in lines
        assert "attempt_latency_seconds_count 2.0" in lines
        wire.send(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await wire.response(bodiless=True)
        assert (head.status, head.headers["content-length"]) == (200, "15")
        assert (await wire.ask(post())).status == 200


async def test_extra_attempts_are_counted_beyond_the_free_ones():
    scoring = Scoring(max_attempts=5)
    async with (
        Upstream(refuses) as up,
        balanced(up, strategy=Scripted([0] * 5), scoring=scoring) as world,
        connected(world.address) as wire,
    ):
        answer = await wire.ask(post())
        attempts = int(answer.headers["x-attempts"])
        assert attempts == len(world.records[0].trials) == 5
        lines = (await wire.ask(GET % b"/metrics")).body.decode().splitlines()
        assert "extra_attempts_total 2.0" in lines


async def test_several_tiers():
    async with Upstream(accepts) as first, Upstream(refuses) as second:
        config = BalancerConfig(
            tiers=tuple(
                TierConfig(name=name, upstreams=(up.address,), strategy="round-robin")
                for name, up in (("T1", first), ("T2", second))
            ),
            scoring=Scoring(max_attempts=1),
        )
        records = []
        balancer = Balancer(config, on_request=records.append)
        address = await balancer.start("127.0.0.1", 0)
        async with connected(address) as wire:
            assert (await wire.ask(post(path="/T1"))).status == 200
            assert (await wire.ask(post(path="/T2"))).status == 502
            missing = await wire.ask(post())
            assert (missing.status, json.loads(missing.body)["tiers"]) == (404, ["/T1", "/T2"])
        assert [(r.tier, r.accepted) for r in records] == [("T1", True), ("T2", False)]
        await balancer.close()


async def test_use_swaps_the_strategy_from_the_next_id_on():
    async with Upstream(accepts) as a, Upstream(accepts) as b, balanced(a, b) as world:
        async with connected(world.address) as wire:
            await wire.ask(post())
            world.balancer.use("T1", create("random", arms=2, seed=3))
            await wire.ask(post())
        assert [r.strategy for r in world.records] == ["round-robin", "random"]
        with pytest.raises(UsageError, match="no tier") as caught:
            world.balancer.use("T9", create("random", arms=2))
        assert "T1" in caught.value.hint


async def test_pipelined_requests_are_answered_in_order():
    async def by_id(writer: asyncio.StreamWriter):
        await asyncio.sleep(0.05 if up.asked[-1] == ID else 0)
        writer.write(response(200 if up.asked[-1] == ID else 503))

    async with Upstream(by_id) as up, balanced(up) as world, connected(world.address) as wire:
        wire.send(post(ID) + post(OTHER_ID) + GET % b"/healthz" + post(path="/nope") + post(b"short") + post(ID))
        statuses = [(await wire.response()).status for _ in range(6)]
        assert statuses == [200, 502, 200, 404, 400, 200]


async def test_pipelined_without_end():
    """Ten thousand requests in one go, answered after the client has sent them all: in order, in bounded memory."""
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        wire.send((GET % b"/healthz") * 5_000 + (GET % b"/nope") * 5_000)
        statuses = [(await wire.response()).status for _ in range(10_000)]
        assert statuses == [200] * 5_000 + [404] * 5_000


async def test_what_follows_a_refusal_is_not_served():
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + post())
        assert (await wire.response()).status == 400
        assert await wire.is_closed()
        assert up.asked == []


async def test_what_follows_connection_close_is_not_served():
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        wire.send(post(ID, headers="Connection: close\r\n") + post(OTHER_ID))
        answer = await wire.response()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await wire.is_closed()
        assert up.asked == [ID]


async def test_client_that_sends_all_before_it_reads_gets_its_refusal():
    """Closing with bytes unread would make the kernel send a reset, and this client would never see the 413."""
    async with Upstream(accepts) as up, balanced(up) as world:
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, world.address)
            await loop.sock_sendall(client, post(b"a" * 10_000_000))
            assert (await loop.sock_recv(client, 4096)).startswith(b"HTTP/1.1 413 ")
            assert await loop.sock_recv(client, 4096) == b""


async def test_refused_client_that_goes_on_sending_is_cut_off():
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        started = time.monotonic()
        assert (await wire.ask(post(path="/nope", headers="Content-Length: 1\r\n"))).status == 400
        while world.balancer._clients and time.monotonic() - started < 1.5:
            wire.send(b"more")
            await asyncio.sleep(0.02)
        assert time.monotonic() - started < 1.5  # timeouts.linger is 0.2


async def test_http_1_0():
    async with Upstream(accepts) as up, balanced(up) as world:
        raw = b"POST / HTTP/1.0\r\nContent-Length: 24\r\n%b\r\n" + ID.encode()
        async with connected(world.address) as wire:
            assert (await wire.ask(raw % b"")).status == 200
            assert await wire.is_closed()
        async with connected(world.address) as wire:
            for _ in range(2):
                answer = await wire.ask(raw % b"Connection: keep-alive\r\n")
                assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


async def test_expect_100_continue():
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        head, body = post(headers="Expect: 100-continue\r\n")[:-24], ID.encode()
        assert (await wire.ask(head)).status == 100
        assert (await wire.ask(body)).status == 200
        assert (await wire.ask(head + body)).status == 200  # the body came along: nothing to be said
        wire.send(post(OTHER_ID) + head)
        assert [(await wire.response()).status for _ in range(2)] == [200, 100]
        assert (await wire.ask(body)).status == 200
        large = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\nExpect: 100-continue\r\n\r\n"
        assert (await wire.ask(large)).status == 413


async def test_half_sent_request_is_given_up():
    for part in (
        b"PO",
        post()[:30],
        post()[:-1],
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n",
    ):
        async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
            started = time.monotonic()
            answer = await wire.ask(part)
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert 0.25 < time.monotonic() - started < 1.5
            assert await wire.is_closed()
            assert up.asked == []


async def test_slow_loris_gets_no_more_time_by_sending_a_little():
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        started = time.monotonic()

        async def drip():
            for byte in post():
                wire.send(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert (await wire.response()).status == 408
        assert time.monotonic() - started < 1.0
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_half_sent_and_ended():
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        wire.send(post()[:-1])
        wire.end()
        assert (await wire.response()).status == 400
        assert await wire.is_closed()


async def test_client_may_end_its_side_and_read_on():
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        wire.send(post() + post(OTHER_ID))
        wire.end()
        assert [(await wire.response()).status for _ in range(2)] == [200, 200]
        assert await wire.is_closed()


async def test_idle_connection_is_closed_without_a_word():
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        started = time.monotonic()
        assert await wire.is_closed()
        assert 0.4 < time.monotonic() - started < 1.5


async def test_client_that_does_not_read_is_dropped():
    """Its answers pile up in its socket and then in ours, up to the transport's mark, and not for ever."""
    async with Upstream(accepts) as up, balanced(up) as world, connected(world.address) as wire:
        wire.writer.transport.pause_reading()
        wire.send((GET % b"/metrics") * 20_000)
        await eventually(lambda: len(world.balancer._clients) == 1)
        await eventually(lambda: not world.balancer._clients, seconds=4)


async def test_saturated():
    timeouts = msgspec.structs.replace(FAST, attempt=5.0, request=5.0)
    async with (
        Upstream(hangs, accepts) as up,
        balanced(up, limits=Limits(requests=1), timeouts=timeouts) as world,
        connected(world.address) as first,
        connected(world.address) as second,
    ):
        first.send(post())
        await eventually(lambda: up.asked == [ID])
        answer = await second.ask(post(OTHER_ID))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert (await second.ask(GET % b"/healthz")).status == 200
        assert up.asked == [ID]


async def test_saturation_ends():
    async with (
        Upstream(hangs, accepts) as up,
        balanced(up, limits=Limits(requests=1)) as world,
        connected(world.address) as first,
        connected(world.address) as second,
    ):
        first.send(post())
        await eventually(lambda: up.asked == [ID])
        assert (await second.ask(post(OTHER_ID))).status == 503
        assert (await first.response()).status == 200  # at its second attempt
        assert (await second.ask(post(OTHER_ID))).status == 200


async def test_too_many_connections():
    async with Upstream(accepts) as up, balanced(up, limits=Limits(connections=2)) as world:
        async with connected(world.address) as a, connected(world.address) as b:
            assert (await a.ask(post())).status == (await b.ask(post())).status == 200
            async with connected(world.address) as c:
                answer = await c.response()
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                assert await c.is_closed()
            assert (await a.ask(post())).status == 200
        await eventually(lambda: not world.balancer._clients)
        async with connected(world.address) as d:
            assert (await d.ask(post())).status == 200


async def test_no_request_outlives_its_deadline():
    timeouts = msgspec.structs.replace(FAST, attempt=0.5, request=0.8)
    async with (
        Upstream(hangs) as up,
        balanced(up, timeouts=timeouts, scoring=Scoring(max_attempts=10)) as world,
        connected(world.address) as wire,
    ):
        started = time.monotonic()
        answer = await wire.ask(post())
        assert (answer.status, answer.headers["x-attempts"]) == (502, "2")
        assert time.monotonic() - started < 1.5
        assert world.records[0].outcomes == ("timeout", "timeout")


async def test_client_that_leaves_is_not_tried_for_any_longer():
    async def refuses_slowly(writer: asyncio.StreamWriter):
        await asyncio.sleep(0.1)
        writer.write(response(503))

    async with Upstream(refuses_slowly) as up, balanced(up, scoring=Scoring(max_attempts=10)) as world:
        async with connected(world.address) as wire:
            wire.send(post())
            await eventually(lambda: up.asked == [ID])
            await resets(wire.writer)
        await eventually(lambda: len(world.records) == 1)
        assert world.records[0].outcomes == ("error",)


async def test_drain():
    async def accepts_slowly(writer: asyncio.StreamWriter):
        await asyncio.sleep(0.2)
        writer.write(response())

    async with Upstream(accepts_slowly) as up, balanced(up) as world:
        async with connected(world.address) as busy, connected(world.address) as idle:
            busy.send(post())
            await eventually(lambda: up.asked == [ID])
            closing = asyncio.create_task(world.balancer.close())
            assert await idle.is_closed()
            answer = await busy.response()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await busy.is_closed()
            await closing
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*world.address)


async def test_drain_has_an_end():
    timeouts = msgspec.structs.replace(FAST, attempt=30.0, request=30.0, drain=0.2)
    async with Upstream(hangs) as up, balanced(up, timeouts=timeouts) as world, connected(world.address) as wire:
        wire.send(post())
        await eventually(lambda: up.asked == [ID])
        started = time.monotonic()
        await world.balancer.close()
        assert time.monotonic() - started < 1.0
        assert await wire.is_closed()


async def test_close_twice_and_without_start():
    config = BalancerConfig(tiers=(TierConfig(name="T1", upstreams=(("127.0.0.1", 9),)),))
    balancer = Balancer(config)
    await balancer.close()
    await balancer.start("127.0.0.1", 0)
    await balancer.close()
    await balancer.close()


async def test_taken_port():
    async with Upstream(accepts) as up:
        balancer = Balancer(BalancerConfig(tiers=(TierConfig(name="T1", upstreams=(up.address,)),)))
        with pytest.raises(PortTaken, match="is taken") as caught:
            await balancer.start(*up.address)
        assert caught.value.port == up.address[1]


async def test_address_of_somebody_else():
    balancer = Balancer(BalancerConfig(tiers=(TierConfig(name="T1", upstreams=(("127.0.0.1", 9),)),)))
    with pytest.raises(UsageError, match="cannot listen"):
        await balancer.start("192.0.2.1", 0)
