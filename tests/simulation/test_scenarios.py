"""Scenarios as data: the project's own, and what users may write."""

from pathlib import Path

import pytest

from bandit_runner.errors import UsageError
from bandit_runner.simulation import Scenario, World, load
from bandit_runner.simulation.scenario import FixedWindow, Jumping, NoLimit, Sinusoid, TokenBucket

AS_SPECIFIED = {
    "T1": NoLimit(),
    "T2c": TokenBucket(rate=20, burst=1),
    "T2h": TokenBucket(rate=(0.8, 3.2), burst=(1, 4)),
    "T2w": FixedWindow(seconds=10, limit=(8, 32)),
    "T3s": Sinusoid(rate=(0.8, 3.2), burst=(1, 4), amplitude=0.9, period=(8, 40)),
    "T3r": Jumping(high=4, low=0.3, burst=(1, 3), dwell=8),
    "T3c": Sinusoid(rate=20, burst=1, amplitude=0.9, period=(8, 40)),
}


@pytest.mark.parametrize("name", AS_SPECIFIED)
def test_those_that_come_along_are_what_was_specified(name: str):
    scenario = load(name)
    assert scenario.name == name
    assert scenario.limits == (AS_SPECIFIED[name],)
    assert (scenario.arms, scenario.requests_per_second, scenario.latency) == (10, 10.0, 0.0012)
    assert scenario.success == (0.28, 0.98)
    assert (scenario.drift, scenario.outages, scenario.timeouts, scenario.retry_after) == (None, None, 0.0, False)


def test_a_users_own(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("""
name: mine
arms: 12
success: 0.5
outages: {up: 60, down: 5}
drift: {amplitude: 0.2, period: [30, 60]}
timeouts: 0.1
retry_after: true
limits:
  - {kind: sliding-window, seconds: 5, limit: [5, 20]}
  - {kind: none}
""")
    scenario = load(str(file))
    assert len(scenario.limits) == 2
    world = World(scenario, 1)
    assert len({type(limiter) for limiter in world.limiters}) == 2


WRONG = {
    "not YAML": "{",
    "nothing": "",
    "a list": "- 1",
    "a misspelt key": "name: x\narm: 3",
    "no arms": "name: x\narms: 0",
    "a rate above one": "name: x\nsuccess: 1.5",
    "ends the wrong way round": "name: x\nsuccess: [0.9, 0.1]",
    "not a number": "name: x\nsuccess: .nan",
    "an unknown limit": "name: x\nlimits: [{kind: leaky}]",
    "a window without room": "name: x\nlimits: [{kind: fixed-window, seconds: 1, limit: 0}]",
    "a window without time": "name: x\nlimits: [{kind: fixed-window, seconds: 0, limit: 1}]",
    "no limits": "name: x\nlimits: []",
    "a name that is a path": "name: ../x",
    "an object": "!!python/object/apply:os.system [id]",
    "a date that is none": "name: !!timestamp abc",
    "a number that is none": 'name: !!int ""',
    "a truth that is none": "name: !!bool perhaps",
    "a fraction that is none": 'name: !!float ""',
    "a list as a key": "? [1]\n: 2",
    "changes without end": "name: x\noutages: {up: 1.0e-9, down: 1}",
    "jumps without end": "name: x\nlimits: [{kind: jumping, high: 1, low: 0, dwell: 1.0e-9}]",
    "ids years apart": "name: x\nrequests_per_second: 1.0e-9",
    "deep": "[" * 2000,
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_scenario_is_refused_with_a_hint(tmp_path: Path, text: str):
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(str(file))
    assert caught.value.hint


def test_what_does_not_exist_is_answered_with_the_known_names(tmp_path: Path):
    for name in (str(tmp_path / "none.yaml"), str(tmp_path), "T9"):
        with pytest.raises(UsageError) as caught:
            load(name)
        assert "T2h" in caught.value.hint
    file = tmp_path / "long.yaml"
    file.write_text("#" * 100_000)
    with pytest.raises(UsageError):
        load(str(file))


def test_unlimited_is_the_default():
    assert Scenario(name="x").limits == (NoLimit(),)
