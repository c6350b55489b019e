"""What our own strategy learns of servers and what it makes of it, against servers whose rules are known here."""

import base64
import math
from typing import Any

import numpy as np
import pytest

from bandit_runner.errors import StateMismatch
from bandit_runner.model import SCORINGS
from bandit_runner.strategies import STOP, Choice, Outcome, Strategy, Wait, create, guesses
from bandit_runner.strategies.quality import Quality
from bandit_runner.strategies.rate_limits import RateLimits


def tell(strategy: Strategy, arm: int, outcome: Outcome, now: float, **more: float) -> None:
    strategy.update(arm=arm, outcome=outcome, now=now, attempt=0, latency=0.001, **more)


def filtered(seed: int = 1) -> RateLimits:
    return RateLimits(2, np.random.default_rng(seed), particles=256)


@pytest.mark.parametrize("seed", range(5))
def test_a_server_without_a_limit_is_believed_to_have_none(seed: int):
    limits = filtered(seed)
    for tenth in range(300):
        limits.observe(0, tenth / 10, admitted=True)
        limits.observe(0, tenth / 10, admitted=True)
    assert limits.chance(0, 30.0, 0) > 0.95


@pytest.mark.parametrize("seed", range(5))
def test_a_bucket_is_known_after_a_while(seed: int):
    """2 tokens a second, burst 2: what it will answer is mostly foreseen."""
    limits, tokens, right = filtered(seed), 2.0, 0
    luck, last = np.random.default_rng(seed), 0.0
    for second in np.cumsum(luck.exponential(0.3, 300)):
        tokens, last = min(2.0, tokens + 2 * (second - last)), second
        admitted = tokens >= 1
        tokens -= admitted
        right += (limits.chance(0, float(second), 0) > 0.5) == admitted
        limits.observe(0, float(second), admitted=admitted)
    assert right > 255  # of 300


@pytest.mark.parametrize("seed", range(5))
def test_a_window_is_known_after_a_while_whatever_its_limit(seed: int):
    """17 in each 10 s, asked 5 times a second: that is known, and when it opens again is mostly foreseen."""
    limits, used, right = filtered(seed), 0, 0
    for fifth in range(500):
        if fifth % 50 == 20:
            used = 0
        now = fifth / 5
        right += (limits.chance(0, now, 0) > 0.5) == (used < 17)
        limits.observe(0, now, admitted=used < 17)
        used += used < 17
    assert right > 450
    found = limits.estimates()[0]
    assert found.kind == "fixed-window"
    assert found.burst is not None
    assert found.burst.mean == pytest.approx(17, abs=0.5)
    assert found.seconds is not None
    assert found.seconds.mean == pytest.approx(10, abs=0.1)


def test_a_limit_is_learned_even_if_no_guess_knew_any():
    """Guesses that all agree must not be deaf."""
    limits = filtered()
    drawn = guesses.draw(limits.rng, 4000)
    limits._x[:, 0] = drawn[:, drawn[guesses.CAPACITY] >= guesses.UNLIMITED][:, :256]
    foreseen = 0
    for tenth in range(600):
        admitted = tenth % 10 == 0
        foreseen += (limits.chance(0, tenth / 10, 0) > 0.5) == admitted
        limits.observe(0, tenth / 10, admitted=admitted)
    assert foreseen > 570  # "never" would be right 540 times


def test_ids_that_come_at_once_spread_out():
    strategy = create("best", arms=10, seed=1)
    chosen = {strategy.select(now=1.0, attempt=0, tried=(), available=range(10)) for _ in range(10)}
    assert len(chosen) == 10


def test_attempts_under_way_count_against_a_limit_until_they_come_back_or_are_lost():
    strategy = create("best", arms=2, seed=1, patience=0.0)
    for second in range(40):  # each admits one attempt a second, and server 0 is better
        for arm in (0, 1):
            tell(strategy, arm, Outcome.OK if arm == 0 or second % 2 else Outcome.ERROR, second)
            tell(strategy, arm, Outcome.RATE_LIMITED, second)

    def choose(now: float) -> Choice:
        return strategy.select(now=now, attempt=2, tried=(), available=range(2))

    assert [choose(41.0), choose(41.0)] == [0, 1]
    tell(strategy, 1, Outcome.OK, 41.0)
    assert choose(42.5) == 1  # the attempt on server 0 has not come back
    assert choose(60.0) == 0  # and never will


