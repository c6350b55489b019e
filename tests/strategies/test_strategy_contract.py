"""What every entry of STRATEGIES keeps to: a new one is tested by being registered."""

import copy
import doctest
import importlib
import json
import pkgutil
import random
from collections.abc import Callable
from typing import Any

import pytest

import bandit_runner.strategies
from bandit_runner.errors import StateMismatch, UsageError
from bandit_runner.model import SCORINGS, Scoring
from bandit_runner.strategies import STOP, STRATEGIES, Choice, Outcome, Strategy, Wait, check, create

ARMS = 10
BLOG = SCORINGS["blog"]

FORGET_WHAT_WAS_TRIED = {"v6", "v7", "v8"}
"""When all untried arms just answered 429, the original goes to the oldest 429 even if this id was there."""

REPEATS = {"best"}
"""It repeats a server where that is worth more than to try another, and may wait."""

every_strategy = pytest.mark.parametrize("name", STRATEGIES)


class World:
    """Servers of very different quality that answer 429 now and then, and ids that are played one after another."""

    def __init__(self, seed: int, arms: int = ARMS, limited: float = 0.1) -> None:
        self.luck = random.Random(seed)
        self.arms = arms
        self.limited = limited
        self.now = 100.0

    def answer(self, arm: int) -> Outcome:
        if self.luck.random() < self.limited:
            return Outcome.RATE_LIMITED
        if self.luck.random() < (arm + 1) / (self.arms + 1):
            return Outcome.OK
        return self.luck.choice([Outcome.ERROR, Outcome.TIMEOUT])

    def play(self, strategy: Strategy, ids: int, *, finish: bool = True) -> list[tuple[int, tuple[int, ...], Choice]]:
        """All (attempt, tried, choice) of so many ids."""
        history = []
        for _ in range(ids):
            tried: list[int] = []
            accepted = False
            while not accepted:
                choice = strategy.select(
                    now=self.now, attempt=len(tried), tried=tuple(tried), available=range(self.arms)
                )
                history.append((len(tried), tuple(tried), choice))
                if isinstance(choice, Wait):
                    self.now += choice.seconds
                    continue
                if not isinstance(choice, int):
                    assert choice is STOP
                    break
                outcome = self.answer(choice)
                self.now += 0.0012
                strategy.update(arm=choice, outcome=outcome, now=self.now, attempt=len(tried), latency=0.0012)
                tried.append(choice)
                accepted = outcome is Outcome.OK
            if finish:
                strategy.finish(accepted=accepted, attempts=len(tried), now=self.now)
            self.now += 0.1
        return history


def through_json(state: dict[str, Any]) -> dict[str, Any]:
    restored: dict[str, Any] = json.loads(json.dumps(state, allow_nan=False))
    return restored


@every_strategy
def test_same_seed_and_events_give_the_same_choices(name: str):
    first = World(1).play(create(name, arms=ARMS, seed=7), 200)
    assert first == World(1).play(create(name, arms=ARMS, seed=7), 200)
    assert {choice for _, _, choice in first if isinstance(choice, int)} == set(range(ARMS))


def test_another_seed_gives_other_choices():
    assert World(1).play(create("v4", seed=7), 50) != World(1).play(create("v4", seed=8), 50)


@every_strategy
def test_the_generator_is_its_own(name: str):
    random.seed(1)
    expected = random.getstate()
    World(1).play(create(name, arms=ARMS, seed=7), 20)
    assert random.getstate() == expected


@every_strategy
@pytest.mark.parametrize("ids", [0, 37, 120])
def test_a_restored_strategy_goes_on_as_the_saved_one_would(name: str, ids: int):
    world, strategy = World(2), create(name, arms=ARMS, seed=3)
    world.play(strategy, ids)
    state = strategy.snapshot()
    assert through_json(state) == state

    other_world, other = copy.deepcopy(world), create(name, arms=ARMS, seed=99)
    World(5).play(other, 11)
    other.restore(through_json(state))
    assert other.snapshot() == state
    assert other_world.play(other, 100) == world.play(strategy, 100)
    assert other.snapshot() == strategy.snapshot() != state


