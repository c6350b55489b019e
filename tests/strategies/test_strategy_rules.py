"""The rule of each strategy, on numbers worked out by hand."""

import math
import random
from collections import Counter
from typing import Any

import pytest

from bandit_runner.model import SCORINGS, Scoring
from bandit_runner.strategies import STOP, Choice, Outcome, Strategy, create
from bandit_runner.strategies.base import Arm
from bandit_runner.strategies.kl_ucb import divergence, upper_bound
from bandit_runner.strategies.larkin import beta_variance

BLOG = SCORINGS["blog"]


def told(name: str, counts: list[tuple[int, int]], **settings: Any) -> Strategy:
    """A strategy that has seen (successes, failures) of each arm."""
    strategy = create(name, arms=len(counts), **settings)
    for arm, (successes, failures) in enumerate(counts):
        for outcome, times in ((Outcome.OK, successes), (Outcome.ERROR, failures)):
            for _ in range(times):
                strategy.update(arm=arm, outcome=outcome, now=0.0, attempt=0, latency=0.001)
    return strategy


def limit(strategy: Strategy, arm: int, now: float) -> None:
    strategy.update(arm=arm, outcome=Outcome.RATE_LIMITED, now=now, attempt=0, latency=0.001)


def choose(strategy: Strategy, *, now: float = 0.1, tried: tuple[int, ...] = (), attempt: int | None = None) -> Choice:
    arms = len(strategy.memory.arms)
    number = len(tried) if attempt is None else attempt
    return strategy.select(now=now, attempt=number, tried=tried, available=range(arms))


def shares(
    strategy: Strategy, *, now: float = 0.1, tried: tuple[int, ...] = (), draws: int = 4000
) -> dict[Choice, float]:
    """How often each arm is chosen when nothing new is learned."""
    counts = Counter(choose(strategy, now=now, tried=tried) for _ in range(draws))
    return {arm: count / draws for arm, count in counts.items()}


class TestAfterTheFreeAttempts:
    @pytest.mark.parametrize("name", ["v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"])
    def test_the_original_stays_on_the_best_observed_rate_whatever_was_tried(self, name: str):
        strategy = told(name, [(3, 1), (9, 2), (0, 0), (4, 1)])  # 0.75, 0.82, 0, 0.8
        for attempt in range(3, 10):
            assert choose(strategy, tried=(1,) * attempt) == 1

    @pytest.mark.parametrize("name", ["v6", "v7", "v8"])
    def test_it_ignores_its_own_mask_but_a_429_lowers_the_observed_rate(self, name: str):
        strategy = told(name, [(3, 1), (9, 2), (0, 0)])
        limit(strategy, 1, now=0.1)  # 9 of 12
        limit(strategy, 0, now=0.1)  # 3 of 5
        assert choose(strategy, now=0.1, tried=(0, 1, 2)) == 1
        for _ in range(4):
            limit(strategy, 1, now=0.1)  # 9 of 16
        assert choose(strategy, now=0.1, tried=(0, 1, 2)) == 0

    @pytest.mark.parametrize("name", [f"v{n}-fixed" for n in range(1, 9)] + ["random", "round-robin", "best"])
    def test_the_fixed_form_stops_as_no_attempt_is_worth_a_whole_point(self, name: str):
        strategy = told(name, [(0, 0), (0, 0), (0, 0), (10_000, 0)])
        assert choose(strategy, tried=(0, 1, 2)) is STOP

    @pytest.mark.parametrize("name", [f"v{n}-fixed" for n in range(1, 9)])
    def test_at_half_a_point_it_goes_on_while_an_untried_arm_promises_more(self, name: str):
        strategy = told(name, [(9, 0), (9, 0), (9, 0), (2, 1), (1, 1), (3, 1)], scoring=BLOG)
        assert choose(strategy, tried=(0, 1, 2)) == 5  # (3+1)/(4+2) = 0.67 before (2+1)/(3+2) = 0.6
        assert choose(strategy, tried=(0, 1, 2, 5)) == 3
        assert choose(strategy, tried=(0, 1, 2, 5, 3)) is STOP  # (1+1)/(2+2) = 0.5 is not more than 0.5

    @pytest.mark.parametrize("name", ["v6-fixed", "v7-fixed", "v8-fixed"])
    def test_at_half_a_point_it_leaves_out_what_is_set_aside(self, name: str):
        strategy = told(name, [(0, 9), (0, 9), (0, 9), (9, 0), (3, 1)], scoring=BLOG)
        limit(strategy, 3, now=5.0)
        assert choose(strategy, now=5.5, tried=(0, 1, 2)) == 4
        assert choose(strategy, now=50.0, tried=(0, 1, 2)) == 3

    def test_how_many_attempts_are_free_is_the_scorings_to_say(self):
        strategy = told("v4-fixed", [(1, 0)] * 6, scoring=Scoring(free_attempts=5))
        assert isinstance(choose(strategy, tried=(0, 1, 2, 3)), int)
        assert choose(strategy, tried=(0, 1, 2, 3, 4)) is STOP