def test_chances_come_back_with_time():
    limits = filtered()
    for second in range(20):
        limits.observe(0, float(second), admitted=True)
        limits.observe(0, float(second), admitted=False)
    soon = limits.chances_after(19.0, [0, 0], [0.01, 0.25, 0.5, 1.0])[0]
    assert soon == sorted(soon)
    assert soon[0] < 0.2
    assert soon[-1] > 0.9


def test_a_clock_that_starts_again_or_stands_still_for_a_year_breaks_nothing():
    limits = filtered()
    for now in (1e6, 1e6, 0.0, 0.5, 3e7, -5.0):
        limits.observe(0, now, admitted=now > 1)
        assert np.isfinite(limits.chances(now, [0, 0])).all()
        assert all(0 <= capacity <= 1e6 for capacity in limits.capacity(0, now, 10.0, 1e6))


def test_caution_takes_a_server_for_scarce_until_it_has_shown_more():
    limits = filtered()
    expected, cautious = limits.capacity(0, 0.0, 10.0, 300.0)
    assert cautious < expected / 2
    for tick in range(2000):
        limits.observe(0, tick / 100, admitted=True)
    expected, cautious = limits.capacity(0, 20.0, 10.0, 300.0)
    assert cautious > expected / 2 > 100


def test_a_surprised_server_is_guessed_to_be_like_another():
    """Windows of 7 s are in no prior: only the other server can have told of them."""
    limits = filtered()
    drawn = guesses.draw(limits.rng, 4000)
    limits._x[:, 0] = drawn[:, drawn[guesses.LENGTH] > 0][:, :256]
    limits._x[guesses.LENGTH, 0] = 7.0
    limits._x[:, 1] = drawn[:, drawn[guesses.CAPACITY] >= guesses.UNLIMITED][:, :256]
    for second in range(10):
        limits.observe(1, float(second), admitted=second % 5 == 0)
    assert (limits._x[guesses.LENGTH, 1] == 7.0).mean() > 0.1


def test_a_bucket_is_told_to_people():
    """One attempt a second, none saved up: what estimates say, and that saying it changes nothing."""
    strategy = create("best", arms=2, seed=1)
    for tenth in range(400):
        tell(strategy, 0, Outcome.RATE_LIMITED if tenth % 10 else Outcome.OK, tenth / 10)
    before = strategy.snapshot()
    limited, unasked = strategy.estimates()
    assert strategy.snapshot() == before
    assert limited.kind != "none"
    assert limited.share > 0.3
    assert limited.admits < 0.1
    assert limited.rate is not None
    assert limited.rate.low <= limited.rate.mean <= limited.rate.high
    assert 0.7 < limited.rate.mean < 1.4
    assert unasked.admits > 0.9
    restored = create("best", arms=2, seed=2)
    restored.restore(before)
    assert restored.estimates() == strategy.estimates()


def test_an_outage_is_noticed_and_its_end_too():
    quality = Quality(1)
    for second in range(30):
        quality.advance(float(second))
        quality.observe(0, accepted=True)
    usual = quality.means()[0]
    for second in range(30, 34):
        quality.advance(float(second))
        quality.observe(0, accepted=False)
    assert quality.means()[0] < 0.2
    quality.advance(90.0)
    assert quality.means()[0] > 0.8 * usual


def test_retry_after_is_believed():
    strategy = create("best", arms=2, seed=1, patience=0.0)
    for second in range(40):
        tell(strategy, 0, Outcome.OK, second)
        tell(strategy, 1, Outcome.ERROR, second)
    tell(strategy, 0, Outcome.RATE_LIMITED, 40.0, retry_after=30.0)
    chosen = [strategy.select(now=now, attempt=1, tried=(), available=range(2)) for now in (41.0, 60.0, 68.9, 70.1)]
    assert chosen == [1, 1, 1, 0]


@pytest.mark.parametrize("hostile", [-1.0, 1e300, math.inf, math.nan])
def test_a_hostile_retry_after_sets_nothing_aside_for_ever(hostile: float):
    strategy = create("best", arms=2, seed=1)
    tell(strategy, 0, Outcome.RATE_LIMITED, 0.0, retry_after=hostile)
    assert json_is_plain(strategy)
    assert not strategy._opens[0] > 86_400  # type: ignore[attr-defined]


