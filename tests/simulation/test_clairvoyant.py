"""The linear program against brute force, and the order that must hold: strategy <= clairvoyant <= bound."""

import itertools
import math
import statistics

import numpy as np
import pytest

from bandit_runner.linear import maximize
from bandit_runner.model import SCORINGS, Scoring
from bandit_runner.simulation import Scenario, Task, World, bound, load, run


def best_vertex(gain: np.ndarray, used: np.ndarray, limit: np.ndarray) -> float:
    """The optimum by trying every corner of the feasible set."""
    rows, columns = used.shape
    sides = np.vstack([used, -np.eye(columns)])
    bounds = np.concatenate([limit, np.zeros(columns)])
    best = -math.inf
    for chosen in itertools.combinations(range(rows + columns), columns):
        corner = sides[list(chosen)]
        if abs(np.linalg.det(corner)) < 1e-9:
            continue
        x = np.linalg.solve(corner, bounds[list(chosen)])
        if np.all(sides @ x <= bounds + 1e-9):
            best = max(best, float(gain @ x))
    return best


@pytest.mark.parametrize("seed", range(20))
def test_the_simplex_method_finds_the_best_corner_and_its_prices_add_up(seed: int):
    luck = np.random.default_rng(seed)
    gain, used = luck.uniform(-1, 1, 4), luck.uniform(0, 1, (4, 4))
    limit = luck.uniform(0, 1, 4) * luck.integers(0, 2, 4)  # bounds of 0 make it degenerate
    optimum = maximize(gain, used, limit)
    assert gain @ optimum.point == pytest.approx(optimum.value)
    assert optimum.value == pytest.approx(best_vertex(gain, used, limit), abs=1e-9)
    assert optimum.prices @ limit == pytest.approx(optimum.value)  # strong duality
    assert np.all(optimum.prices >= -1e-9)
    assert np.all(optimum.prices @ used >= gain - 1e-9)


def test_a_bound_below_zero_is_an_error():
    with pytest.raises(ValueError, match="below 0"):
        maximize(np.array([1.0]), np.array([[1.0]]), np.array([-1.0]))


def test_a_program_without_bound_is_an_error():
    with pytest.raises(ValueError, match="no bound"):
        maximize(np.array([1.0]), np.array([[0.0]]), np.array([1.0]))


def test_without_limits_the_bound_is_three_attempts_on_the_best():
    world = World(load("T1"), 5)
    assert bound(world, Scoring(), 100) == pytest.approx(100 * (1 - (1 - max(world.rates)) ** 3))


def test_at_half_a_point_a_good_server_is_worth_a_fourth_attempt():
    world = World(Scenario(name="x", success=0.8), 1)
    expected = 1 - 0.2**10 - 0.5 * sum(0.2**k for k in range(3, 10))
    assert bound(world, SCORINGS["blog"], 100) == pytest.approx(100 * expected)


@pytest.mark.parametrize("name", ["T2h", "T2w", "T3s", "T3r"])
def test_who_knows_more_scores_more(name: str):
    def mean(strategy: str) -> float:
        task = Task(strategy=strategy, scenario=load(name), scoring=Scoring(), requests=200, seeds=tuple(range(30)))
        return statistics.fmean(result.score for result in run(task))

    scores = [mean(strategy) for strategy in ("v6-fixed", "clairvoyant-greedy", "clairvoyant", "bound")]
    assert scores == sorted(scores)
    assert scores[1] - scores[0] > 4
