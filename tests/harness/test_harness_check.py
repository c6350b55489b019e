"""Client and balancer may tell two stories: each kind of contradiction is named, none counts as accepted."""

import json

import pytest

from bandit_runner.harness import Fault, Sample, cross_check, row, to_json, to_text
from bandit_runner.model import Outcome, RequestRecord, ResultRow, Scoring


def sample(id_: str = "a", status: int | None = 200, latency: float = 0.01):
    return Sample(id=id_, due=0.0, late=0.0, latency=latency, status=status)


def record(id_: str = "a", *, accepted: bool = True, outcomes: tuple[Outcome, ...] = (Outcome.OK,)):
    return RequestRecord(id=id_, accepted=accepted, attempts=len(outcomes), latency=9.0, outcomes=outcomes)


FAILED = record(accepted=False, outcomes=(Outcome.ERROR, Outcome.RATE_LIMITED, Outcome.TIMEOUT))

STORIES = {
    "accepted": ([sample()], [record()], []),
    "failed": ([sample(status=502)], [FAILED], []),
    "saturated": ([sample(status=503)], [], []),
    "no answer": ([sample(status=None)], [record()], [Fault.UNANSWERED]),
    "no answer, no record": ([sample(status=None)], [], [Fault.UNANSWERED]),
    "accepted, no record": ([sample()], [], [Fault.UNRECORDED]),
    "failed, no record": ([sample(status=502)], [], [Fault.UNRECORDED]),
    "accepted, recorded as failed": ([sample()], [FAILED], [Fault.CONTRADICTED]),
    "failed, recorded as accepted": ([sample(status=502)], [record()], [Fault.CONTRADICTED]),
    "saturated, but recorded": ([sample(status=503)], [record()], [Fault.CONTRADICTED]),
    "recorded twice": ([sample()], [record(), record()], [Fault.DOUBLED]),
    "answered twice": ([sample(), sample()], [record()], [Fault.DOUBLED]),
    "recorded, never sent": ([sample()], [record(), record("b")], [Fault.UNASKED]),
    "nothing": ([], [], []),
}


@pytest.mark.parametrize("what", STORIES)
def test_each_contradiction_between_client_and_balancer_is_found(what: str):
    samples, records, faults = STORIES[what]
    assert [discrepancy.fault for discrepancy in cross_check(samples, records)] == faults
    result = row(samples, records, strategy="v4", tier="T1", scoring=Scoring())
    assert result.requests == len(samples)
    if set(faults) - {Fault.DOUBLED, Fault.UNASKED}:
        assert result.accepted == 0


def test_row_takes_latency_from_the_client_and_outcomes_from_the_balancer():
    samples = [sample("a", latency=0.010), sample("b", 502, latency=0.020), sample("c", 503, latency=0.030)]
    records = [
        record("a", outcomes=(Outcome.RATE_LIMITED, Outcome.OK)),
        FAILED.__class__(id="b", accepted=False, attempts=5, latency=9.0, outcomes=(Outcome.RATE_LIMITED,) * 5),
    ]
    result = row(samples, records, strategy="v4", tier="T1", scoring=Scoring())
    assert (result.requests, result.accepted, result.accepted_within_3) == (3, 1, 1)
    assert (result.extra_attempts, result.rate_limited, result.score) == (2, 6, -1.0)
    assert (result.p50_ms, result.p99_ms) == (20.0, 30.0)
    assert (result.strategy, result.tier) == ("v4", "T1")


ROW = row([sample()], [record()], strategy="v4", tier="T1", scoring=Scoring())
UNKNOWN = ResultRow(
    strategy="round-robin",
    scenario="T3s",
    runs=200,
    requests=20_000,
    accepted=18_000,
    accepted_within_3=18_000,
    extra_attempts=7,
    rate_limited="unknown",
    score=17_993.0,
    ci_low="unknown",
    ci_high="unknown",
    p50_ms="unknown",
    p99_ms="unknown",
    regret=12.5,
)


def test_json_is_the_document():
    document = json.loads(to_json([ROW, UNKNOWN]))
    assert document["schema"] == "binsafe.results/1"
    live, simulated = document["rows"]
    assert (live["tier"], live["accepted"], live["regret"]) == ("T1", 1, "unknown")
    assert "scenario" not in live
    assert (simulated["scenario"], simulated["p99_ms"]) == ("T3s", "unknown")
    assert json.loads(to_json([])) == {"schema": "binsafe.results/1", "rows": []}


def test_the_table_is_aligned_and_shows_what_is_unknown_as_a_dash():
    text = to_text([ROW, UNKNOWN])
    assert text.splitlines() == [
        "strategy     tier  requests  accepted  within 3  extra  429s    score  95% interval  p50 ms  p99 ms  regret",
        "v4           T1           1         1         1      0     0      1.0    0.2 .. 1.0   10.00   10.00       -",
        "round-robin  T3s      20000     18000     18000      7     -  17993.0             -       -       -    12.5",
    ]
    assert "\x1b" not in text
    assert "regret" not in to_text([ROW])