def json_is_plain(strategy: Strategy) -> bool:
    import json

    return bool(json.dumps(strategy.snapshot(), allow_nan=False))


def one_server_with_a_token_a_second(**options: float) -> Strategy:
    strategy = create("best", arms=1, seed=1, **options)
    for second in range(40):
        tell(strategy, 0, Outcome.OK, second)
        tell(strategy, 0, Outcome.RATE_LIMITED, second + 0.001)
    tell(strategy, 0, Outcome.OK, 40.0)
    return strategy


def test_it_waits_for_a_server_that_will_be_free_soon_and_not_again_and_again():
    strategy, now, waited = one_server_with_a_token_a_second(), 40.6, 0.0
    while isinstance(choice := strategy.select(now=now, attempt=2, tried=(0, 0), available=(0,)), Wait):
        now += choice.seconds
        waited += choice.seconds
    assert choice == 0
    assert 0.2 < waited <= 0.5 + 1e-9


def test_an_id_that_has_waited_for_a_server_sees_what_it_waited_for():
    """Nothing that was found before, although only hundredths of a second have passed."""
    waits = 0
    for hundredth in range(90, 100):
        strategy: Any = create("best", arms=1, seed=1)
        for second in range(40):
            tell(strategy, 0, Outcome.OK, second)
            for later in (0.001, 0.5, 0.9, 0.95):
                tell(strategy, 0, Outcome.RATE_LIMITED, second + later)
        tell(strategy, 0, Outcome.OK, 40.0)
        now = 40 + hundredth / 100
        choice = strategy.select(now=now, attempt=0, tried=(), available=(0,))
        if isinstance(choice, Wait):
            waits += 1
            before = strategy._first
            assert strategy._first_attempts(now + choice.seconds) is not before
    assert waits


def test_without_patience_or_in_a_hurry_it_never_waits():
    for options in ({"patience": 0.0}, {"hurry": 1000.0}):
        strategy = one_server_with_a_token_a_second(**options)
        assert strategy.select(now=40.2, attempt=2, tried=(0, 0), available=(0,)) == 0


def test_waits_of_clients_that_went_away_are_forgotten():
    strategy = one_server_with_a_token_a_second()
    for i in range(2000):
        strategy.select(now=40.6 + i * 1e-5, attempt=2, tried=(0, 0), available=(0,))
    assert len(strategy.memory.waiting) <= 1024  # type: ignore[attr-defined]
    tell(strategy, 0, Outcome.OK, 400.0)
    tell(strategy, 0, Outcome.RATE_LIMITED, 400.001)
    strategy.select(now=400.6, attempt=2, tried=(0, 0), available=(0,))
    assert len(strategy.memory.waiting) <= 1  # type: ignore[attr-defined]


def test_after_the_free_attempts_it_goes_on_while_that_is_worth_its_penalty():
    for scoring, last in (("statement", STOP), ("blog", 0)):
        strategy = create("best", arms=2, seed=1, scoring=SCORINGS[scoring])
        for second in range(40):
            tell(strategy, 0, Outcome.OK, second)
            tell(strategy, 1, Outcome.ERROR, second)
        assert strategy.select(now=50.0, attempt=3, tried=(1, 1, 1), available=range(2)) is last
        assert strategy.select(now=50.0, attempt=3, tried=(1, 1, 1), available=(1,)) is STOP


LIMITS = create("best", arms=2, seed=1).snapshot()["memory"]["limits"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limits", None),
        ("limits", {}),
        ("limits", {**LIMITS, "weights": LIMITS["guesses"]}),
        ("limits", {**LIMITS, "guesses": "AAAA"}),
        ("limits", {**LIMITS, "guesses": base64.b64encode(base64.b64decode(LIMITS["guesses"])[::-1]).decode()}),
        ("limits", {**LIMITS, "times": [math.nan, 0.0]}),
        ("limits", {**LIMITS, "admitted": [""]}),
        ("limits", {**LIMITS, "generator": ["x", "1", "0", "0"]}),
        ("under_way", [[]]),
        ("quality", []),
        ("quality", [0.0, [1.0], [1.0], [0.0]]),
        ("quality", [0.0, [1.0, -1.0], [1.0, 1.0], [0.0, 0.0]]),
        ("prices", None),
        ("prices", {"servers": [0.0], "values": [0.0] * 4}),
        ("prices", {"servers": [0.0, 0.0], "values": [0.0]}),
        ("first_prices", None),
        ("first_prices", {"servers": [0.0, 0.0], "values": [0.0] * 5}),
        ("opens", [None]),
    ],
)
def test_a_damaged_belief_is_refused_whole(field: str, value: list[object]):
    strategy = create("best", arms=2, seed=1)
    tell(strategy, 0, Outcome.OK, 1.0)
    before = strategy.snapshot()
    state = {**before, "memory": {**before["memory"], field: value}}
    with pytest.raises(StateMismatch):
        strategy.restore(state)
    assert strategy.snapshot() == before


