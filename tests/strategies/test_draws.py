"""Draws in blocks are what draws one by one would be, and are saved and restored."""

import statistics

import msgspec
import pytest

from bandit_runner.errors import StateMismatch
from bandit_runner.strategies import Outcome, create
from bandit_runner.strategies.draws import Betas


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (2.0, 5.0), (40.0, 3.0)])
def test_moments_are_those_of_the_distribution(alpha: float, beta: float):
    draws = Betas(arms=1, seed=1).draw([(alpha, beta), (1.0, 9.0)] * 5000)[::2]
    mean, total = alpha / (alpha + beta), alpha + beta
    deviation = (mean * (1 - mean) / (total + 1)) ** 0.5
    assert statistics.fmean(draws) == pytest.approx(mean, abs=4 * deviation / 5000**0.5)
    assert statistics.stdev(draws) == pytest.approx(deviation, rel=0.08)


def test_no_draw_is_used_twice_however_often_a_posterior_comes_back():
    betas = Betas(arms=2, seed=1)
    asked = [(1.0 + i % 9, 1.0 + i % 7) for i in range(5000)]
    assert len(set(betas.draw(asked))) == 5000


def test_what_is_kept_is_bounded():
    betas = Betas(arms=2, seed=1)
    betas.draw([(1.0 + i, 1.0) for i in range(1000)])
    assert len(betas.pack().waiting) <= 8


def test_a_restored_one_goes_on_with_the_same_draws():
    betas, other = Betas(arms=2, seed=1), Betas(arms=2, seed=2)
    betas.draw([(3.0, 1.0)] * 5)
    other.unpack(msgspec.convert(msgspec.to_builtins(betas.pack()), type(betas.pack())))
    asked = [(3.0, 1.0)] * 40
    assert other.draw(asked) == betas.draw(asked)


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        {},
        {"waiting": [], "generator": ["x", "1", "0", "0"]},
        {"waiting": [], "generator": ["1"]},
        {"waiting": [{"alpha": 0.0, "beta": 1.0, "draws": []}], "generator": ["1", "1", "0", "0"]},
        {"waiting": [{"alpha": 1.0, "beta": 1.0, "draws": [2.0]}], "generator": ["1", "1", "0", "0"]},
    ],
)
def test_damaged_draws_are_refused_whole(damaged: object):
    strategy = create("v4", arms=2, seed=1)
    strategy.update(arm=0, outcome=Outcome.OK, now=0.0, attempt=0, latency=0.0)
    strategy.select(now=0.0, attempt=0, tried=(), available=range(2))
    before = strategy.snapshot()
    with pytest.raises(StateMismatch):
        strategy.restore({**before, "drawn": damaged})
    assert strategy.snapshot() == before
