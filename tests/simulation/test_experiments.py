"""Experiments on any executor, and what their results say."""

import math
import random
import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest

from bandit_runner.errors import UsageError
from bandit_runner.intervals import difference
from bandit_runner.simulation import Experiment, Scenario, Task, load, play_all, run
from bandit_runner.simulation.comparison import is_decided, row, sequential_half_width
from bandit_runner.simulation.table import rows, to_text


def experiment(*strategies: str, **settings: object) -> Experiment:
    usual = {"scenarios": (load("T2h"),), "runs": 25, "requests": 40}
    return Experiment(strategies=strategies, **(usual | settings))


def test_where_it_runs_makes_no_difference():
    ends: list[int] = []
    here = play_all(experiment("v4", "bound"), on_progress=ends.append)
    with ThreadPoolExecutor(2) as pool:
        assert play_all(experiment("v4", "bound"), pool) == here
    assert sum(ends) == 75 == experiment("v4", "bound").total_runs
    assert here["T2h", "v4"] == run(
        Task(strategy="v4", scenario=load("T2h"), scoring=experiment("v4").scoring, requests=40, seeds=tuple(range(25)))
    )


def test_a_row_has_the_totals_of_all_runs():
    played = play_all(experiment("v4"))
    results, best = played["T2h", "v4"], played["T2h", "clairvoyant"]
    found = row("v4", "T2h", results, best)
    assert (found.runs, found.requests) == (25, 1000)
    assert found.score == pytest.approx(sum(result.score for result in results))
    assert found.regret == pytest.approx(sum(result.score for result in best) - found.score)
    assert isinstance(found.ci_low, float)
    assert isinstance(found.ci_high, float)
    half = 2.064 * statistics.stdev(result.score for result in results) * math.sqrt(25)
    assert found.ci_high - found.score == pytest.approx(half, rel=0.01)
    assert found.score - found.ci_low == pytest.approx(half, rel=0.01)


def test_a_single_run_has_no_interval():
    (found,) = rows(experiment("v4", runs=1), play_all(experiment("v4", runs=1)))
    assert (found.ci_low, found.ci_high) == ("unknown", "unknown")


def test_what_is_plain_is_decided_before_all_runs_are_played():
    plain = play_all(experiment("round-robin", "v1", runs=400, until_decided=True))
    assert len(plain["T2h", "v1"]) <= 120
    same = play_all(experiment("v6-fixed", "v6-fixed", runs=90, until_decided=True))
    assert len(same["T2h", "v6-fixed"]) == 90


def test_looking_after_every_run_does_not_find_what_is_not_there():
    """Of 200 experiments without any difference, at most 5% (and some luck) may ever claim one, over 500 looks."""
    claims = naive = 0
    for seed in range(200):
        luck = random.Random(seed)
        gaps = [luck.gauss(0, 3) for _ in range(500)]
        looks = [difference(gaps[:n], [0.0] * n) for n in range(20, 500, 20)]
        claims += any(is_decided(look) for look in looks)
        naive += any(look.told_apart for look in looks)
    assert claims <= 16
    assert naive > 30


def test_the_sequential_interval_narrows():
    widths = [sequential_half_width(1.0, runs) for runs in (10, 100, 1000, 10_000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[3] < 0.05


def test_the_table_compares_with_the_first():
    text = to_text(experiment("round-robin", "v1", "bound"), play_all(experiment("round-robin", "v1", "bound")))
    lines = text.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["round-robin", "v1", "bound"]
    assert lines[2].split()[-1] == "0"


@pytest.mark.parametrize(
    "wrong",
    [
        {"strategies": ("v4", "v99")},
        {"options": {"c": 1.0}},
        {"options": {"cooldown": -1.0}, "strategies": ("v6",)},
        {"scenarios": (Scenario(name="x"), Scenario(name="x"))},
    ],
    ids=["unknown strategy", "an option of none", "an option without meaning", "two of one name"],
)
def test_what_cannot_be_played_is_refused_at_once(wrong: dict[str, object]):
    with pytest.raises(UsageError) as caught:
        play_all(experiment(*wrong.pop("strategies", ("v4",)), **wrong))
    assert caught.value.hint


def test_an_option_goes_to_the_strategies_that_have_it():
    one = experiment("v6", "v4", options={"cooldown": 3.0})
    assert play_all(one)["T2h", "v4"] == play_all(experiment("v4"))["T2h", "v4"]
    assert play_all(one)["T2h", "v6"] != play_all(experiment("v6"))["T2h", "v6"]
