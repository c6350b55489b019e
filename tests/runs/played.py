"""Finished ids, made up."""

import random

from bandit_runner.model import Attempt, BalancedRequest, Outcome
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
