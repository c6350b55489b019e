"""The blog's ranking beside one with intervals: places, single runs, and what the blog got right."""

import json
import math
import subprocess
import sys

import pytest

from bandit_runner.simulation import Experiment, play_all
from bandit_runner.simulation.comparison import _percentile, row
from bandit_runner.simulation.experiment import CLAIRVOYANT
from bandit_runner.simulation.play import RunResult
from bandit_runner.simulation.ranking import EIGHT, blog_scenarios, ranking, to_text


def result(score: float) -> RunResult:
    return RunResult(
        requests=100, accepted=90, accepted_within_3=90, extra_attempts=0, rate_limited=0, score=score, latencies={1: 1}
    )


SCORES = {
    "v1": [50.0, 51.0, 49.0, 50.0],  # told apart from all others
    "v5": [90.0, 95.0, 90.0, 93.0],
    "v7": [91.0, 92.0, 91.0, 93.0],  # not told apart from v5
    "best": [99.0, 98.0, 99.0, 98.0],
}


def ranked():
    scenario = blog_scenarios()[0]
    experiment = Experiment(strategies=tuple(SCORES), scenarios=(scenario,), runs=4, requests=100)
    results = {("T1", name): [result(score) for score in scores] for name, scores in SCORES.items()}
    results["T1", CLAIRVOYANT] = [result(100.0)] * 4
    return ranking(experiment, results)


def test_an_interval_of_few_runs_ends_where_scores_do():
    scenario = blog_scenarios()[0]
    experiment = Experiment(strategies=("best",), scenarios=(scenario,), runs=2, requests=100)
    results = {("T1", "best"): [result(99.0), result(100.0)], ("T1", CLAIRVOYANT): [result(3.0), result(20.0)]}
    (found,) = ranking(experiment, results).rows
    assert found.per_100.high == 100.0
    assert found.ci_high == found.requests == 200
    assert row("clairvoyant", "T1", results["T1", CLAIRVOYANT], None).ci_low == 0.0


def test_places_are_what_paired_differences_leave_open():
    rows = {row.strategy: row for row in ranked().rows}
    assert list(rows) == ["best", "v5", "v7", "v1"], "the highest mean first"
    assert rows["best"].places == (1, 1)
    assert rows["v5"].places == rows["v7"].places == (2, 3)
    assert rows["v1"].places == (4, 4)


def test_single_runs_are_counted_among_the_eight_and_shared():
    rows = {row.strategy: row for row in ranked().rows}
    assert rows["best"].on_top is None, "it was not in the race"
    assert math.isclose(rows["v5"].on_top, (0 + 1 + 0 + 0.5) / 4)
    assert math.isclose(rows["v7"].on_top, (1 + 0 + 1 + 0.5) / 4)
    assert rows["v1"].on_top == 0


def test_the_blogs_best_is_what_others_are_held_against():
    rows = {row.strategy: row for row in ranked().rows}
    assert [row.strategy for row in ranked().rows if row.blog] == ["v5"]
    assert rows["v5"].versus_blog is None
    assert rows["best"].versus_blog.told_apart
    assert math.isclose(rows["best"].versus_blog.estimate.mean, 6.5)
    lines = to_text(ranked()).splitlines()
    assert "best in one run" in lines[0]
    assert "2 to 3" in lines[2]
    assert "cannot be told apart yet" in lines[3]


@pytest.mark.once
def test_every_tier_is_played_by_one_command():
    words = ["--ranking", "--runs", "2", "--requests", "10", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "bandit_runner", "simulate", *words], capture_output=True, text=True, check=True
    )
    document = json.loads(done.stdout)
    assert document["schema"] == "binsafe.results/1"
    found = {(row["scenario"], row["strategy"]) for row in document["rows"]}
    assert found == {(tier, name) for tier in ("T1", "T2c", "T3c") for name in (*EIGHT, "best")}
    best = {(row["scenario"], row["strategy"]) for row in document["rows"] if row["blog"]}
    assert best == {("T1", "v5"), ("T2c", "v7"), ("T3c", "v6"), ("T3c", "v8")}


def test_t3_as_the_stand_in_plays_it_is_t2_with_a_sinusoid():
    _, t2, t3 = blog_scenarios()
    assert (t3.limits[0].rate, t3.limits[0].burst) == (t2.limits[0].rate, t2.limits[0].burst) == (20, 1)
    experiment = Experiment(strategies=("v6",), scenarios=(t2, t3), runs=20, requests=100, seed=5)
    results = play_all(experiment)
    limited = {name: sum(each.rate_limited for each in results[name, "v6"]) for name in ("T2c", "T3c")}
    assert limited["T3c"] > limited["T2c"] > 0


def test_percentiles_are_of_the_nearest_rank_in_milliseconds():
    latencies = {5000: 2, 1000: 98}
    assert [_percentile(latencies, percent) for percent in (50, 98, 99)] == [1.0, 1.0, 5.0]