class TestLarkin:
    def test_the_variance_is_that_of_the_beta_distribution(self):
        assert beta_variance(Arm()) == pytest.approx(1 / 12)  # the uniform distribution's
        assert beta_variance(Arm(successes=3, failures=1)) == pytest.approx(4 * 2 / (36 * 7))

    def test_discovery_takes_unknown_arms_in_order_and_then_the_most_uncertain(self):
        strategy = told("v1", [(2, 1), (0, 0), (0, 0)])
        assert choose(strategy) == 1
        assert choose(strategy, tried=(1,)) == 2
        strategy = told("v1", [(5, 5), (3, 0), (2, 1)])  # 0.0192, 0.0267, 0.04
        assert choose(strategy) == 2
        assert choose(strategy, tried=(2,)) == 1

    @pytest.mark.parametrize(("settings", "limit"), [({}, 50), ({"discover_limit": 2}, 2), ({"discover_limit": 0}, 0)])
    def test_discovery_ends_after_so_many_ids_not_attempts(self, settings: dict[str, int], limit: int):
        strategy = told("v1", [(5, 5), (3, 0), (2, 1)], **settings)
        for _ in range(limit):
            assert choose(strategy) == 2
            assert choose(strategy, tried=(2,)) == 1
        assert choose(strategy) == 1  # the best rate
        assert choose(strategy, tried=(1,)) == 2


class TestUCB:
    @pytest.mark.parametrize("name", ["v2", "v3"])
    def test_unknown_arms_come_first(self, name: str):
        strategy = told(name, [(9, 0), (0, 0), (0, 0)])
        assert [choose(strategy), choose(strategy, tried=(1,)), choose(strategy, tried=(1, 2))] == [1, 2, 0]

    def test_the_bound_of_v2(self):
        # t = 25: 0.8 + 1.414 sqrt(3.219/20) = 1.367 and 0.4 + 1.414 sqrt(3.219/5) = 1.535
        assert choose(told("v2", [(16, 4), (2, 3)])) == 1
        # t = 29: 0.8 + 1.414 sqrt(3.367/20) = 1.380 and 0.333 + 1.414 sqrt(3.367/9) = 1.198
        assert choose(told("v2", [(16, 4), (3, 6)])) == 0

    def test_v3_is_v2_with_a_radius_of_three(self):
        # 0.8 + 3 sqrt(3.367/20) = 2.031 and 0.333 + 3 sqrt(3.367/9) = 2.168
        assert choose(told("v3", [(16, 4), (3, 6)])) == 1
        assert choose(told("v2", [(16, 4), (3, 6)], c=3.0)) == 1
        assert choose(told("v3", [(16, 4), (3, 6)], c=math.sqrt(2))) == 0

    def test_without_a_radius_it_is_greedy(self):
        assert choose(told("v2", [(16, 4), (3, 6)], c=0)) == 0

    @pytest.mark.parametrize("outcome", [Outcome.RATE_LIMITED, Outcome.TIMEOUT])
    def test_a_429_and_a_timeout_are_failures(self, outcome: Outcome):
        strategy = told("v2", [(1, 0), (1, 0)])
        strategy.update(arm=0, outcome=outcome, now=0.0, attempt=0, latency=0.001)
        assert (strategy.memory.arms[0].successes, strategy.memory.arms[0].failures) == (1, 1)


