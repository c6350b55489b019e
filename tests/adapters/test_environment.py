"""The gymnasium environment keeps gymnasium's rules and the simulator's points."""

import pytest

from bandit_runner.model import Scoring
from bandit_runner.simulation import Scenario

gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is in the extras gym and dev")


@pytest.mark.parametrize("name", ["T1", "T2w", "T3r"])
def test_gymnasiums_own_checker_passes(name: str):
    from gymnasium.utils.env_checker import check_env

    from bandit_runner.adapters import TierEnv

    check_env(TierEnv(name), skip_render_check=True)


def test_rewards_add_up_to_the_score():
    from bandit_runner.adapters import TierEnv

    env = TierEnv(Scenario(name="x", arms=2, success=0.0), requests=1, scoring=Scoring(penalty=0.5, max_attempts=5))
    env.reset(seed=1)
    steps = [env.step(0) for _ in range(5)]
    assert [reward for _, reward, *_ in steps] == [0.0, 0.0, 0.0, -0.5, -0.5]
    assert [terminated for _, _, terminated, *_ in steps] == [False] * 4 + [True]


def test_giving_up_ends_the_id_and_success_too():
    from bandit_runner.adapters import TierEnv

    env = TierEnv(Scenario(name="x", arms=2, success=1.0), requests=2)
    env.reset(seed=1)
    *_, info = env.step(2)
    assert info == {"now": pytest.approx(0.1), "outcome": "stop"}
    _, reward, terminated, _, info = env.step(0)
    assert (reward, terminated, info["outcome"]) == (1.0, True, "ok")
