"""Stored runs -> the comparison: each strategy on each tier with its interval, and what tells it from the best.

Scores are per 100 ids, so that runs of any length stand beside each other. Pure.
"""

from collections.abc import Iterable, Sequence

import msgspec

from bandit_runner.intervals import (
    Difference,
    Estimate,
    clipped,
    difference,
    difference_of_means,
    estimate,
    interval_of_points,
    least_points,
)
from bandit_runner.model import UNKNOWN, WITHIN, ResultRow, Scoring, Unknown
from bandit_runner.runs.records import Run
from bandit_runner.runs.tally import Tally
from bandit_runner.tables import counted

PER_IDS: int = 100


class ComparedRow(ResultRow, frozen=True, kw_only=True):
    """One strategy on one tier over all runs; the fields of :class:`ResultRow` are totals, ``per_100`` is the score.

    ``versus_best`` is this strategy minus the tier's best over the sessions that played both, and of one session alone
    on its servers only (``estimate.runs`` is 1); None for the best itself, for others with its score, and where no
    session did. ``p50_ms`` and ``p99_ms`` are the balancer's own time for an
    id, without its way to the client and back: that is what is stored.
    """

    tier: str
    attempts: int
    per_100: Estimate
    success_rate: float
    best: bool = False
    worst: bool = False
    alone: bool = False
    """No other strategy played this tier: there is no best and no worst."""
    versus_best: Difference | None = None


def compare(runs: Iterable[Run], scoring: Scoring) -> tuple[ComparedRow, ...]:
    """The rows, tier by tier, the best score of a tier first; runs without a finished id are left out."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.tally.requests:
            groups.setdefault((run.start.tier, run.start.strategy), []).append(run)
    rows: list[ComparedRow] = []
    for tier in sorted({tier for tier, _ in groups}):
        found = [_row(strategy, tier, group, scoring) for (where, strategy), group in groups.items() if where == tier]
        found.sort(key=lambda row: (-row.per_100.mean, row.strategy))
        best = groups[tier, found[0].strategy]
        most, least = found[0].per_100.mean, found[-1].per_100.mean
        rows += [
            msgspec.structs.replace(
                row,
                best=len(found) > 1 and row.per_100.mean == most,
                worst=row.per_100.mean == least < most,
                alone=len(found) == 1,
                versus_best=_versus(groups[tier, row.strategy], best, scoring) if row.per_100.mean < most else None,
            )
            for row in found
        ]
    return tuple(rows)


def per_100(tally: Tally, scoring: Scoring) -> float:
    """Points per 100 ids of a tally with at least one."""
    return PER_IDS * tally.score(scoring) / tally.requests


def verdict(row: ComparedRow) -> str:
    """What the difference to the best says, in words."""
    found = row.versus_best
    if row.alone:
        return "nothing to compare with yet"
    if row.best:
        return "best"
    if found is None:
        return "not paired with the best"
    if found.told_apart:
        return f"{found.estimate.mean:+.1f} to the best{', on these servers' * (found.estimate.runs == 1)}"
    if found.runs_needed is None:
        return "cannot be told from the best yet"
    return f"cannot be told from the best yet: {counted(found.runs_needed, 'more run')} needed"


def _row(strategy: str, tier: str, runs: Sequence[Run], scoring: Scoring) -> ComparedRow:
    whole = Tally.sum([run.tally for run in runs])
    scores = _estimate(runs, whole, scoring)
    scale = whole.requests / PER_IDS
    return ComparedRow(
        strategy=strategy,
        tier=tier,
        runs=len(runs),
        requests=whole.requests,
        accepted=sum(whole.accepted),
        accepted_within_3=whole.accepted_within(WITHIN),
        extra_attempts=whole.extra_attempts(scoring),
        rate_limited=whole.rate_limited,
        score=whole.score(scoring),
        ci_low=UNKNOWN if scores.low is None else scores.low * scale,
        ci_high=UNKNOWN if scores.high is None else scores.high * scale,
        p50_ms=whole.quantile_ms(50),
        p99_ms=whole.quantile_ms(99),
        latency_by="balancer",
        attempts=whole.attempts,
        per_100=scores,
        success_rate=sum(whole.accepted) / whole.requests,
    )


def _estimate(runs: Sequence[Run], whole: Tally, scoring: Scoring) -> Estimate:
    """Points per 100 ids of all runs together: an id counts the same in a long run and in one that was broken off.

    Between runs the servers' rates change, too, so the interval is that of a ratio over runs (Cochran, Sampling
    Techniques, 2.11), but never narrower than what chance does to that many ids: two runs that happen to agree are not
    certain. It ends at 100, and at 0 where no id brought less.
    """
    by_ids, usual = _of_ids(whole, scoring), whole.requests / len(runs)
    mean = by_ids.mean
    off = [PER_IDS * (run.tally.score(scoring) - run.tally.requests * mean / PER_IDS) / usual for run in runs]
    between = estimate([mean + value for value in off])
    ends = [end for end in (by_ids.low, by_ids.high, between.low, between.high) if end is not None]
    widest = msgspec.structs.replace(between, mean=mean, low=min(ends), high=max(ends))
    return clipped(widest, PER_IDS * least_points(whole.points(scoring)), PER_IDS)


def _versus(runs: Sequence[Run], best: Sequence[Run], scoring: Scoring) -> Difference | None:
    """Paired by session: both met the same servers there. Of one session the ids say what can be said."""
    mine, theirs = _by_session(runs), _by_session(best)
    shared = [session for session in mine if session in theirs]
    if not shared:
        return None
    if len(shared) == 1:
        first, second = (_of_ids(each[shared[0]], scoring) for each in (mine, theirs))
        return difference_of_means(first, second)
    first_scores, second_scores = ([per_100(each[session], scoring) for session in shared] for each in (mine, theirs))
    return difference(first_scores, second_scores)


def _by_session(runs: Sequence[Run]) -> dict[str, Tally]:
    sessions: dict[str, list[Tally]] = {}
    for run in runs:
        sessions.setdefault(run.start.session, []).append(run.tally)
    return {session: Tally.sum(tallies) for session, tallies in sessions.items()}


def _of_ids(tally: Tally, scoring: Scoring) -> Estimate:
    """Points per 100 ids, and what chance does to that many on the same servers."""
    low, high = (_scaled(end, PER_IDS / tally.requests) for end in interval_of_points(tally.points(scoring)))
    return Estimate(mean=per_100(tally, scoring), low=low, high=high, deviation=0.0, runs=1)


def _scaled(value: float | Unknown, scale: float) -> float | None:
    return None if isinstance(value, str) else value * scale