class TestThompson:
    def test_the_share_of_an_arm_is_its_probability_of_being_the_best(self):
        # P(Beta(3,1) > Beta(1,1)) = mean of Beta(3,1) = 3/4; a standard error of 0.007
        assert shares(told("v4", [(2, 0), (0, 0)], seed=1))[0] == pytest.approx(0.75, abs=0.03)
        # P(Beta(2,1) > Beta(1,2)) = 5/6
        assert shares(told("v4", [(1, 0), (0, 1)], seed=1))[0] == pytest.approx(5 / 6, abs=0.03)

    def test_a_sample_is_drawn_from_the_counts(self):
        strategy = told("v4", [(3, 2), (1, 4), (6, 0)], seed=11)
        luck = random.Random(11)
        samples = [luck.betavariate(1 + s, 1 + f) for s, f in ((3, 2), (1, 4), (6, 0))]
        assert choose(strategy) == samples.index(max(samples))

    def test_v5_is_bolder_on_the_first_attempt_than_on_the_third(self):
        strategy = told("v5", [(30, 10), (20, 20), (0, 0), (0, 0)], seed=1)
        available = (0, 1)
        chosen = {
            attempt: sum(
                strategy.select(now=0.0, attempt=attempt, tried=(2, 3)[:attempt], available=available) == 1
                for _ in range(2000)
            )
            for attempt in range(3)
        }
        assert chosen[0] > 2 * chosen[1] > 2 * chosen[2]

    def test_v5_never_goes_below_one(self):
        strategy = told("v5", [(0, 6)])
        assert strategy._posterior(0, 0) == (1.0, 1.75)  # 1 x 0.25 -> 1; 7 x 0.25
        strategy = told("v5", [(1, 1)])
        assert strategy._posterior(0, 0) == (1.0, 1.0)  # 2 x max(2, 4/4) / 4


class TestMask:
    @pytest.mark.parametrize(("name", "pause"), [("v6", 1.0), ("v7", 1.0), ("v8", 10.0), ("v8-fixed", 5.0)])
    def test_a_429_sets_an_arm_aside_for_a_while(self, name: str, pause: float):
        strategy = told(name, [(50, 0), (0, 5)], seed=2)
        limit(strategy, 0, now=7.0)
        assert shares(strategy, now=7.0 + pause - 0.001, draws=50) == {1: 1.0}
        assert shares(strategy, now=7.0 + pause, draws=50) == {0: 1.0}

    def test_the_cooldown_can_be_set(self):
        strategy = told("v6-fixed", [(50, 0), (0, 5)], cooldown=0.25)
        limit(strategy, 0, now=7.0)
        assert (choose(strategy, now=7.24), choose(strategy, now=7.25)) == (1, 0)

    @pytest.mark.parametrize("name", ["v6", "v6-fixed", "v7", "v7-fixed", "v8", "v8-fixed"])
    def test_a_429_does_not_touch_the_posterior(self, name: str):
        strategy = told(name, [(4, 2), (0, 0)])
        before = strategy._posterior(0, 0)
        limit(strategy, 0, now=0.0)
        assert strategy._posterior(0, 0) == before == (5.0, 3.0)

    def test_with_all_untried_arms_aside_the_original_takes_the_oldest_429_even_if_tried(self):
        original, fixed = told("v6", [(1, 0)] * 3), told("v6-fixed", [(1, 0)] * 3)
        for strategy in (original, fixed):
            limit(strategy, 2, now=5.0)
            limit(strategy, 0, now=5.2)
            limit(strategy, 1, now=5.4)
        assert choose(original, now=5.5, tried=(2,)) == 2
        assert choose(fixed, now=5.5, tried=(2,)) == 0
        assert choose(fixed, now=5.5) == 2

    def test_a_429_of_a_clock_that_has_started_again_is_over(self):
        strategy = told("v6-fixed", [(50, 0), (0, 5)])
        limit(strategy, 0, now=1_000_000.0)
        assert choose(strategy, now=3.0) == 0


class TestSlidingWindow:
    def test_only_the_latest_outcomes_count(self):
        strategy = told("v7", [(0, 40), (0, 0)])
        assert strategy._posterior(0, 0) == (1.0, 31.0)
        for _ in range(12):
            strategy.update(arm=0, outcome=Outcome.OK, now=0.0, attempt=0, latency=0.001)
        assert strategy._posterior(0, 0) == (13.0, 19.0)
        assert strategy._posterior(1, 0) == (1.0, 1.0)

    def test_until_a_window_is_full_it_is_v6(self):
        counts = [(4, 2), (3, 1), (9, 20)]
        v6, v7 = told("v6", counts, seed=3), told("v7", counts, seed=3)
        assert [choose(v6) for _ in range(200)] == [choose(v7) for _ in range(200)]


