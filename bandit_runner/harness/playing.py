"""Strategies by tiers through one balancer against one start of the servers.

The tiers are played side by side, for they share no server; the strategies of one tier after one another.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from bandit_runner.harness.check import PLAYED, cross_check, row
from bandit_runner.harness.recording import Recording
from bandit_runner.harness.samples import Sample
from bandit_runner.model import TIERS, BalancedRequest, ResultRow, Scoring
from bandit_runner.runs import Run
from bandit_runner.simulation.truth import Truth, clairvoyant_score, pace
from bandit_runner.strategies import create, fitting
from bandit_runner.tables import counted

if TYPE_CHECKING:
    from bandit_runner.balancer import Balancer
    from bandit_runner.strategies import Strategy


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be played: every strategy on every tier, ``requests`` ids each, at ``rps`` a second on each tier."""

    strategies: tuple[str, ...]
    tiers: tuple[str, ...]
    requests: int
    rps: float
    scoring: Scoring
    seed: int
    options: dict[str, Any] = {}

    @property
    def total(self) -> int:
        """Ids over all games."""
        return len(self.strategies) * len(self.tiers) * self.requests

    def games(self) -> list[tuple[str, str]]:
        """(strategy, tier) in the order of the table."""
        return [(strategy, tier) for strategy in self.strategies for tier in self.tiers]

    def order(self) -> list[int]:
        """Positions of `games` in the order of play, which the seed shuffles: limiters remember who came before.

        Of one tier they are played in this order, after one another.
        """
        games = range(len(self.games()))
        return random.Random(self.seed).sample(games, len(games))


class Player:
    """Plays a plan. Give ``observe`` to the balancer as its ``on_request``.

    Args:
        plan: what to play.
        recording: where it is stored, if anywhere.
        played: runs of an interrupted session, by strategy and tier: what they lack is played.
        truth: what the servers tell of themselves, if they do: regret is counted against one who knows it.
        note: told of every id over which client and balancer differ.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        recording: Recording | None = None,
        played: Mapping[tuple[str, str], Run] | None = None,
        truth: Truth | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self.samples: list[Sample] = []
        """What the client saw, over all games that were played now."""
        self.unplayed = 0
        """Ids of which the client was not told what they came to: none should be."""
        self._recording = recording
        self._played = played or {}
        self._truth = truth
        self._note = note
        self._records: dict[str, list[BalancedRequest]] = {tier: [] for tier in plan.tiers}

    def observe(self, request: BalancedRequest) -> None:
        """One id is done with."""
        self._records[request.tier].append(request)
        if self._recording is not None:
            self._recording.observe(request)

    @property
    def left(self) -> int:
        """How many ids are still to be played."""
        return sum(self._left(*game) for game in self.plan.games())

    @property
    def seconds(self) -> float:
        """How long that takes if nothing is slow."""
        plan = self.plan
        return max(sum(self._left(name, tier) for name in plan.strategies) for tier in plan.tiers) / plan.rps

    async def play(
        self,
        balancer: "Balancer",
        address: tuple[str, int],
        *,
        playing: Callable[[str, str], None] = lambda *_: None,
        advance: Callable[[], None] = lambda: None,
    ) -> list[ResultRow]:
        """All games; a row for each that was played now, in the order of the table.

        Args:
            balancer: in this process.
            address: where it listens.
            playing: told of each game as it begins: the strategy and the tier.
            advance: called after each answer.
        """
        games, rows = self.plan.games(), dict[int, tuple[ResultRow, float, float]]()

        async def in_turn(positions: Sequence[int]) -> None:
            for position in positions:
                playing(*games[position])
                began, clock = time.time(), time.monotonic()
                row = await self._game(position, *games[position], balancer, address, advance)
                rows[position] = row, began, time.monotonic() - clock

        waiting = [position for position in self.plan.order() if self._left(*games[position])]
        tasks = [
            asyncio.create_task(in_turn([position for position in waiting if games[position][1] == tier]))
            for tier in self.plan.tiers
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return [self._with_regret(*rows[position]) for position in sorted(rows)]

    def _left(self, strategy: str, tier: str) -> int:
        before = self._played.get((strategy, tier))
        return max(0, self.plan.requests - (before.tally.requests if before else 0))

    async def _game(
        self,
        position: int,
        name: str,
        tier: str,
        balancer: "Balancer",
        address: tuple[str, int],
        advance: Callable[[], None],
    ) -> ResultRow:
        from bandit_runner import harness  # playing needs the extra; plans do not

        plan, before, left = self.plan, self._played.get((name, tier)), self._left(name, tier)
        arms = len(TIERS[tier].ports)
        strategy = create(name, arms=arms, seed=plan.seed, scoring=plan.scoring, **fitting(name, plan.options))
        balancer.use(tier, strategy)
        self._begin(tier, strategy, before)
        records = self._records[tier]
        records.clear()
        samples = await harness.play(
            address,
            tier,
            requests=left,
            rps=plan.rps,
            seed=_seed(plan.seed, position, plan.requests - left),
            on_answer=lambda _: advance(),
        )
        self.samples += samples
        if self._recording is not None:
            self._recording.end(tier)
        for wrong in cross_check(samples, records):
            self._note(f"{name} on {tier}: id {wrong.id} {wrong.fault}: {wrong.detail}")
        self._tell_unplayed(name, tier, samples)
        return row(samples, records, strategy=name, tier=tier, scoring=plan.scoring)

    def _tell_unplayed(self, name: str, tier: str, samples: Sequence[Sample]) -> None:
        statuses = Counter(sample.status for sample in samples if sample.status not in PLAYED)
        self.unplayed += statuses.total()
        for status, count in statuses.items():
            if status is not None:  # those are told one by one
                self._note(
                    f"{name} on {tier}: {counted(count, 'id')} got {status} for an answer, not played to the end"
                )

    def _with_regret(self, row: ResultRow, began: float, took: float) -> ResultRow:
        """Beside one who knows the truth, whose games take a second: they are not for the time in which others play."""
        if self._truth is None:
            return row
        attainable = clairvoyant_score(
            self._truth,
            str(row.tier),
            requests=row.requests,
            rps=pace(row.requests, took, self.plan.rps),
            began=began,
            scoring=self.plan.scoring,
        )
        regret = attainable if isinstance(attainable, str) else attainable - row.score
        return msgspec.structs.replace(row, regret=regret)

    def _begin(self, tier: str, strategy: "Strategy", before: Run | None) -> None:
        if self._recording is not None:
            self._recording.begin(tier, strategy, planned=self.plan.requests, seed=self.plan.seed, before=before)


def _seed(plan: int, game: int, done: int) -> int:
    """Of the ids of a game, or of what is left of it: another for each, so that no two games of a session share ids."""
    return random.Random(f"{plan} {game} {done}").getrandbits(63)
