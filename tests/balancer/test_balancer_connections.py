"""One connection, many requests: order, half-sent ones, slow clients, too many clients."""

import asyncio
import socket
import time

import msgspec
import pytest
from balancing import (
    FAST,
    ID,
    OTHER_ID,
    Upstream,
    accepts,
    balanced,
    connected,
    eventually,
    hangs,
    post,
    resets,
    response,
)

from bandit_runner.balancer import Limits
from bandit_runner.model import Scoring

GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


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
        assert (await wire.ask(post(path="/nope", headers="Content-Length: 1\r\n"))).status == 400

        def is_cut_off() -> bool:
            wire.send(b"more")
            return not world.balancer._clients

        await eventually(is_cut_off)


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
        async with Upstream(accepts) as up, balanced(up, timeouts=FAST) as world, connected(world.address) as wire:
            started = time.monotonic()
            answer = await wire.ask(part)
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert time.monotonic() - started > 0.25
            assert await wire.is_closed()
            assert up.asked == []


async def test_slow_loris_gets_no_more_time_by_sending_a_little():
    async with Upstream(accepts) as up, balanced(up, timeouts=FAST) as world, connected(world.address) as wire:

        async def drip():
            for byte in post():
                wire.send(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert (await wire.response()).status == 408
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


@pytest.mark.parametrize("before", [b"", post()])
async def test_empty_lines_buy_no_time(before: bytes):
    """A line end before a request means nothing (RFC 9112, section 2.2), so it is no sign of one, either."""
    async with Upstream(accepts) as up, balanced(up, timeouts=FAST) as world, connected(world.address) as wire:
        if before:
            assert (await wire.ask(before)).status == 200

        async def drip():
            while True:
                wire.send(b"\r\n")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await wire.is_closed()
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
    async with Upstream(accepts) as up, balanced(up, timeouts=FAST) as world, connected(world.address) as wire:
        assert (await wire.ask(post())).status == 200
        started = time.monotonic()
        assert await wire.is_closed()
        assert time.monotonic() - started > 0.4


async def test_a_connection_that_never_asks_gets_no_longer_than_a_request():
    """Else whoever opens connections and says nothing keeps others out for as long as a client may be idle."""
    timeouts = msgspec.structs.replace(FAST, keep_alive=30.0)
    async with Upstream(accepts) as up, balanced(up, timeouts=timeouts) as world, connected(world.address) as wire:
        started = time.monotonic()
        assert await wire.is_closed()
        assert time.monotonic() - started > 0.2


async def test_client_that_does_not_read_is_dropped():
    """Its answers pile up in its socket and then in ours, up to the transport's mark, and not for ever."""
    async with Upstream(accepts) as up, balanced(up, timeouts=FAST) as world, connected(world.address) as wire:
        wire.writer.transport.pause_reading()
        wire.send((GET % b"/metrics") * 20_000)
        await eventually(lambda: len(world.balancer._clients) == 1)
        await eventually(lambda: not world.balancer._clients, seconds=20)


async def test_an_id_beyond_those_in_flight_is_answered_503():
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
        balanced(up, limits=Limits(requests=1), timeouts=FAST) as world,
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
        answer = await wire.ask(post())
        assert (answer.status, answer.headers["x-attempts"]) == (502, "2")
        assert world.records[0].outcomes == ("timeout", "timeout")


async def test_client_that_leaves_is_not_tried_for_any_longer():
    async def refuses_later(writer: asyncio.StreamWriter):
        await eventually(lambda: not world.balancer._clients)
        writer.write(response(503))

    async with Upstream(refuses_later) as up, balanced(up, scoring=Scoring(max_attempts=10)) as world:
        async with connected(world.address) as wire:
            wire.send(post())
            await eventually(lambda: up.asked == [ID])
            await resets(wire.writer)
        await eventually(lambda: len(world.records) == 1)
        assert world.records[0].outcomes == ("error",)
