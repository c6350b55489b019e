"""Requests -> rows of results -> a table for people, or ``binsafe.results/1`` for programs."""

from collections.abc import Sequence
from typing import Final

import msgspec

from bandit_runner.intervals import nearest_rank, score_interval
from bandit_runner.model import (
    SECONDS_TO_MS,
    UNKNOWN,
    WITHIN,
    Outcome,
    RequestRecord,
    ResultRow,
    Results,
    Scoring,
    Unknown,
)
from bandit_runner.tables import Column, number, table


def _where(row: ResultRow) -> str:
    return row.scenario if isinstance(row.scenario, str) else row.tier if isinstance(row.tier, str) else "-"


def _interval(row: ResultRow) -> str:
    if isinstance(row.ci_low, str) or isinstance(row.ci_high, str):
        return "-"
    return f"{row.ci_low:.1f} .. {row.ci_high:.1f}"


COLUMNS: Final[tuple[Column[ResultRow], ...]] = (
    Column("strategy", lambda row: row.strategy, is_text=True),
    Column("tier", _where, is_text=True),
    Column("requests", lambda row: str(row.requests)),
    Column("accepted", lambda row: str(row.accepted)),
    Column("within 3", lambda row: str(row.accepted_within_3)),
    Column("extra", lambda row: str(row.extra_attempts)),
    Column("429s", lambda row: number(row.rate_limited, 0)),
    Column("score", lambda row: number(row.score, 1)),
    Column("95% interval", _interval),
    Column("p50 ms", lambda row: number(row.p50_ms, 2)),
    Column("p99 ms", lambda row: number(row.p99_ms, 2)),
)
"""What is unknown reads "-"."""

REGRET: Final[Column[ResultRow]] = Column("regret", lambda row: number(row.regret, 1))


def result_row(records: Sequence[RequestRecord], *, strategy: str, tier: str, scoring: Scoring) -> ResultRow:
    """The row of one run: what its requests came to under a scoring."""
    extra = sum(scoring.extra_attempts(r.attempts) for r in records)
    accepted = sum(r.accepted for r in records)
    low, high = score_interval(records, scoring)
    latencies = [r.latency for r in records]
    return ResultRow(
        strategy=strategy,
        tier=tier,
        runs=1,
        requests=len(records),
        accepted=accepted,
        accepted_within_3=sum(r.accepted and r.attempts <= WITHIN for r in records),
        extra_attempts=extra,
        rate_limited=_rate_limited(records),
        score=scoring.score(accepted, extra),
        ci_low=low,
        ci_high=high,
        p50_ms=_in_ms(nearest_rank(latencies, 50)),
        p99_ms=_in_ms(nearest_rank(latencies, 99)),
    )


def to_json(rows: Sequence[ResultRow]) -> str:
    """The document ``{"schema": "binsafe.results/1", "rows": [...]}``, indented."""
    return msgspec.json.format(msgspec.json.encode(Results(rows=tuple(rows)))).decode()


def to_text(rows: Sequence[ResultRow]) -> str:
    """The rows as :func:`bandit_runner.tables.table` aligns them; a column for regret only where some row knows it."""
    columns = (*COLUMNS, REGRET) if any(not isinstance(row.regret, str) for row in rows) else COLUMNS
    return table(columns, rows)


def _rate_limited(records: Sequence[RequestRecord]) -> int | Unknown:
    if any(r.outcomes is None for r in records):
        return UNKNOWN
    return sum((r.outcomes or ()).count(Outcome.RATE_LIMITED) for r in records)


def _in_ms(seconds: float | Unknown) -> float | Unknown:
    return seconds if isinstance(seconds, str) else seconds * SECONDS_TO_MS
