"""Every strategy on every tier, through one balancer, against one server that accepts everything."""

import asyncio
import time
from collections import Counter
from typing import Any

import msgspec
import pytest

from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig
from bandit_runner.errors import UsageError
from bandit_runner.harness import Plan, Player, scheduling_error
from bandit_runner.model import Scoring

PLAN = Plan(strategies=("v4", "round-robin"), tiers=("T1", "T3"), requests=15, rps=300, scoring=Scoring(), seed=4)


async def played(player: Player, balancer_type: type[Balancer] = Balancer, **told: Any):
    tasks = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(24)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    servers = [await asyncio.start_server(accept, "127.0.0.1", 0) for _ in range(10)]
    upstreams = tuple(server.sockets[0].getsockname() for server in servers)
    tiers = tuple(TierConfig(name=name, upstreams=upstreams, strategy="v4") for name in PLAN.tiers)
    balancer = balancer_type(BalancerConfig(tiers=tiers), on_request=player.observe)
    try:
        return await player.play(balancer, await balancer.start("127.0.0.1", 0), **told)
    finally:
        await balancer.close()
        for server in servers:
            server.close()
        await asyncio.gather(*tasks)


def test_all_games_are_played_and_told_of():
    told: list[tuple[str, str]] = []
    steps = Counter[str]()
    notes: list[str] = []
    player = Player(PLAN, note=notes.append)
    assert player.left == PLAN.total
    rows = asyncio.run(played(player, playing=lambda *game: told.append(game), advance=lambda: steps.update(["step"])))
    assert [(row.strategy, row.tier) for row in rows] == PLAN.games()
    assert all(row.accepted == row.requests == 15 for row in rows)
    in_order = [PLAN.games()[position] for position in PLAN.order()]
    for tier in PLAN.tiers:
        assert [game for game in told if game[1] == tier] == [game for game in in_order if game[1] == tier]
    assert steps.total() == PLAN.total == len(player.samples) == 60
    assert len({sample.id for sample in player.samples}) == 60
    assert isinstance(scheduling_error(player.samples).p99, float)
    assert notes == []


def test_tiers_are_played_side_by_side_and_the_ids_of_all_games_differ():
    player = Player(msgspec.structs.replace(PLAN, requests=40, rps=80))
    assert player.seconds == 1.0
    began = time.monotonic()
    rows = asyncio.run(played(player))
    assert 0.9 < time.monotonic() - began < 1.8, "two strategies in turn take twice half a second"
    assert [row.requests for row in rows] == [40] * 4
    assert len({sample.id for sample in player.samples}) == 160


def test_one_game_that_fails_ends_all():
    class Failing(Balancer):
        def use(self, tier: str, strategy: object) -> None:
            if tier == "T3":
                raise UsageError("no", hint="no")
            super().use(tier, strategy)

    player = Player(msgspec.structs.replace(PLAN, requests=500, rps=50))
    began = time.monotonic()
    with pytest.raises(UsageError):
        asyncio.run(played(player, balancer_type=Failing))
    assert time.monotonic() - began < 5