@every_strategy
def test_a_snapshot_is_a_copy(name: str):
    strategy = create(name, arms=ARMS, seed=3)
    state = strategy.snapshot()
    kept = copy.deepcopy(state)
    World(2).play(strategy, 30)
    assert state == kept

    strategy.restore(state)
    World(2).play(strategy, 30)
    assert state == kept


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def damage(state: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        node: Any = state
        for key in parents:
            node = node[int(key) if key.isdigit() else key]
        node[last] = value

    return damage


DAMAGES = {
    "empty": lambda state: state.clear(),
    "another strategy": _set("strategy", "somebody-else"),
    "no memory": lambda state: state.pop("memory"),
    "an arm less": lambda state: state["memory"]["arms"].pop(),
    "a negative count": _set("memory.arms.0.successes", -1),
    "a huge count": _set("memory.arms.0.failures", 10**400),
    "a text": _set("memory.arms.0.failures", "1"),
    "an unknown key": _set("memory.arms.0.unheard_of", 1),
    "a short generator": _set("random", [3, [1, 2, 3], None]),
    "a generator that stays at zero": _set("random", [3, [0] * 624 + [624], None]),
    "a generator below zero": _set("random", [3, [-1] * 624 + [624], None]),
    "a generator of another time": _set("random", [1, [1] * 624 + [624], None]),
}


@every_strategy
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_state_is_refused_whole(name: str, damage: Callable[[dict[str, Any]], None]):
    strategy = create(name, arms=ARMS, seed=3)
    World(2).play(strategy, 10)
    before = strategy.snapshot()
    state = through_json(before)
    damage(state)
    with pytest.raises(StateMismatch) as caught:
        strategy.restore(state)
    assert caught.value.hint
    assert strategy.snapshot() == before


@every_strategy
def test_what_is_chosen_is_available(name: str):
    world, strategy = World(3), create(name, arms=ARMS, seed=4, scoring=BLOG)
    for _ in range(500):
        available = world.luck.sample(range(ARMS), world.luck.randint(0, ARMS))
        attempt = world.luck.randint(0, 12)
        tried = [world.luck.randrange(ARMS) for _ in range(attempt)]
        choice = strategy.select(now=world.now, attempt=attempt, tried=tried, available=available)
        assert choice is STOP or isinstance(choice, Wait) or choice in available
        if not available:
            assert choice is STOP
        if isinstance(choice, int):
            outcome = world.answer(choice)
            strategy.update(arm=choice, outcome=outcome, now=world.now, attempt=attempt, latency=0.001)
        world.now += 0.03


@every_strategy
def test_the_order_of_what_is_available_does_not_matter(name: str):
    ascending, shuffled = create(name, arms=ARMS, seed=4), create(name, arms=ARMS, seed=4)
    for step in range(50):
        one = ascending.select(now=step, attempt=0, tried=(), available=range(ARMS))
        other = shuffled.select(now=step, attempt=0, tried=(), available={7, 3, 9, 0, 1, 8, 2, 4, 6, 5})
        assert one == other
        for strategy in (ascending, shuffled):
            strategy.update(arm=int(one), outcome=Outcome.ERROR, now=step, attempt=0, latency=0.001)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in REPEATS])
def test_free_attempts_leave_out_what_was_tried_while_others_remain(name: str):
    strategy = create(name, arms=ARMS, seed=5)
    world = World(4, limited=0.0 if name in FORGET_WHAT_WAS_TRIED else 0.1)
    seen = set()
    for attempt, tried, choice in world.play(strategy, 300):
        seen.add(attempt)
        if attempt < 3:
            assert isinstance(choice, int)
            assert choice not in tried
    assert {0, 1, 2} <= seen

    assert strategy.select(now=1e6, attempt=2, tried=(0, 1), available=(0, 1, 6)) == 6
    assert strategy.select(now=1e6, attempt=2, tried=(9, 1), available=(0, 1)) == 0
    assert strategy.select(now=1e6, attempt=2, tried=(0, 1), available=(0, 1)) in {0, 1}