class TestBlocking:
    @pytest.mark.parametrize(("name", "pauses"), [("v8", [10.0, 20.0, 20.0]), ("v8-fixed", [5.0, 10.0, 20.0])])
    def test_blocks_grow_until_a_success(self, name: str, pauses: list[float]):
        strategy = told(name, [(50, 0), (0, 5)])
        now = 0.0
        for pause in pauses:
            limit(strategy, 0, now=now)
            assert choose(strategy, now=now + pause - 0.01) == 1
            assert choose(strategy, now=now + pause) == 0
            now += pause
        strategy.update(arm=0, outcome=Outcome.OK, now=now, attempt=0, latency=0.001)
        limit(strategy, 0, now=now)
        assert choose(strategy, now=now + pauses[0]) == 0

    def test_a_failure_resets_nothing(self):
        strategy = told("v8", [(50, 0), (0, 5)])
        limit(strategy, 0, now=0.0)
        strategy.update(arm=0, outcome=Outcome.ERROR, now=1.0, attempt=0, latency=0.001)
        limit(strategy, 0, now=2.0)
        assert choose(strategy, now=21.9) == 1


class TestBaselines:
    def test_random_is_uniform_over_what_was_not_tried(self):
        found = shares(told("random", [(0, 9), (9, 0), (0, 0), (1, 1)], seed=4), tried=(1,))
        assert found.keys() == {0, 2, 3}
        assert all(share == pytest.approx(1 / 3, abs=0.04) for share in found.values())

    def test_round_robin_goes_on_where_it_was(self):
        strategy = create("round-robin", arms=4)
        assert [choose(strategy) for _ in range(5)] == [0, 1, 2, 3, 0]
        assert choose(strategy, tried=(1, 2)) == 3
        assert strategy.select(now=0.0, attempt=0, tried=(), available=(1, 2)) == 1
        assert choose(strategy) == 2


def test_kl_ucb_bounds_are_roots_of_the_divergence():
    draw = random.Random(3)
    for _ in range(3000):
        pulls = draw.choice([1, 2, 7, 100, 10_000])
        mean, radius = draw.randint(0, pulls) / pulls, 10 ** draw.uniform(-6, 1.7)
        bound = upper_bound(mean, radius)
        assert mean <= bound <= 1
        assert divergence(mean, max(mean, bound - 1e-7)) <= radius
        assert bound > 1 - 1e-7 or divergence(mean, bound + 1e-7) > radius


def test_kl_ucb_takes_the_first_of_the_largest_bounds():
    draw = random.Random(4)
    for _ in range(200):
        counts = [(draw.randint(0, 9), draw.randint(1, 9)) for _ in range(6)]
        counts.append(counts[0])
        log_t = math.log(sum(map(sum, counts)))
        budget = log_t + 3 * math.log(log_t)
        bounds = [upper_bound(good / (good + bad), budget / (good + bad)) for good, bad in counts]
        chosen = told("kl-ucb", counts).select(now=0.0, attempt=0, tried=(), available=range(len(counts)))
        assert chosen == bounds.index(max(bounds))


@pytest.mark.parametrize("name", ["bwk-primal-dual", "blog-primal-dual"])
def test_bounds_are_kept_until_an_attempt_only(name: str):
    strategy = told(name, [(20, 0), (0, 20)])
    assert strategy.select(now=0.0, attempt=0, tried=(), available=range(2)) == 0
    for arm, outcome in [(0, Outcome.ERROR), (1, Outcome.OK)] * 100:
        strategy.update(arm=arm, outcome=outcome, now=0.0, attempt=0, latency=0.001)
    assert strategy.select(now=0.0, attempt=0, tried=(), available=range(2)) == 1


@pytest.mark.parametrize("name", ["bwk-primal-dual", "blog-primal-dual"])
def test_bounds_are_forgotten_when_a_state_is_restored(name: str):
    state = told(name, [(0, 20), (20, 0)]).snapshot()
    strategy = told(name, [(20, 0), (0, 20)])
    assert strategy.select(now=0.0, attempt=0, tried=(), available=range(2)) == 0
    strategy.restore(state)
    assert strategy.select(now=0.0, attempt=0, tried=(), available=range(2)) == 1
