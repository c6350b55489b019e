import random

import msgspec
import pytest
from played import many, request, started

from bandit_runner.harness.results import result_row
from bandit_runner.model import SCORINGS, Outcome
from bandit_runner.runs import Run, Tally
from bandit_runner.runs.comparison import compare, verdict
from bandit_runner.runs.showing import to_text

STATEMENT = SCORINGS["statement"]


def run(number: int, *, strategy: str = "v4", session: str = "s1", tier: str = "T1", rate: float = 0.7, ids: int = 100):
    start = msgspec.structs.replace(started(tier, strategy), session=session)
    tally = Tally().adding(many(ids, seed=number, rate=rate))
    return Run(number=number, start=start, ended=1.0, heard=1.0, tally=tally)


def test_one_run_is_what_its_own_table_says():
    (row,) = compare([run(1)], STATEMENT)
    plain = result_row(many(100, seed=1), strategy="v4", tier="T1", scoring=STATEMENT)
    for field in ("requests", "accepted", "accepted_within_3", "extra_attempts", "rate_limited", "runs"):
        assert getattr(row, field) == getattr(plain, field)
    for field in ("score", "ci_low", "ci_high"):
        assert getattr(row, field) == pytest.approx(getattr(plain, field))
    assert not row.best
    assert not row.worst


def test_a_run_that_was_broken_off_counts_by_its_ids():
    (row,) = compare([run(1, rate=1.0), run(2, rate=0.0, ids=5)], STATEMENT)
    assert row.per_100.mean == pytest.approx(100 * row.score / 105)
    assert row.per_100.low < row.per_100.mean < row.per_100.high <= 100


def test_two_runs_that_agree_are_not_certain():
    (row,) = compare([run(1, rate=1.0), run(2, rate=1.0)], STATEMENT)
    (longer,) = compare([run(1, rate=1.0, ids=200)], STATEMENT)
    assert (row.per_100.low, row.per_100.high) == (longer.per_100.low, 100)
    assert row.per_100.low < 99


def test_an_interval_of_few_runs_ends_where_no_id_could_bring_less():
    stop = [request(*[Outcome.ERROR] * 3), request(Outcome.OK)]
    runs = [
        msgspec.structs.replace(run(number), tally=Tally().adding([stop[number]] * 20 + stop * 40)) for number in (0, 1)
    ]
    (row,) = compare(runs, STATEMENT)
    assert (row.per_100.low, row.ci_low) == (0.0, 0.0)
    (costly,) = compare([run(1, rate=0.1), run(2, rate=0.3)], STATEMENT)
    assert costly.per_100.low < costly.per_100.mean < 0


def test_the_best_of_each_tier_stands_first_and_is_marked():
    played = [("a", "T1", 0.5), ("b", "T1", 0.9), ("c", "T1", 0.7), ("a", "T2", 0.9)]
    runs = [run(n, strategy=name, tier=tier, rate=rate) for n, (name, tier, rate) in enumerate(played)]
    rows = compare(runs, STATEMENT)
    assert [(row.tier, row.strategy) for row in rows] == [("T1", "b"), ("T1", "c"), ("T1", "a"), ("T2", "a")]
    assert [row.best for row in rows] == [True, False, False, False]
    assert [row.worst for row in rows] == [False, False, True, False]


def test_equal_scores_have_one_mark():
    """One of two that both had all points was called the worst."""
    played = [("a", 1.0), ("b", 1.0), ("c", 0.5), ("d", 0.5)]
    rows = compare([run(4, strategy=name, rate=rate) for name, rate in played], STATEMENT)
    assert [row.best for row in rows] == [True, True, False, False]
    assert [row.worst for row in rows] == [False, False, True, True]
    assert not any(row.worst for row in compare([run(4, strategy=name) for name in "ab"], STATEMENT))


