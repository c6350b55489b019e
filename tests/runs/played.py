"""Finished ids, made up."""

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bandit_runner.model import Attempt, BalancedRequest, Outcome
from bandit_runner.runs import Recorder
from bandit_runner.runs.records import RunStart, Session

SESSION = Session(id="2026-01-21_07-20-33", started=1_768_998_033.0, seed=7)


def started(tier: str = "T1", strategy: str = "v4", session: Session = SESSION) -> RunStart:
    first = {"T1": 4000, "T2": 5000, "T3": 6000}[tier]
    return RunStart(
        session=session.id,
        name=f"{session.id}_{strategy}_{tier}",
        strategy=strategy,
        tier=tier,
        ports=tuple(range(first, first + 10)),
        started=session.started,
        planned=100,
    )


def request(*outcomes: Outcome, number: int = 0, tier: str = "T1", strategy: str = "v4") -> BalancedRequest:
    id_ = f"{number:024d}"
    trials = tuple(
        Attempt(
            id=id_, number=n, arm=(number + n) % 10, outcome=outcome, started=number * 0.1 + n * 0.001, latency=0.001
        )
        for n, outcome in enumerate(outcomes)
    )
    return BalancedRequest(
        id=id_,
        accepted=bool(outcomes) and outcomes[-1] is Outcome.OK,
        attempts=len(trials),
        latency=0.0012 * max(1, len(trials)),
        outcomes=outcomes,
        tier=tier,
        strategy=strategy,
        trials=trials,
    )


def many(count: int, *, seed: int = 1, tier: str = "T1", rate: float = 0.7) -> list[BalancedRequest]:
    draw = random.Random(seed)
    found = []
    for number in range(count):
        outcomes: list[Outcome] = []
        while len(outcomes) < 6 and Outcome.OK not in outcomes:
            lucky = draw.random() < rate
            outcomes.append(
                Outcome.OK if lucky else draw.choice([Outcome.ERROR, Outcome.RATE_LIMITED, Outcome.TIMEOUT])
            )
        found.append(request(*outcomes, number=number, tier=tier))
    return found


def sessions_of(path: Path, *, sessions: int, strategies: Sequence[str]) -> int:
    """A store of that many sessions, each strategy on each tier for five ids; how many runs that makes."""
    rates = [0.4 + 0.07 * number for number in range(len(strategies))]
    ids = {tier: [many(5, seed=n, tier=tier, rate=rate) for n, rate in enumerate(rates)] for tier in ("T1", "T2", "T3")}
    for number in range(sessions):
        session = msgspec.structs.replace(SESSION, id=f"session-{number:04}", started=SESSION.started + 60 * number)
        with Recorder(path, session) as recorder:
            for at, strategy in enumerate(strategies):
                for tier, played in ids.items():
                    recorder.begin(started(tier, strategy, session))
                    for each in played[(at + number) % len(strategies)]:
                        recorder.record(each)
                    recorder.end(tier)
    return sessions * len(strategies) * len(ids)
