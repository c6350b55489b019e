"""What a session's plan, and what the servers told of themselves, say of its runs."""

from typing import Final

from bandit_runner.errors import UsageError
from bandit_runner.model import UNKNOWN, Unknown
from bandit_runner.runs import Run, Session
from bandit_runner.simulation.truth import clairvoyant_score, pace, read

MAX_SIMULATED: Final = 1_000
"""Ids that a clairvoyant is made to play: what one of them is worth does not change after that."""

USUAL_IDS: Final = 100
USUAL_RPS: Final = 10.0
"""What `bandit_runner start` plays: of a session whose plan is not known."""


def attainable(session: Session, run: Run) -> float | Unknown:
    """Points per id for one who knows the truth, over as many ids as were planned.

    Of a run that has ended at its own pace; one that was interrupted and gone on with has the time between as well.
    """
    if session.truth is None:
        return UNKNOWN
    requests, rps = min(run.start.planned or USUAL_IDS, MAX_SIMULATED), _rps(session)
    if run.ended is not None:
        rps = pace(run.tally.requests, run.ended - run.start.started, rps) or rps
    try:
        score = clairvoyant_score(
            read(session.truth),
            run.start.tier,
            requests=requests,
            rps=rps,
            began=run.start.started,
            scoring=session.scoring,
        )
    except UsageError:
        return UNKNOWN
    return score if isinstance(score, str) else score / requests


def games(session: Session) -> int:
    """How many runs its plan has."""
    plan = session.settings.get("plan")
    if not isinstance(plan, dict):
        return 0
    return len(plan.get("strategies", ())) * len(plan.get("tiers", ()))


def _rps(session: Session) -> float:
    plan = session.settings.get("plan")
    rps = plan.get("rps") if isinstance(plan, dict) else None
    return float(rps) if isinstance(rps, int | float) and rps > 0 else USUAL_RPS


def rates(session: Session, run: Run) -> tuple[float | Unknown, ...]:
    """Each server's true success rate, as far as they told."""
    if session.truth is None:
        return tuple(UNKNOWN for _ in run.start.ports)
    try:
        truth = {server.port: server.success_rate for server in read(session.truth).servers}
    except UsageError:
        truth = {}
    return tuple(truth.get(port, UNKNOWN) for port in run.start.ports)