def test_strategies_are_paired_by_session():
    draw = random.Random(1)
    runs = []
    for session in range(30):
        luck = draw.uniform(0.3, 0.9)  # far more than the difference
        runs += [
            run(2 * session, strategy="good", session=str(session), rate=luck + 0.05, ids=1000),
            run(2 * session + 1, strategy="bad", session=str(session), rate=luck, ids=1000),
        ]
    best, worst = compare(runs, STATEMENT)
    assert best.strategy == "good"
    assert worst.versus_best.told_apart
    assert worst.versus_best.estimate.high < 0
    assert best.per_100.low < worst.per_100.mean < best.per_100.high, "without the pairs they could not be told apart"
    assert "to the best" in verdict(worst)
    assert verdict(best) == "best"


@pytest.mark.parametrize(
    ("rates", "told"),
    [((0.95, 0.3), "to the best, on these servers"), ((0.72, 0.7), "cannot be told from the best yet")],
)
def test_of_one_session_the_ids_tell_on_its_servers(rates: tuple[float, float], told: str):
    """Whoever had played one session was told of any difference, 240 points of 100 too, that it cannot be told."""
    names = dict(zip(("good", "bad"), rates, strict=True))
    best, other = compare([run(n, strategy=name, rate=rate) for n, (name, rate) in enumerate(names.items())], STATEMENT)
    assert verdict(other).endswith(told)
    found = other.versus_best.estimate
    assert found.mean == pytest.approx(other.per_100.mean - best.per_100.mean)
    half_widths = [row.per_100.high - row.per_100.low for row in (best, other)]
    assert max(half_widths) < found.high - found.low < sum(half_widths)


def test_it_says_how_many_more_runs_it_would_take():
    runs = [run(n, strategy=name, session=str(n // 2)) for n, name in enumerate(["a", "b"] * 3)]
    rows = compare(runs, STATEMENT)
    assert not rows[1].versus_best.told_apart
    assert "more runs needed" in verdict(rows[1])
    nobody_knows = msgspec.structs.replace(rows[1].versus_best, runs_needed=None)
    untold = verdict(msgspec.structs.replace(rows[1], versus_best=nobody_knows))
    assert untold == "cannot be told from the best yet"
    unpaired = compare([run(1, strategy="a", session="1"), run(2, strategy="b", session="2")], STATEMENT)
    assert verdict(unpaired[1]) == "not paired with the best"


def test_one_strategy_alone_is_neither_best_nor_behind_it():
    (row,) = compare([run(1, strategy="a", session="1"), run(2, strategy="a", session="2")], STATEMENT)
    assert not row.best
    assert not row.worst
    assert verdict(row) == "nothing to compare with yet"


def test_runs_that_came_to_nothing_are_left_out():
    assert compare([], STATEMENT) == ()
    assert compare([run(1, ids=0)], STATEMENT) == ()


def test_a_narrow_terminal_gets_whole_columns_and_hears_of_those_left_out():
    rows = compare([run(1), run(2, strategy="v6-fixed", rate=0.9)], SCORINGS["statement"])
    *lines, left_out = to_text(rows, room=80).splitlines()
    assert max(map(len, lines)) <= 80 < len(to_text(rows).splitlines()[0])
    assert {"score/100", "accepted", "within", "extra", "429s"} <= set(lines[0].split())
    assert left_out == "(no room for: runs, ids, balancer p50 ms, balancer p99 ms, against the best)"
    assert to_text(rows, room=1000) == to_text(rows)


def test_ten_thousand_runs_are_compared_quickly():
    import time

    tallies = [Tally().adding(many(100, seed=n)) for n in range(20)]
    runs = [
        Run(
            number=n,
            start=msgspec.structs.replace(started(strategy=f"v{n % 8 + 1}"), session=str(n // 8)),
            ended=1.0,
            heard=1.0,
            tally=tallies[n % 20],
        )
        for n in range(10_000)
    ]
    before = time.process_time()
    assert len(compare(runs, STATEMENT)) == 8
    assert time.process_time() - before < 1.0
