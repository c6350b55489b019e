"""What clients may send, and what they get: every status, with the connection in the right state after it."""

import json

import pytest
from balancing import (
    ID,
    OTHER_ID,
    Scripted,
    Upstream,
    accepts,
    balanced,
    connected,
    post,
    refuses,
)

from bandit_runner.balancer import Balancer, BalancerConfig, Limits, TierConfig
from bandit_runner.errors import UsageError
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


async def test_an_accepted_id_is_answered_200_with_its_attempts():
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
async def test_every_valid_form_of_a_request_is_served(what: str):
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
async def test_what_is_wrong_with_a_request_has_its_own_status(what: str):
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
async def test_a_wrong_method_is_answered_405_with_those_allowed(what: str):
    data, allow, closes = METHODS[what]
    answer = await answer_to(data)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert (answer.headers.get("connection") == "close") is closes


async def test_healthz_and_metrics_are_the_balancers_own():
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


async def test_with_several_tiers_the_path_chooses_one():
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
