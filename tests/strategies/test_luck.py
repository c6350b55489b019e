"""Whether 429s come by chance or from limits: what `best` believes, and what it does."""

import random

import numpy as np
import pytest

from bandit_runner.model import Outcome
from bandit_runner.strategies import Strategy, create
from bandit_runner.strategies.luck import Luck
from bandit_runner.strategies.rate_limits import RateLimits

ARMS = 4


class Both:
    """Luck beside limits, told of the same answers."""

    def __init__(self, seed: int) -> None:
        self.luck = Luck(ARMS)
        self.limits = RateLimits(ARMS, np.random.default_rng(seed), particles=256)

    def observe(self, arm: int, now: float, *, admitted: bool) -> None:
        self.luck.learn(arm, self.limits.chance(arm, now, 0), admitted=admitted)
        self.limits.observe(arm, now, admitted=admitted)


@pytest.mark.parametrize("seed", range(5))
def test_429s_by_chance_are_told_from_limits(seed: int):
    """Three of ten attempts are refused, whatever rest a server had: it is worth as much right after a 429."""
    random_, both = random.Random(seed), Both(seed)
    for step in range(200):
        both.observe(step % ARMS, step / 10, admitted=random_.random() > 0.3)
    assert both.luck.decides
    assert 0.5 < both.luck.admitted(0, 0.01) < 0.85
    assert 45 < both.luck.admitted(0, 5.0, of=100.0) < 85


@pytest.mark.parametrize("seed", range(5))
def test_limits_are_told_from_429s_by_chance(seed: int):
    """A bucket that holds one and gets two a second refuses as many, but never after a rest."""
    random_, both, opens = random.Random(seed), Both(seed), [0.0] * ARMS
    now = 0.0
    for _ in range(200):
        now += random_.choice([0.01, 0.3])
        arm = random_.randrange(ARMS)
        is_admitted = now >= opens[arm]
        opens[arm] = now + 0.5 if is_admitted else opens[arm]
        both.observe(arm, now, admitted=is_admitted)
    assert not both.luck.decides


def test_what_a_server_admitted_before_the_first_429_counts():
    often, never = Luck(1), Luck(1)
    often.wake([10_000])
    never.wake([0])
    for luck in (often, never):
        for _ in range(5):
            luck.learn(0, 0.998, admitted=False)
    assert never.decides
    assert not often.decides


def test_the_first_429_wakes_for_good_even_where_both_foretold_it_alike():
    luck = Luck(1)
    assert not luck.is_awake
    luck.wake([10_000])
    luck.learn(0, 0.998, admitted=False)
    again = Luck(1)
    again.unpack(luck.pack())
    assert luck.is_awake
    assert again.is_awake


@pytest.mark.parametrize("admitted", [True, False])
def test_servers_that_answer_alike_for_days_do_not_wear_it_out(admitted: bool):
    """What was seen is halved again and again: to nothing, after 215,000 answers."""
    luck = Luck(1)
    luck.wake([0])
    for _ in range(220_000):
        luck.learn(0, 0.998, admitted=admitted)
    Luck(1).unpack(luck.pack())
    luck.learn(0, 0.998, admitted=not admitted)
    assert 0 < luck.admitted(0, 0.5) < 1


def test_what_was_thought_of_luck_is_thought_again_and_another_tiers_is_refused():
    luck, again = Luck(2), Luck(2)
    luck.wake([3, 4])
    for _ in range(30):
        luck.learn(1, 0.998, admitted=False)
    again.unpack(luck.pack())
    assert (again.pack(), again.decides, again.is_awake) == (luck.pack(), luck.decides, True)
    for damaged in (luck.pack()[:2], [[99.0], [1.0, 1.0], [1.0, 1.0]], [[0.0], [1.0, 1.0], [1.0, 1e9]]):
        with pytest.raises(ValueError, match=r"each server|no luck"):
            again.unpack(damaged)
    assert again.pack() == luck.pack()


def asked(strategy: Strategy, luck: random.Random, ids: int) -> int:
    """How often server 0 was asked, which is the best of three that all refuse three of ten by chance."""
    found = 0
    for number in range(ids):
        now, tried = number / 10, list[int]()
        while len(tried) < 3:
            arm = strategy.select(now=now, attempt=len(tried), tried=tuple(tried), available=range(3))
            if not isinstance(arm, int):
                now += 0.05
                continue
            found += arm == 0
            is_limited, is_accepted = luck.random() < 0.3, luck.random() < (0.95, 0.4, 0.4)[arm]
            outcome = Outcome.RATE_LIMITED if is_limited else Outcome.OK if is_accepted else Outcome.ERROR
            now += 0.001
            strategy.update(arm=arm, outcome=outcome, now=now, attempt=len(tried), latency=0.001)
            tried.append(arm)
            if outcome is Outcome.OK:
                break
    return found


def test_best_stays_with_a_good_server_that_refuses_by_chance():
    strategy, luck = create("best", arms=3, seed=1), random.Random(1)
    asked(strategy, luck, 100)
    again = create("best", arms=3, seed=2)
    again.restore(strategy.snapshot())
    assert asked(again, luck, 100) > 110, "it is asked again after a 429, too"


def test_chance_is_told_to_people_while_it_decides():
    strategy, luck = create("best", arms=3, seed=1), random.Random(1)
    assert "by-chance" not in {each.kind for each in strategy.estimates()}
    asked(strategy, luck, 100)
    best = strategy.estimates()[0]
    assert best.kind == "by-chance"
    assert best.share > 0.9
    assert 0.55 < best.admits < 0.85
    assert best.rate is None
