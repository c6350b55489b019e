"""Our strategies in other libraries' shapes, and those libraries as independent oracles for v2 and v4."""

import random
from collections import Counter
from typing import Any

import pytest

from bandit_runner.adapters import MAB, Policy
from bandit_runner.errors import UsageError
from bandit_runner.strategies import create

ARMS = ["a", "b", "c", "d"]
RATES = dict(zip(ARMS, (0.3, 0.5, 0.7, 0.9), strict=True))


@pytest.fixture
def bandit() -> Any:
    """river's, loaded by the worker that needs it."""
    return pytest.importorskip("river.bandit", reason="river is in the extra dev")


@pytest.fixture
def mab() -> Any:
    return pytest.importorskip("mabwiser.mab", reason="MABWiser is in the extra heavy")


def history(length: int) -> list[tuple[str, int]]:
    luck = random.Random(5)
    return [(arm, int(luck.random() < RATES[arm])) for arm in luck.choices(ARMS, k=length)]


def shares(pull: Any, draws: int = 1500) -> dict[str, float]:
    counts = Counter(pull() for _ in range(draws))
    return {arm: counts[arm] / draws for arm in ARMS}


def test_v2_pulls_what_rivers_ucb_pulls(bandit: Any):
    """river's index is mean + delta sqrt(2 ln t / n), so delta = 1 is UCB1; it breaks ties by chance."""
    ours = Policy(create("v2", arms=4), ARMS)
    theirs = bandit.UCB(delta=1, seed=1)
    for arm in ARMS:
        for policy in (ours, theirs):
            policy.update(arm, 1)
    luck, same = random.Random(1), 0
    for _ in range(400):
        mine, other = ours.pull(ARMS), theirs.pull(ARMS)
        same += mine == other
        reward = int(luck.random() < RATES[mine])
        ours.update(mine, reward)
        theirs.update(mine, reward)
    assert same >= 385


def test_v4_pulls_as_often_as_mabwisers_thompson_sampling(mab: Any):
    past = history(60)
    ours = MAB(create("v4", arms=4, seed=1), ARMS)
    theirs = mab.MAB(arms=ARMS, learning_policy=mab.LearningPolicy.ThompsonSampling(), seed=2)
    decisions, rewards = zip(*past, strict=True)
    ours.fit(decisions, rewards)
    theirs.fit(list(decisions), list(rewards))
    found, expected = shares(ours.predict), shares(theirs.predict)
    assert all(found[arm] == pytest.approx(expected[arm], abs=0.05) for arm in ARMS)


def test_v4_pulls_as_often_as_rivers_thompson_sampling(bandit: Any):
    from river import proba

    ours = Policy(create("v4", arms=4, seed=1), ARMS)
    theirs = bandit.ThompsonSampling(reward_obj=proba.Beta(), seed=3)
    for arm, reward in history(60):
        ours.update(arm, reward)
        theirs.update(arm, reward)
    found, expected = shares(lambda: ours.pull(ARMS)), shares(lambda: theirs.pull(ARMS))
    assert all(found[arm] == pytest.approx(expected[arm], abs=0.05) for arm in ARMS)


@pytest.mark.parametrize("name", ["v1", "v4", "v6-fixed", "best", "exp3"])
def test_a_mask_is_kept(name: str):
    policy = Policy(create(name, arms=4, seed=1), ARMS)
    for arm, reward in history(100):
        policy.update(arm, reward)
    assert {policy.pull(["a", "b"]) for _ in range(50)} <= {"a", "b"}
    assert policy.ranking[0] == "d"


def test_expectations_are_posterior_means():
    policy = MAB(create("v4", arms=2), [10, 20])
    policy.fit([10, 10, 20], [1, 1, 0])
    policy.partial_fit([20], [1])
    assert policy.predict_expectations() == {10: 0.75, 20: 0.5}
    assert policy.predict(available=[20]) == 20


def test_misuse_is_refused():
    policy = MAB(create("v4", arms=2), [10, 20])
    policy.partial_fit([10], [1])
    for wrong in (
        lambda: policy.fit([10], [1]),
        lambda: policy.partial_fit([10], []),
        lambda: policy.partial_fit([30], [1]),
        lambda: policy.predict(available=[]),
        lambda: MAB(create("v4", arms=3), [10, 20]),
        lambda: MAB(create("v4", arms=2), [10, 10]),
    ):
        with pytest.raises(UsageError):
            wrong()
