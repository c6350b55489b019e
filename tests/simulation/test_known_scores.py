"""The strategies score what they are known to: points per 100 ids over the first 100, penalty 1.

The expected means come from an independent simulation of 200 seeds; the bounds are what chance explains between that
one and the 60 seeds here. ``tests/benchmarks/simulation/scores.py`` compares 200 with 200.
"""

import statistics
from functools import cache

import pytest

from bandit_runner.intervals import difference
from bandit_runner.model import Scoring
from bandit_runner.simulation import Task, load, run
from bandit_runner.simulation.comparison import scores

SEEDS = tuple(range(200, 260))


@cache
def played(name: str, scenario: str, seeds: tuple[int, ...] = SEEDS) -> list[float]:
    return scores(run(Task(strategy=name, scenario=load(scenario), scoring=Scoring(), requests=100, seeds=seeds)))


ORIGINAL = [
    # name, T1, T2c, T2w
    ("v1", 95.5, 92.9, 83.7),
    ("v2", 96.3, 93.4, 91.1),
    ("v3", 94.7, 91.9, 91.3),
    ("v4", 97.9, 92.1, 81.6),
    ("v5", 97.4, 93.3, 87.2),
    ("v6", 97.9, 93.2, 85.8),
    ("v7", 97.9, 93.6, 85.4),
    ("v8", 97.9, 91.6, 88.6),
]
BASELINES = [
    # name, T1, T2h
    ("random", 94.6, 85.3),
    ("round-robin", 94.7, 91.0),
    ("nginx-like", 97.3, 89.7),
    ("envoy-like", 95.2, 83.5),
    ("p2c-ewma", 97.1, 87.7),
    ("v1-fixed", 96.6, 81.6),
    ("v2-fixed", 96.9, 89.7),
    ("v3-fixed", 96.0, 90.8),
    ("v4-fixed", 98.4, 84.4),
    ("v5-fixed", 98.1, 86.9),
]


@pytest.mark.parametrize(("name", "t1", "t2c", "t2w"), ORIGINAL)
def test_the_original_rules(name: str, t1: float, t2c: float, t2w: float):
    assert statistics.fmean(played(name, "T1")) == pytest.approx(t1, abs=1.4)
    assert statistics.fmean(played(name, "T2c")) == pytest.approx(t2c, abs=3.0)
    assert statistics.fmean(played(name, "T2w")) == pytest.approx(t2w, abs=8.0)


@pytest.mark.parametrize(("name", "t1", "t2h"), BASELINES)
def test_baselines_and_fixed_forms(name: str, t1: float, t2h: float):
    assert statistics.fmean(played(name, "T1")) == pytest.approx(t1, abs=1.4)
    assert statistics.fmean(played(name, "T2h")) == pytest.approx(t2h, abs=3.0)


@pytest.mark.parametrize("name", ["v1-fixed", "v2-fixed", "v4-fixed", "v6-fixed"])
def test_three_different_servers_per_id_never_meet_a_limit_of_twenty_a_second(name: str):
    assert played(name, "T2c") == played(name, "T1")


@pytest.mark.parametrize("number", [1, 2, 4, 6])
def test_the_fixed_form_is_better_by_more_than_chance(number: int):
    gap = difference(played(f"v{number}-fixed", "T2c"), played(f"v{number}", "T2c"))
    assert gap.told_apart
    assert gap.estimate.mean > 2


BEST = [
    # scenario, who must be beaten by more than chance, points at least
    ("T1", "random", 98.0),
    ("T2c", "random", 97.2),
    ("T2h", "round-robin", 94.0),
    ("T2w", "round-robin", 94.0),
    ("T3s", "nginx-like", 88.0),
    ("T3r", "nginx-like", 87.0),
]


@pytest.mark.parametrize(("scenario", "other", "least"), BEST)
def test_best_is_better_than_what_is_hard_to_beat(scenario: str, other: str, least: float):
    seeds = tuple(range(500, 525))
    best = played("best", scenario, seeds)
    assert statistics.fmean(best) > least
    gap = difference(best, played(other, scenario, seeds))
    assert gap.estimate.mean > 0
    assert gap.told_apart
