"""A strategy that somebody wrote after the README: what it may return, and what is said where it goes wrong."""

from collections.abc import Sequence

import numpy as np
import pytest

from bandit_runner.errors import UsageError
from bandit_runner.simulation import Scoring, World, load, play
from bandit_runner.strategies import STOP, STRATEGIES, Strategy, Wait, check, create
from bandit_runner.strategies.uniform import Uniform


def returning(choice: object, monkeypatch: pytest.MonkeyPatch, arms: int = 3) -> Strategy:
    """A strategy whose algorithm, and whose rule after the free attempts, always says so."""

    class Mine(Strategy):
        name = "mine"

        def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> object:
            del now, attempt, fresh, usable
            return choice

        def _choose_extra(self, now: float, tried: Sequence[int], usable: Sequence[int]) -> object:
            return self._choose(now, 3, tried, usable)

    monkeypatch.setitem(STRATEGIES, "mine", Mine)
    return create("mine", arms=arms)


@pytest.mark.parametrize("attempt", [0, 3])
@pytest.mark.parametrize("choice", [None, "0", 1.0, -1, 3, np.int64(3), np.float64(1), (1,)])
def test_what_is_none_of_the_arms_is_named(choice: object, attempt: int, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match=r"mine chose .* of the arms") as caught:
        returning(choice, monkeypatch).select(now=0.0, attempt=attempt, tried=(), available=range(3))
    assert "STOP" in caught.value.hint


def test_an_arm_that_is_down_is_none_of_those_offered(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match=r"\[0, 2\]"):
        returning(1, monkeypatch).select(now=0.0, attempt=0, tried=(), available=[0, 2])


def test_what_argmax_returns_is_an_arm(monkeypatch: pytest.MonkeyPatch):
    """As numpy's own integer it would go into the store as eight bytes."""
    choice = returning(np.argmax([0.1, 0.9, 0.3]), monkeypatch).select(now=0.0, attempt=0, tried=(), available=range(3))
    assert (choice, type(choice)) == (1, int)


@pytest.mark.parametrize("choice", [STOP, Wait(1.0)])
def test_stop_and_wait_are_choices(choice: object, monkeypatch: pytest.MonkeyPatch):
    assert returning(choice, monkeypatch).select(now=0.0, attempt=0, tried=(), available=range(3)) is choice


def test_the_simulator_says_what_was_chosen(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="mine chose None"):
        play(returning(None, monkeypatch, arms=10), World(load("T1"), 1), requests=1, scoring=Scoring())


def test_a_copied_file_whose_name_was_not_changed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(STRATEGIES, "mine", Uniform)
    with pytest.raises(UsageError, match="'mine'") as caught:
        create("mine")
    assert caught.value.hint == 'write name = "mine" in it'


def test_each_strategy_gets_the_options_that_it_has():
    check(["best", "v4", "v1"], {"patience": 0, "discover_limit": 5})
    with pytest.raises(UsageError, match="colour"):
        check(["best", "v4"], {"patience": 0, "colour": 1})
    with pytest.raises(UsageError, match="patience"):
        check(["v4", "best"], {"patience": -1})
