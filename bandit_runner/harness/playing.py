"""Strategies by tiers, played one after another through one balancer against one start of the servers."""

import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from bandit_runner.harness.check import cross_check, row
from bandit_runner.harness.recording import Recording
from bandit_runner.harness.samples import Sample
from bandit_runner.model import TIERS, UNKNOWN, BalancedRequest, ResultRow, Scoring, Unknown
from bandit_runner.runs import Run
from bandit_runner.simulation.truth import Truth, clairvoyant_score
from bandit_runner.strategies import create

if TYPE_CHECKING:
    from bandit_runner.balancer import Balancer
    from bandit_runner.strategies import Strategy


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be played: every strategy on every tier, ``requests`` ids each at ``rps`` a second."""

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
        """Positions of `games` in the order of play, which the seed shuffles: limiters remember who came before."""
        games = range(len(self.games()))
        return random.Random(self.seed).sample(games, len(games))  # noqa: S311 - repeatable on purpose


class Player:
    """Plays a plan. Give ``observe`` to the balancer as its ``on_request``.

    Args:
        plan: what to play.
        recording: where it is stored, if anywhere.
        played: runs of an interrupted session, by strategy and tier: what they lack is played.
        truth: what the servers tell of themselves, if they do: regret is counted against one who knows it.
        note: told of every id over which client and balancer differ.
        playing: told of each game as it begins: the strategy and the tier.
        advance: called after each answer.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        recording: Recording | None = None,
        played: Mapping[tuple[str, str], Run] | None = None,
        truth: Truth | None = None,
        note: Callable[[str], None] = lambda _: None,
        playing: Callable[[str, str], None] = lambda *_: None,
        advance: Callable[[], None] = lambda: None,
    ) -> None:
        self.samples: list[Sample] = []
        """What the client saw, over all games that were played now."""
        self._plan = plan
        self._recording = recording
        self._played = played or {}
        self._truth = truth
        self._note = note
        self._playing = playing
        self._advance = advance
        self._records: list[BalancedRequest] = []

    def observe(self, request: BalancedRequest) -> None:
        """One id is done with."""
        self._records.append(request)
        if self._recording is not None:
            self._recording.observe(request)

    async def play(self, balancer: "Balancer", address: tuple[str, int]) -> list[ResultRow]:
        """All games; a row for each that was played now, in the order of the table."""
        games = self._plan.games()
        rows: dict[int, ResultRow] = {}
        for position in self._plan.order():
            found = await self._game(position, *games[position], balancer, address)
            if found is not None:
                rows[position] = found
        return [rows[position] for position in sorted(rows)]

    async def _game(
        self, position: int, name: str, tier: str, balancer: "Balancer", address: tuple[str, int]
    ) -> ResultRow | None:
        from bandit_runner import harness  # noqa: PLC0415 - playing needs the extra; plans do not

        plan, before = self._plan, self._played.get((name, tier))
        left = plan.requests - (before.tally.requests if before else 0)
        if left <= 0:
            return None
        arms = len(TIERS[tier].ports)
        strategy = create(name, arms=arms, seed=plan.seed, scoring=plan.scoring, **plan.options)
        balancer.use(tier, strategy)
        self._begin(tier, strategy, before)
        self._playing(name, tier)
        self._records.clear()
        began = time.time()
        samples = await harness.play(
            address,
            tier,
            requests=left,
            rps=plan.rps,
            seed=plan.seed + position + (before.tally.requests if before else 0),
            on_progress=lambda *_: self._advance(),
        )
        self.samples += samples
        if self._recording is not None:
            self._recording.end(tier)
        for wrong in cross_check(samples, self._records):
            self._note(f"{name} on {tier}: id {wrong.id} {wrong.fault}: {wrong.detail}")
        attainable = self._attainable(tier, left, began)
        return row(samples, self._records, strategy=name, tier=tier, scoring=plan.scoring, attainable=attainable)

    def _attainable(self, tier: str, requests: int, began: float) -> float | Unknown:
        if self._truth is None:
            return UNKNOWN
        plan = self._plan
        return clairvoyant_score(self._truth, tier, requests=requests, rps=plan.rps, began=began, scoring=plan.scoring)

    def _begin(self, tier: str, strategy: "Strategy", before: Run | None) -> None:
        if self._recording is not None:
            self._recording.begin(tier, strategy, planned=self._plan.requests, seed=self._plan.seed, before=before)
