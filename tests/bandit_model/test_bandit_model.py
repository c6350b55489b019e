"""The shared words: tiers, scoring, and the row that requests come to."""

import math
import random
import re
from pathlib import Path

import msgspec
import pytest

from bandit_runner import errors
from bandit_runner.errors import BanditError, MissingExtra, NotReady, PortTaken, StateMismatch, UsageError
from bandit_runner.harness.results import result_row
from bandit_runner.intervals import nearest_rank, score_interval
from bandit_runner.model import (
    SCORINGS,
    TIERS,
    UNKNOWN,
    Outcome,
    RequestRecord,
    ResultRow,
    Results,
    Scoring,
)
from bandit_runner.tables import number

STATEMENT, BLOG = SCORINGS["statement"], SCORINGS["blog"]
OK, ERROR, LIMITED = Outcome.OK, Outcome.ERROR, Outcome.RATE_LIMITED


def record(*outcomes: Outcome, latency: float = 0.002) -> RequestRecord:
    accepted = OK in outcomes
    return RequestRecord(id="x" * 24, accepted=accepted, attempts=len(outcomes), latency=latency, outcomes=outcomes)


RECORDS = [
    record(OK, latency=0.001),
    record(ERROR, LIMITED, OK, latency=0.003),
    record(LIMITED, ERROR, ERROR, LIMITED, OK, latency=0.005),  # two too many
    record(*[ERROR] * 10, latency=0.010),  # seven too many
    record(latency=0.004),  # no server was left to ask
]


def test_the_three_tiers_are_thirty_ports():
    assert {name: (tier.name, *tier.ports) for name, tier in TIERS.items()} == {
        "T1": ("T1", *range(4000, 4010)),
        "T2": ("T2", *range(5000, 5010)),
        "T3": ("T3", *range(6000, 6010)),
    }


def test_outcomes_are_written_as_words():
    assert msgspec.json.encode(list(Outcome)) == b'["ok","error","rate_limited","timeout"]'


@pytest.mark.parametrize(("attempts", "extra"), [(0, 0), (1, 0), (3, 0), (4, 1), (10, 7)])
def test_attempts_after_the_third_cost(attempts: int, extra: int):
    assert STATEMENT.extra_attempts(attempts) == extra
    assert Scoring(free_attempts=5).extra_attempts(attempts) == max(0, extra - 2)


def test_the_presets():
    assert {name: (s.penalty, s.free_attempts, s.max_attempts) for name, s in SCORINGS.items()} == {
        "statement": (1.0, 3, 10),
        "original": (1.0, 3, 10),
        "blog": (0.5, 3, 10),
    }
    assert STATEMENT.score(0, 7) == -7.0  # an id that fails ten times
    assert BLOG.score(1, 1) == 0.5


@pytest.mark.parametrize(
    "setting",
    [
        {"penalty": -1.0},
        {"penalty": math.nan},
        {"penalty": math.inf},
        {"free_attempts": 0},
        {"max_attempts": 0},
    ],
)
def test_a_scoring_without_meaning_is_refused(setting: dict[str, float]):
    with pytest.raises(UsageError) as caught:
        Scoring(**setting)
    assert caught.value.hint


def test_a_row_counts_what_happened():
    row = result_row(RECORDS, strategy="v4", tier="T2", scoring=STATEMENT)
    assert (row.strategy, row.tier, row.runs, row.requests) == ("v4", "T2", 1, 5)
    assert (row.accepted, row.accepted_within_3, row.extra_attempts, row.rate_limited) == (3, 2, 9, 3)
    assert row.score == 3 - 9
    assert row.regret == UNKNOWN
    assert (row.p50_ms, row.p99_ms) == (4.0, 10.0)
    assert result_row(RECORDS, strategy="v4", tier="T2", scoring=BLOG).score == 3 - 4.5


def test_within_three_is_three_whatever_is_free():
    row = result_row(RECORDS, strategy="v4", tier="T2", scoring=Scoring(free_attempts=5))
    assert (row.accepted_within_3, row.extra_attempts, row.score) == (2, 5, -2.0)


def test_outcomes_that_nobody_saw_are_unknown_not_zero():
    unseen = RequestRecord(id="x" * 24, accepted=True, attempts=2, latency=0.001)
    row = result_row([*RECORDS, unseen], strategy="v4", tier="T2", scoring=STATEMENT)
    assert row.rate_limited == UNKNOWN
    assert row.accepted == 4


