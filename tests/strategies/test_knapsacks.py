"""Bandits with Knapsacks: what each strategy plays, beside the paper's algorithms (arXiv 1305.2545) done naively."""

import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.optimize import linprog

from bandit_runner.strategies import Outcome, create
from bandit_runner.strategies.bwk_balanced import most_of


def test_bwk_balanced_fills_its_mixes_as_the_linear_program_says():
    draw = random.Random(5)
    for _ in range(60):
        count = draw.randint(1, 7)
        rewards = sorted((draw.random() for _ in range(count)), reverse=True)
        most = [draw.choice([1.0, draw.random(), draw.random() / 4]) for _ in range(count)]
        promised = draw.random() * rewards[0]
        used = np.vstack([np.ones(count), np.eye(count), -np.array(rewards)])
        bounds = np.array([1.0, *most, -promised])
        for arm in range(count):
            mix = most_of(arm, dict(enumerate(rewards)), dict(enumerate(most)), promised)
            optimum = linprog(-np.eye(count)[arm], A_ub=used, b_ub=bounds)
            assert (mix == {}) is not optimum.success
            if optimum.success:
                assert math.isclose(mix[arm], -optimum.fun, abs_tol=1e-7)
                assert sum(mix.values()) <= 1 + 1e-9
                assert all(0 <= share <= most[other] + 1e-9 for other, share in mix.items())
                assert sum(share * rewards[other] for other, share in mix.items()) >= promised - 1e-8


def radius(mean: float, tries: int, confidence: float) -> float:
    """Section 4 of arXiv 1305.2545."""
    return math.sqrt(confidence * mean / tries) + confidence / tries


def a_history(arms: int, draw: random.Random) -> Iterator[tuple[int, Outcome]]:
    """Each arm once, then as it comes."""
    for number in range(120):
        yield number if number < arms else draw.randrange(arms), draw.choice(list(Outcome))


@pytest.mark.parametrize("seed", range(4))
def test_bwk_primal_dual_as_the_paper_writes_it_down(seed: int):
    """Algorithm 2: v as it is, over all resources, each scaled to the smallest budget."""
    arms, horizon, allowed, confidence, draw = 4, 400, 5.0, 0.1, random.Random(seed)
    strategy = create("bwk-primal-dual", arms=arms, seed=1, horizon=horizon, budgets=allowed, confidence=confidence)
    budget = min(horizon, allowed)
    epsilon = math.sqrt(math.log(arms + 1) / budget)
    accepted, rejected, tries = np.zeros(arms), np.zeros(arms), np.zeros(arms)
    prices = np.ones(arms + 1)  # of the attempts, then of each arm's 429s
    for arm, outcome in a_history(arms, draw):
        if tries.all():
            means, shares = accepted / tries, rejected / tries
            rewards = np.minimum(1, means + [radius(*each, confidence) for each in zip(means, tries, strict=True)])
            least = np.maximum(0, shares - [radius(*each, confidence) for each in zip(shares, tries, strict=True)])
            used = np.vstack([np.full(arms, budget / horizon), np.diag(least) * budget / allowed])
            worths = rewards / (prices @ used)
            chosen = strategy.select(now=0.0, attempt=0, tried=(), available=range(arms))
            assert worths[chosen] >= worths.max() * (1 - 1e-9)
            prices *= (1 + epsilon) ** used[:, arm]
        strategy.update(arm=arm, outcome=outcome, now=0.0, attempt=0, latency=0.001)
        accepted[arm] += outcome is Outcome.OK
        rejected[arm] += outcome is Outcome.RATE_LIMITED
        tries[arm] += 1
        assert np.allclose([strategy.memory.log_time, *strategy.memory.log_prices], np.log(prices))


@pytest.mark.parametrize("seed", range(4))
def test_bwk_balanced_plays_each_arm_as_much_as_a_mix_that_may_be_optimal_does(seed: int):
    """Algorithm 1, its confidence region a box: the most of each arm, by two linear programs."""
    arms, horizon, allowed, confidence, draw = 4, 400, 50.0, 0.3, random.Random(seed)
    strategy = create("bwk-balanced", arms=arms, seed=1, horizon=horizon, budgets=allowed, confidence=confidence)
    counts = np.zeros((arms, len(Outcome)))
    for arm, outcome in a_history(arms, draw):
        strategy.update(arm=arm, outcome=outcome, now=0.0, attempt=0, latency=0.001)
        counts[arm, list(Outcome).index(outcome)] += 1
    tries = counts.sum(axis=1)

    def bounds(outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
        means = counts[:, list(Outcome).index(outcome)] / tries
        radii = np.array([radius(*each, confidence) for each in zip(means, tries, strict=True)])
        return np.maximum(0, means - radii), np.minimum(1, means + radii)

    (lowest, highest), (least, most) = bounds(Outcome.OK), bounds(Outcome.RATE_LIMITED)
    budgets = np.array([1.0, *[allowed / horizon] * arms])
    promised = -linprog(-lowest, A_ub=np.vstack([np.ones(arms), np.diag(most)]), b_ub=budgets).fun
    used = np.vstack([np.ones(arms), np.diag(least), -highest])
    strategy.select(now=0.0, attempt=0, tried=(), available=range(arms))
    mixes = np.array(strategy._phase())
    for arm in range(arms):
        found = linprog(-np.eye(arms)[arm], A_ub=used, b_ub=[*budgets, -promised])
        assert math.isclose(mixes[:, arm].max(), -found.fun, abs_tol=1e-6)
