"""Every strategy on every tier, through one balancer, against one server that accepts everything."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig
from bandit_runner.errors import UsageError
from bandit_runner.harness import Plan, Player, Recording, playing, scheduling_error
from bandit_runner.model import TIERS, Scoring, Unknown
from bandit_runner.runs import Recorder, Session, Store
from bandit_runner.simulation.truth import Server, Truth, clairvoyant_score
from bandit_runner.strategies import STRATEGIES, Choice, Strategy, Wait

SESSION = Session(id="s", started=1.0)

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
    events: list[str] = []
    told = {"playing": lambda _, tier: events.append(tier), "advance": lambda: events.append("answer")}
    rows = asyncio.run(played(player, **told))
    assert time.monotonic() - began > 0.9, "two strategies in turn take twice half a second"
    assert events[:3] == ["T1", "T3", "answer"], "no tier waits for another's end"
    assert [row.requests for row in rows] == [40] * 4
    assert len({sample.id for sample in player.samples}) == 160


def test_nobody_reckons_what_could_have_been_while_others_play(monkeypatch: pytest.MonkeyPatch):
    """A clairvoyant's games on the same loop made requests leave a second late."""
    servers = tuple(
        Server(tier=tier, port=TIERS[tier].first_port + n, success_rate=1, limit=None)
        for tier in PLAN.tiers
        for n in range(10)
    )
    player = Player(PLAN, truth=Truth(schema="flakyservers.truth/1", started=1, servers=servers))
    over: list[int] = []

    def reckoned(*told: Any, **more: Any) -> float | Unknown:
        over.append(len(player.samples))
        return clairvoyant_score(*told, **more)

    monkeypatch.setattr(playing, "clairvoyant_score", reckoned)
    rows = asyncio.run(played(player))
    assert over == [PLAN.total] * len(PLAN.games())
    assert [row.regret for row in rows] == [0] * len(rows)


def test_who_waits_has_no_less_regret_for_it(monkeypatch: pytest.MonkeyPatch):
    """Beside a clairvoyant who plays as fast as was planned, and so gets less of scarce servers, regret was below 0."""

    class Waiting(Strategy):
        name = "waiting"

        def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
            del now, attempt, usable
            self.has_waited = not getattr(self, "has_waited", True)
            return fresh[0] if self.has_waited else Wait(0.3)

    monkeypatch.setitem(STRATEGIES, "waiting", Waiting)
    paces: list[float] = []
    monkeypatch.setattr(playing, "clairvoyant_score", lambda *_, rps, **__: paces.append(rps) or 0.0)
    plan = msgspec.structs.replace(PLAN, strategies=("waiting",), tiers=("T1",), requests=5, rps=50)
    asyncio.run(played(Player(plan, truth=Truth(schema="flakyservers.truth/1", started=1, servers=()))))
    assert len(paces) == 1
    assert paces[0] <= 5 / 0.3


def test_each_strategy_plays_with_the_options_that_it_has():
    rows = asyncio.run(
        played(Player(msgspec.structs.replace(PLAN, strategies=("v1", "v4"), options={"discover_limit": 2})))
    )
    assert [row.accepted for row in rows] == [15] * 4


class Broken(Strategy):
    """Somebody's, with a bug, and a state that is no JSON."""

    name = "broken"

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, attempt, usable
        self.asked = getattr(self, "asked", 0) + 1
        return 1 // (self.asked % 5) or fresh[0]

    def snapshot(self) -> dict[str, Any]:
        return {"memory": object()}


def test_a_strategy_that_fails_is_told_of_once_and_its_ids_are_not_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(STRATEGIES, "broken", Broken)
    notes: list[str] = []
    plan = msgspec.structs.replace(PLAN, strategies=("broken",), tiers=("T1",))
    with Recorder(tmp_path / "runs.sqlite", SESSION) as recorder:
        player = Player(plan, recording=Recording(recorder), note=notes.append)
        (row,) = asyncio.run(played(player))
    assert (player.unplayed, row.accepted, row.requests) == (3, 12, 15)
    assert notes == ["broken on T1: 3 ids got 500 for an answer, not played to the end"]
    assert [record.message for record in caplog.records if record.exc_info] == [
        "strategy broken failed on tier T1: where it does, ids are answered 500"
    ]
    assert [record.message for record in caplog.records if "state" in record.message] == [
        "the state of strategy broken is not stored: TypeError('Encoding objects of type object is unsupported')"
    ]
    with Store.open(tmp_path / "runs.sqlite") as store:
        (run,) = store.runs()
        assert (sum(run.tally.accepted), run.tally.requests) == (12, 15), "as the table says"
        assert run.ended is not None


def test_one_game_that_fails_ends_all():
    class Failing(Balancer):
        def use(self, tier: str, strategy: object) -> None:
            if tier == "T3":
                raise UsageError("no", hint="no")
            super().use(tier, strategy)

    player = Player(msgspec.structs.replace(PLAN, requests=500, rps=50))
    with pytest.raises(UsageError):
        asyncio.run(played(player, balancer_type=Failing))
    assert not player.samples, "no other was played to its end"
