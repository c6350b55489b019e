"""Two accounts of the same requests: the client's samples and the balancer's records.

The balancer knows the attempts, the client knows what it was told and how long that took. A row of results takes each
from the side that knows it; where the two contradict each other the id does not count as accepted, and is reported.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from bandit_runner.harness.results import result_row
from bandit_runner.harness.samples import Sample
from bandit_runner.model import RequestRecord, ResultRow, Scoring

ACCEPTED: Final = 200
FAILED: Final = 502
BROKEN: Final = 500
"""The strategy failed: the balancer has recorded what it had made of the id until then."""
PLAYED: Final = frozenset({ACCEPTED, FAILED})
"""Statuses with which the balancer says what an id came to; with any other the id was not played."""


class Fault(StrEnum):
    """What may be wrong between the two accounts."""

    UNANSWERED = "unanswered"
    """The client got no whole answer."""
    UNRECORDED = "unrecorded"
    """The client was told how it ended; the balancer knows nothing of it."""
    CONTRADICTED = "contradicted"
    """The client was told something else than the balancer recorded."""
    DOUBLED = "doubled"
    """One id was recorded or answered more than once."""
    UNASKED = "unasked"
    """The balancer recorded an id that was not sent."""


class Discrepancy(msgspec.Struct, frozen=True, kw_only=True):
    """One id over which the accounts differ."""

    id: str
    fault: Fault
    detail: str


def cross_check(samples: Sequence[Sample], records: Sequence[RequestRecord]) -> list[Discrepancy]:
    """Every id that was lost, doubled or told two ways; empty if all is well."""
    return [
        *_doubled((sample.id for sample in samples), "answered"),
        *_doubled((record.id for record in records), "recorded"),
        *_unasked(samples, records),
        *_different(samples, {record.id: record for record in records}),
    ]


def row(
    samples: Sequence[Sample],
    records: Sequence[RequestRecord],
    *,
    strategy: str,
    tier: str,
    scoring: Scoring,
) -> ResultRow:
    """The row of one run: attempts and outcomes from the balancer, latency from the client, accepted if both say so.

    A request that the balancer never played (503, say) is one with no attempts that was not accepted.
    """
    recorded = {record.id: record for record in records}
    joined = [_joined(sample, recorded.get(sample.id)) for sample in samples]
    return result_row(joined, strategy=strategy, tier=tier, scoring=scoring)


def row_of_samples(samples: Sequence[Sample], *, strategy: str, tier: str, scoring: Scoring) -> ResultRow:
    """The row of a load on a balancer that is not ours to look into: what it told its clients, 429s unknown."""
    told = [
        RequestRecord(
            id=sample.id,
            accepted=sample.status == ACCEPTED,
            attempts=sample.attempts or 0,
            latency=sample.latency,
        )
        for sample in samples
    ]
    return result_row(told, strategy=strategy, tier=tier, scoring=scoring)


def _joined(sample: Sample, record: RequestRecord | None) -> RequestRecord:
    return RequestRecord(
        id=sample.id,
        accepted=sample.status == ACCEPTED and record is not None and record.accepted,
        attempts=0 if record is None else record.attempts,
        latency=sample.latency,
        outcomes=() if record is None else record.outcomes,
    )


def _different(samples: Sequence[Sample], recorded: Mapping[str, RequestRecord]) -> Iterator[Discrepancy]:
    for sample in samples:
        record = recorded.get(sample.id)
        if sample.status is None:
            yield Discrepancy(id=sample.id, fault=Fault.UNANSWERED, detail=sample.reason)
        elif record is None:
            if sample.status in PLAYED:
                detail = f"the client was told {sample.status}"
                yield Discrepancy(id=sample.id, fault=Fault.UNRECORDED, detail=detail)
        elif sample.status not in ({ACCEPTED} if record.accepted else {FAILED, BROKEN}):
            said = "accepted" if record.accepted else "failed"
            detail = f"the client was told {sample.status}, the balancer recorded {said}"
            yield Discrepancy(id=sample.id, fault=Fault.CONTRADICTED, detail=detail)


def _doubled(ids: Iterator[str], what: str) -> Iterator[Discrepancy]:
    for id_, count in Counter(ids).items():
        if count > 1:
            yield Discrepancy(id=id_, fault=Fault.DOUBLED, detail=f"{what} {count} times")


def _unasked(samples: Sequence[Sample], records: Sequence[RequestRecord]) -> Iterator[Discrepancy]:
    sent = {sample.id for sample in samples}
    for id_ in dict.fromkeys(record.id for record in records if record.id not in sent):
        yield Discrepancy(id=id_, fault=Fault.UNASKED, detail="recorded by the balancer only")
