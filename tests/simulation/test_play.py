"""Runs, told by hand: time, points and the luck that all strategies share."""

from collections.abc import Iterator
from typing import Any

import pytest

from bandit_runner.model import Outcome, Scoring
from bandit_runner.simulation import Scenario, World, load, play
from bandit_runner.simulation.scenario import Outages, TokenBucket
from bandit_runner.strategies import STOP, Choice, Wait


class Scripted:
    """Gives the next answer of a list, and remembers what it was told."""

    def __init__(self, choices: list[Choice]) -> None:
        self.choices: Iterator[Choice] = iter(choices)
        self.asked: list[float] = []
        self.told: list[dict[str, Any]] = []
        self.ends: list[tuple[bool, int]] = []

    def select(self, *, now: float, **_: Any) -> Choice:
        self.asked.append(now)
        return next(self.choices)

    def update(self, **told: Any) -> None:
        self.told.append(told)

    def finish(self, *, accepted: bool, attempts: int, now: float) -> None:
        del now
        self.ends.append((accepted, attempts))


ALWAYS = Scenario(name="always", success=1.0, limits=(TokenBucket(rate=0.5, burst=1),), arms=2, retry_after=True)
NEVER = Scenario(name="never", success=0.0, arms=2)


def test_an_accepted_id_takes_one_attempt():
    player = Scripted([0, 1])
    result = play(player, World(ALWAYS, 1), requests=2, scoring=Scoring())
    assert (result.accepted, result.accepted_within_3, result.extra_attempts, result.score) == (2, 2, 0, 2.0)
    assert player.asked == [0.0, 0.1]
    assert player.ends == [(True, 1), (True, 1)]
    assert result.latencies == {1200: 2}


def test_a_429_is_an_attempt_and_says_when_to_come_back():
    player = Scripted([0, 0, 0, STOP])
    result = play(player, World(ALWAYS, 1), requests=2, scoring=Scoring())
    assert (result.accepted, result.rate_limited) == (1, 2)
    assert [told["outcome"] for told in player.told] == [Outcome.OK, Outcome.RATE_LIMITED, Outcome.RATE_LIMITED]
    assert [told["retry_after"] for told in player.told] == [None, 2.0, 2.0]
    assert player.ends == [(True, 1), (False, 2)]


def test_attempts_beyond_the_free_ones_cost_and_there_are_no_more_than_the_most():
    player = Scripted([0] * 10)
    result = play(player, World(NEVER, 1), requests=1, scoring=Scoring(penalty=0.5))
    assert (result.accepted, result.extra_attempts, result.score) == (0, 7, -3.5)


def test_a_wait_delays_the_ids_behind_it_and_ends_at_the_deadline():
    player = Scripted([Wait(0.5), 0, 1, Wait(99.0), 0])
    result = play(player, World(NEVER, 1), requests=2, scoring=Scoring(max_attempts=2))
    assert player.asked == [0.0, 0.5, 0.5012, pytest.approx(0.5024)]
    assert player.ends == [(False, 2), (False, 0)]
    assert sum(result.latencies.values()) == 2


def test_an_id_is_tried_no_more_after_the_deadline():
    """As in the balancer: servers that never answer use it up."""
    player = Scripted([0] * 10)
    silent = Scenario(name="silent", success=1.0, timeouts=1.0, timeout=2.0, deadline=5.0)
    result = play(player, World(silent, 1), requests=1, scoring=Scoring())
    assert player.asked == [0.0, 2.0, 4.0]
    assert (player.ends, result.extra_attempts) == ([(False, 3)], 0)


def test_a_wait_of_nothing_still_moves_time():
    player = Scripted([Wait(0.0), Wait(-1.0), STOP])
    play(player, World(NEVER, 1), requests=1, scoring=Scoring())
    assert player.asked == [0.0, 0.001, 0.002]


def test_a_timeout_takes_its_time():
    player = Scripted([0, 0])
    silent = Scenario(name="silent", success=1.0, timeouts=1.0, timeout=2.0)
    result = play(player, World(silent, 1), requests=1, scoring=Scoring(max_attempts=2))
    assert [told["outcome"] for told in player.told] == [Outcome.TIMEOUT, Outcome.TIMEOUT]
    assert result.latencies == {4_000_000: 1}


@pytest.mark.parametrize("name", ["T1", "T2h", "T2w", "T3s", "T3r"])
def test_a_seed_fixes_the_servers_and_the_luck_of_every_admitted_attempt(name: str):
    one, other = World(load(name), 7), World(load(name), 7)
    assert one.rates == other.rates != World(load(name), 8).rates
    first = [one.answer(0, float(time)) for time in range(50)]
    for time in range(50):
        other.answer(3, float(time))  # another server's luck is its own
    assert [other.answer(0, float(time)) for time in range(50)] == first


def test_rates_are_the_same_on_every_scenario_of_as_many_servers():
    assert World(load("T1"), 3).rates == World(load("T3r"), 3).rates


def test_outages_fail_everything_for_their_share_of_time():
    world = World(Scenario(name="x", success=1.0, outages=Outages(up=30, down=10)), 1)
    up = sum(world.rate(0, float(time)) for time in range(40_000)) / 40_000
    assert up == pytest.approx(0.75, abs=0.03)
    assert world.rate(0, 0.0) == 1.0