def test_of_no_requests_nothing_is_known():
    row = result_row([], strategy="v4", tier="T1", scoring=STATEMENT)
    assert (row.requests, row.accepted, row.score, row.rate_limited) == (0, 0, 0.0, 0)
    assert (row.ci_low, row.ci_high, row.p50_ms, row.p99_ms) == (UNKNOWN,) * 4


def test_the_json_has_the_names_of_the_interface():
    row = result_row(RECORDS, strategy="v4", tier="T2", scoring=STATEMENT)
    document = msgspec.json.decode(msgspec.json.encode(Results(rows=(row,))))
    assert document["schema"] == "binsafe.results/1"
    assert " ".join(document["rows"][0]) == (
        "strategy tier runs requests accepted accepted_within_3 extra_attempts rate_limited score ci_low ci_high"
        " p50_ms p99_ms regret latency_by"
    )
    assert document["rows"][0]["regret"] == "unknown"
    simulated = msgspec.structs.replace(row, tier=msgspec.UNSET, scenario="T2c")
    assert list(msgspec.to_builtins(simulated))[:2] == ["strategy", "scenario"]
    assert msgspec.json.decode(msgspec.json.encode(row), type=ResultRow) == row


@pytest.mark.parametrize(
    ("percent", "rank"), [(0.1, 1), (1, 1), (50, 50), (50.5, 51), (99, 99), (99.1, 100), (100, 100)]
)
def test_the_nearest_rank_of_a_hundred_values(percent: float, rank: int):
    values = [float(v) for v in range(1, 101)]
    random.Random(1).shuffle(values)
    assert nearest_rank(values, percent) == rank


def test_the_nearest_rank_is_one_of_the_values():
    assert nearest_rank([3.0], 50) == nearest_rank([3.0], 99) == 3.0
    assert nearest_rank([1.0, 2.0], 50) == 1.0
    assert nearest_rank([], 50) == UNKNOWN


def test_the_interval_by_hand():
    # 90 of 100 with four ids more: 92 of 104, centre 0.8846, deviation 0.3195, half width 1.96 x 0.3195 / sqrt(104)
    low, high = score_interval([record(OK)] * 90 + [record(ERROR)] * 10, STATEMENT)
    assert low == pytest.approx(82.32, abs=0.01)
    assert high == pytest.approx(94.60, abs=0.01)


def test_a_hundred_of_a_hundred_is_not_certain():
    low, high = score_interval([record(OK)] * 100, STATEMENT)
    assert low == pytest.approx(95.4, abs=0.1)
    assert high == 100.0


@pytest.mark.parametrize("records", [RECORDS, RECORDS[:1], RECORDS[3:4], [RECORDS[3]] * 50])
def test_the_score_lies_in_its_interval(records: list[RequestRecord]):
    row = result_row(records, strategy="v4", tier="T1", scoring=STATEMENT)
    assert row.ci_low <= row.score <= row.ci_high
    assert row.ci_high <= len(records)


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.98])
def test_the_interval_holds_the_true_score_nineteen_times_in_twenty(rate: float):
    luck = random.Random(5)
    runs, held = 600, 0
    for _ in range(runs):
        low, high = score_interval([record(OK if luck.random() < rate else ERROR) for _ in range(100)], STATEMENT)
        held += low <= 100 * rate <= high
    assert 0.93 <= held / runs <= 0.99


def test_each_cause_has_the_exit_status_of_the_interface():
    assert [error.exit_status for error in (UsageError, MissingExtra, StateMismatch)] == [2, 2, 2]
    assert [error.exit_status for error in (NotReady, PortTaken)] == [1, 1]
    assert PortTaken("m", hint="h", port=5000).port == 5000
    assert MissingExtra("m", extra="bandit").hint == "in the checkout: pip install '.[bandit]'"


def test_the_picture_of_the_errors_shows_all_of_them():
    drawn = set(re.findall(r"[├└]── (\w+)", str(errors.__doc__)))
    source = Path(str(errors.__file__)).read_text(encoding="utf-8")
    assert drawn | {BanditError.__name__} == set(re.findall(r"^class (\w+)", source, re.MULTILINE))


def test_the_interval_ends_where_no_id_could_bring_less():
    assert score_interval([record(ERROR)], STATEMENT)[0] == 0.0
    assert score_interval([record(OK)], STATEMENT)[1] == 1.0
    costly = [record(*[ERROR] * 5)] * 3
    assert score_interval(costly, STATEMENT)[0] == pytest.approx(-6.0)


def test_a_number_that_rounds_to_nothing_has_no_sign():
    assert [number(value, 1) for value in (-0.04, -0.06, 2.0, "unknown", None)] == ["0.0", "-0.1", "2.0", "-", "-"]