@every_strategy
def test_no_id_is_tried_more_often_than_the_scoring_allows(name: str):
    short = create(name, arms=ARMS, seed=5, scoring=Scoring(max_attempts=2))
    assert isinstance(short.select(now=0.0, attempt=1, tried=(3,), available=range(ARMS)), int)
    assert short.select(now=0.0, attempt=2, tried=(3, 4), available=range(ARMS)) is STOP
    usual = create(name, arms=ARMS, seed=5)
    assert usual.select(now=0.0, attempt=10, tried=range(10), available=range(ARMS)) is STOP


@every_strategy
def test_one_arm_is_enough(name: str):
    world, strategy = World(6, arms=1), create(name, arms=1, seed=6)
    choices = {choice for _, _, choice in world.play(strategy, 100)}
    assert {choice for choice in choices if not isinstance(choice, Wait)} <= {0, STOP}


@every_strategy
def test_a_caller_that_never_finishes_gets_the_same_choices(name: str):
    told = World(7).play(create(name, arms=ARMS, seed=7), 150)
    assert told == World(7).play(create(name, arms=ARMS, seed=7), 150, finish=False)


@every_strategy
def test_thousands_of_ids_leave_the_memory_small(name: str):
    strategy = create(name, arms=ARMS, seed=8)
    World(8).play(strategy, 3000)
    assert len(json.dumps(strategy.snapshot())) < (200_000 if name == "best" else 20_000)


@every_strategy
def test_arms_that_do_not_exist_are_refused(name: str):
    strategy = create(name, arms=3, seed=9)
    before = strategy.snapshot()
    for arm in (-1, 3):
        with pytest.raises(UsageError):
            strategy.update(arm=arm, outcome=Outcome.OK, now=0.0, attempt=0, latency=0.001)
        with pytest.raises(UsageError):
            strategy.select(now=0.0, attempt=0, tried=(), available=(0, arm))
    assert strategy.snapshot() == before


@every_strategy
def test_the_registry_names_each_by_its_own_name(name: str):
    assert STRATEGIES[name].name == name
    assert STRATEGIES[name].__doc__ != Strategy.__doc__


@pytest.mark.parametrize("arms", [0, -1])
def test_no_arms_no_strategy(arms: int):
    with pytest.raises(UsageError):
        create("v4", arms=arms)


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(UsageError) as caught:
        create("v6fixed")
    assert "v6-fixed" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        create("????")
    assert all(name in caught.value.hint for name in STRATEGIES)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("v4", {"c": 1}),
        ("v2", {"c": -1}),
        ("v2", {"c": float("nan")}),
        ("v2", {"c": "much"}),
        ("v1", {"discover_limit": 1.5}),
        ("v6", {"cooldown": -0.1}),
        ("v7", {"window": 0}),
        ("v8", {"max_multiplier": 0.5}),
    ],
)
def test_an_option_that_has_no_meaning_is_refused(name: str, options: dict[str, Any]):
    with pytest.raises(UsageError) as caught:
        create(name, **options)
    assert caught.value.hint


def test_where_none_has_an_option_those_that_they_have_are_named():
    with pytest.raises(UsageError) as caught:
        check(["v2", "v7"], {"wndow": 3})
    assert caught.value.hint == "their options: c, cooldown, window"


def test_options_may_come_as_text_from_the_command_line():
    strategy = create("v8", cooldown="2.5", max_multiplier="8")
    assert strategy.options == STRATEGIES["v8"].options_type(cooldown=2.5, max_multiplier=8.0)


def test_waits_and_stops_are_told_apart_from_arms():
    assert Wait(0.5) == Wait(seconds=0.5)
    assert not isinstance(STOP, int)


@pytest.mark.parametrize(
    "module", [m.name for m in pkgutil.iter_modules(bandit_runner.strategies.__path__, "bandit_runner.strategies.")]
)
def test_examples_in_docstrings_run(module: str):
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0
    assert result.attempted > 0 or module.endswith((".base", ".fixed"))


def test_the_example_of_the_package_runs():
    result = doctest.testmod(bandit_runner.strategies)
    assert (result.failed, result.attempted > 0) == (0, True)
