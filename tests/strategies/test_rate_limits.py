"""What the particle filter learns of rate limits, of servers whose rules are known here."""

import msgspec
import numpy as np
import pytest

from bandit_runner.strategies import guesses
from bandit_runner.strategies.rate_limits import RateLimits


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
    limits._guesses[:, 0] = drawn[:, drawn[guesses.CAPACITY] >= guesses.UNLIMITED][:, :256]
    foreseen = 0
    for tenth in range(600):
        admitted = tenth % 10 == 0
        foreseen += (limits.chance(0, tenth / 10, 0) > 0.5) == admitted
        limits.observe(0, tenth / 10, admitted=admitted)
    assert foreseen > 570  # "never" would be right 540 times


def test_chances_come_back_with_time():
    limits = filtered()
    for second in range(20):
        limits.observe(0, float(second), admitted=True)
        limits.observe(0, float(second), admitted=False)
    soon = limits.chances_after(19.0, [0, 0], [0.01, 0.25, 0.5, 1.0])[0].tolist()
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
    limits._guesses[:, 0] = drawn[:, drawn[guesses.LENGTH] > 0][:, :256]
    limits._guesses[guesses.LENGTH, 0] = 7.0
    limits._guesses[:, 1] = drawn[:, drawn[guesses.CAPACITY] >= guesses.UNLIMITED][:, :256]
    for second in range(10):
        limits.observe(1, float(second), admitted=second % 5 == 0)
    assert (limits._guesses[guesses.LENGTH, 1] == 7.0).mean() > 0.1


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
    np.testing.assert_allclose(one_by_one._guesses, together._guesses, rtol=1e-4)


@pytest.mark.parametrize("at_once", [False, True])
def test_admissions_that_wait_count_before_anybody_is_told_a_chance(at_once: bool):
    limits = RateLimits(1, np.random.default_rng(1), particles=200)
    limits.observe(0, 1.0, admitted=True)
    limits._guesses[guesses.TOKENS, 0] = limits._guesses[guesses.CAPACITY, 0] = [8.0, 9.0] * 100
    limits._weights[0] = 1 / 200
    limits._look(0)
    told = []
    for _ in range(4):
        told.append(limits.chances(1.0, [6])[0] if at_once else limits.chance(0, 1.0, 6))
        limits.observe(0, 1.0, admitted=True)
    assert told == pytest.approx([0.998, 0.998, 0.5, 0.005])


def taught(seed: int, *, arms: int, known: int, every: int) -> RateLimits:
    """Some servers admit one attempt in so many seconds, and were asked a hundred times; nobody asked the others."""
    limits = RateLimits(arms, np.random.default_rng(seed), particles=256)
    for second in range(100):
        for arm in range(known):
            limits.observe(arm, float(second), admitted=second % every == 0)
    return limits


@pytest.mark.parametrize("seed", range(3))
def test_a_slow_bucket_is_thought_of(seed: int):
    """Below 0.2 a second there was none among the guesses: windows of all lengths had to stand in for it."""
    (found,) = taught(seed, arms=1, known=1, every=20).estimates()
    assert found.kind == "token-bucket"
    assert found.rate is not None
    assert found.rate.mean == pytest.approx(0.05, abs=0.006)


@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_nobody_asked_is_taken_to_resemble_the_others(seed: int):
    limits = taught(seed, arms=10, known=8, every=10)
    unasked = [limits.capacity(arm, 100.0, 10.0, 100.0)[0] for arm in (8, 9)]
    assert max(unasked) < taught(seed, arms=1, known=0, every=10).capacity(0, 100.0, 10.0, 100.0)[0] / 2
    assert limits.chances(100.0, [0] * 10)[8:] == pytest.approx([0.998, 0.998]), "it has its first tokens yet"


def test_what_an_older_state_does_not_say_hinders_nothing():
    limits = taught(1, arms=3, known=1, every=10)
    packed = msgspec.structs.replace(limits.pack(), speaks=[])
    limits.unpack(packed)
    with pytest.raises(ValueError, match="no filter"):
        limits.unpack(msgspec.structs.replace(packed, speaks=[True]))


def test_a_guess_that_is_taken_over_has_filled_up_since_the_last_admission():
    """It was left as empty as just after it: of a hundred slow servers those that had rested seemed no better."""
    buckets = np.zeros((guesses.ROWS, 200), np.float32)
    buckets[[guesses.TOKENS, guesses.CAPACITY]] = 1.0
    buckets[guesses.RATE] = 0.1
    ready = []
    for age in (0.0, 9.0, 20.0):
        taken = buckets.copy()
        guesses.adopt(taken, np.array([age, 50.0]), np.random.default_rng(1), admitted=True)
        ready.append(float(taken[guesses.TOKENS].max()))
    assert ready == pytest.approx([0.0, 0.9, 1.0])


def test_guesses_that_are_taken_over_are_of_the_same_moment_as_those_that_stay():
    limits = filtered()
    limits.observe(1, 0.0, admitted=True)
    for second in range(1, 100):
        limits.observe(0, float(second), admitted=second % 10 == 0)
        if limits._speaks[0]:
            break
    assert limits._at == [float(second)] * 2


def test_a_full_bucket_is_still_full_when_its_rate_has_jumped():
    """What overflowed before the jump was taken from it: one that had just become slow was believed to be empty."""
    buckets = np.zeros((guesses.ROWS, 2), np.float32)
    buckets[[guesses.RATE, guesses.OTHER_RATE, guesses.DWELL, guesses.LEFT]] = [[10.0], [0.5], [9.0], [0.5]]
    buckets[guesses.CAPACITY] = 3.0, 9.0
    buckets[guesses.TOKENS] = 3.0, 1.0
    guesses.pass_time(buckets, np.float32(1.0), np.random.default_rng(1))
    assert buckets[guesses.TOKENS].tolist() == pytest.approx([3.0, 6.25])


def test_a_clock_that_starts_again_leaves_no_admission_in_the_future():
    """They would count as admitted in every window that is guessed later."""
    limits = RateLimits(1, np.random.default_rng(1), particles=64)
    for tenth in range(20):
        limits.observe(0, 1000 + tenth / 10, admitted=True)
    limits.observe(0, 5.0, admitted=True)
    assert np.frombuffer(limits.pack().admitted[0]).tolist() == [5.0]


def test_a_server_that_was_never_asked_is_full_whatever_others_are_like():
    limits, second = filtered(), 0
    while not limits.observe(0, float(second), admitted=False):
        limits.observe(0, second + 0.5, admitted=True)
        second += 1
        assert second < 100
    assert limits.chance(1, float(second), 0) > 0.99