def test_what_is_known_of_a_chance_ends_with_an_answer_with_time_and_with_attempts_under_way():
    limits = RateLimits(4, np.random.Generator(np.random.PCG64(1)), 256)
    for second in range(40):
        limits.observe(0, float(second), admitted=True)
        limits.observe(0, float(second), admitted=False)
    rested = limits.chances(40.0, [0] * 4)
    limits.observe(0, 40.0, admitted=True)
    emptied = limits.chances(40.0, [0] * 4)
    assert rested[0] > 0.7
    assert emptied[0] < 0.3
    assert emptied[1:] == rested[1:]
    assert limits.chances(40.0, [0, 9, 0, 0])[1] < emptied[1]
    assert limits.chances(41.0, [0] * 4)[0] > 0.7


@pytest.mark.parametrize("seed", range(5))
def test_admissions_that_are_gone_through_later_leave_the_same_belief(seed: int):
    """Ten within a few milliseconds, twice a second; all admitted until a window of 300 is full."""
    one_by_one, together = (RateLimits(1, np.random.default_rng(seed), particles=256) for _ in range(2))
    put_off = 0
    for attempt in range(400):
        now, admitted = attempt // 10 / 2 + attempt % 10 / 1000, attempt < 300
        for limits in (one_by_one, together):
            limits.observe(0, now, admitted=admitted)
        put_off += together._owed[0] > 0
        one_by_one._settle(0)
        if attempt % 50 == 24:
            assert one_by_one.chance(0, now, 4) == pytest.approx(together.chance(0, now, 4), abs=1e-5)
    assert put_off > 100
    assert one_by_one.estimates() == together.estimates()
    np.testing.assert_allclose(one_by_one._x, together._x, rtol=1e-4)


@pytest.mark.parametrize("at_once", [False, True])
def test_admissions_that_wait_count_before_anybody_is_told_a_chance(at_once: bool):
    limits = RateLimits(1, np.random.default_rng(1), particles=200)
    limits.observe(0, 1.0, admitted=True)
    limits._x[guesses.TOKENS, 0] = limits._x[guesses.CAPACITY, 0] = [8.0, 9.0] * 100
    limits._weights[0] = 1 / 200
    limits._look(0)
    told = []
    for _ in range(4):
        told.append(limits.chances(1.0, [6])[0] if at_once else limits.chance(0, 1.0, 6))
        limits.observe(0, 1.0, admitted=True)
    assert told == pytest.approx([0.998, 0.998, 0.5, 0.005])


def test_what_first_attempts_are_worth_is_kept_only_while_nothing_changes_it():
    strategy: Any = create("best", arms=5, seed=1, patience=0.0)
    luck, waiting, kept = np.random.default_rng(1), [], 0
    for step in range(3000):
        now = step // 5 * 0.051  # it is kept for a twentieth of a second
        waiting.append(strategy.select(now=now, attempt=0, tried=(), available=range(5)))
        if len(waiting) > 8:
            outcome = (Outcome.OK, Outcome.ERROR, Outcome.RATE_LIMITED)[int(luck.choice(3, p=(0.6, 0.3, 0.1)))]
            tell(strategy, waiting.pop(int(luck.integers(8))), outcome, now)
        before, known = strategy._first, strategy._first_attempts(now)
        kept += known is before
        strategy._first = None
        assert strategy._first_attempts(now).gains == known.gains
        strategy._first = known
        for arm in (arm for arm in range(5) if known.known[arm]):
            chance = strategy._limits.chance(arm, now, strategy._under_way[arm])
            assert known.most[arm] == pytest.approx(known.gains[arm] * chance)
    assert kept > 2000
