"""What our own strategy learns of servers and what it makes of it, against servers whose rules are known here."""

import base64
import math
import random
from typing import Any

import numpy as np
import pytest

from bandit_runner.errors import StateMismatch
from bandit_runner.model import SCORINGS, Scoring
from bandit_runner.strategies import STOP, Choice, Outcome, Strategy, Wait, create
from bandit_runner.strategies.best_memory import BestMemory
from bandit_runner.strategies.prices import prices
from bandit_runner.strategies.quality import Quality
from bandit_runner.strategies.strain import RATES, SPANS
from bandit_runner.strategies.waits import resumed


def tell(strategy: Strategy, arm: int, outcome: Outcome, now: float, **more: float) -> None:
    strategy.update(arm=arm, outcome=outcome, now=now, attempt=0, latency=0.001, **more)


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


def play_on_tired_servers(strategy: Strategy, first: int, last: int) -> list[Choice]:
    """Ten ids a second on servers that answer errors, not 429, unless they have rested for most of a second."""
    asked, chosen = dict.fromkeys(range(10), -1.0), list[Choice]()
    for tenth in range(first, last):
        now = tenth / 10
        arm = strategy.select(now=now, attempt=0, tried=(), available=range(10))
        chosen.append(arm)
        if isinstance(arm, int):
            tell(strategy, arm, Outcome.OK if now - asked[arm] > 0.85 else Outcome.ERROR, now)
            asked[arm] = now
    return chosen


@pytest.mark.parametrize("seed", range(4))
def test_servers_that_fail_when_they_are_asked_again_soon_get_their_rest(seed: int):
    strategy = create("best", arms=10, seed=seed, patience=0.0)
    play_on_tired_servers(strategy, 0, 200)
    chosen = play_on_tired_servers(strategy, 200, 300)
    rested = sum(arm not in chosen[max(0, at - 8) : at] for at, arm in enumerate(chosen))
    assert rested > 45, "where rests are not learned it is 14 to 25"
    other = create("best", arms=10, seed=9, patience=0.0)
    other.restore(strategy.snapshot())
    assert play_on_tired_servers(other, 300, 330) == play_on_tired_servers(strategy, 300, 330)


def test_a_state_that_knows_nothing_of_load_is_gone_on_with():
    """Those of older versions: some remember rests instead."""
    strategy = create("best", arms=10, seed=1, patience=0.0)
    play_on_tired_servers(strategy, 0, 200)
    state = strategy.snapshot()
    state["memory"]["strain"] = None
    state["memory"]["quality"] += [[0.0] * 10, [10.0, 10.0]]
    strategy.restore(state)
    assert strategy._quality.strain.pack() == Quality(10).strain.pack()
    assert max(strategy._quality.means()) > 0.3


def play_on_overloaded_servers(strategy: Strategy, seed: int) -> int:
    """How many of 400 ids, ten a second, are accepted by servers that accept nothing while they are asked too much."""
    luck = random.Random(seed)
    rates, borne = ([luck.uniform(*ends) for _ in range(10)] for ends in ((0.28, 0.98), (1.5, 5.0)))
    loads, asked, accepted = [0.0] * 10, [0.0] * 10, 0
    for number in range(400):
        now, tried, outcome = number / 10, list[int](), None
        while outcome is not Outcome.OK and len(tried) < 3:
            arm = strategy.select(now=now, attempt=len(tried), tried=tried, available=range(10))
            assert isinstance(arm, int)
            load = loads[arm] * math.exp(asked[arm] - now)  # attempts of the last second, about
            loads[arm], asked[arm] = load + 1, now
            outcome = Outcome.OK if load < borne[arm] and luck.random() < rates[arm] else Outcome.ERROR
            now += 0.001
            strategy.update(arm=arm, outcome=outcome, now=now, attempt=len(tried), latency=0.001)
            tried.append(arm)
        accepted += outcome is Outcome.OK
    return accepted


def test_servers_that_fail_when_they_are_asked_too_much_share_the_load():
    """Of 2,400 ids round robin has 2,265 accepted, and 1,730 are where load is not learned."""
    found = {
        name: sum(play_on_overloaded_servers(create(name, arms=10, seed=seed, **more), seed) for seed in range(6))
        for name, more in (("best", {"patience": 0.0}), ("round-robin", {}))
    }
    assert found["best"] > found["round-robin"] + 20


@pytest.mark.parametrize("lowest", [0.0, 0.3])
def test_what_fails_by_chance_is_not_put_down_to_load(lowest: float):
    """Some are asked far more than others; with a lowest rate of 0 most never succeed, at any load."""
    luck, quality, mattered = random.Random(1), Quality(10), 0
    for tenth in range(1500):
        arm = min(luck.randrange(10), luck.randrange(10))
        quality.advance(tenth / 10)
        quality.observe(arm, accepted=luck.random() < max(lowest, 0.9 - 0.3 * arm))
        quality.strain.weigh()
        mattered += quality.strain.matters
    assert mattered < 300


def test_what_is_known_of_load_is_as_good_after_a_restart():
    strategy = create("best", arms=10, seed=1, patience=0.0)
    play_on_overloaded_servers(strategy, 1)
    state = strategy.snapshot()
    other: Any = create("best", arms=10, seed=2, patience=0.0)
    other.restore(state)
    known, again = strategy._quality.strain, other._quality.strain
    assert known.matters
    assert [again.worth(arm, 41.0) for arm in range(10)] == [known.worth(arm, 41.0) for arm in range(10)]
    for arm in range(10):  # a clock that started again: nobody has been asked since
        assert again.worth(arm, 1.0) == pytest.approx(known.worth(arm, 1000.0))


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
    assert not strategy._opens[0] > 86_400


def json_is_plain(strategy: Strategy) -> bool:
    import json

    return bool(json.dumps(strategy.snapshot(), allow_nan=False))


def one_server_with_a_token_a_second(**options: float) -> Strategy:
    strategy = create("best", arms=1, seed=1, **options)
    for second in range(40):
        tell(strategy, 0, Outcome.OK, second)
        for later in (0.001, 0.5):
            tell(strategy, 0, Outcome.RATE_LIMITED, second + later)
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


def test_an_id_is_counted_once_however_many_attempts_it_has():
    strategy = create("best", arms=3, seed=1, patience=0.0)
    for second in range(10):
        for attempt in range(3):
            now = second + attempt / 10
            strategy.select(now=now, attempt=attempt, tried=tuple(range(attempt)), available=range(3))
    assert strategy.memory.arrivals.expected(10.0, ahead=10.0) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("now", [5.0, 1011.0])
def test_an_attempt_that_was_lost_is_forgotten_also_by_a_clock_that_started_again(now: float):
    memory = BestMemory(arms=[], under_way=[[1000.0], [now - 1], []])
    assert memory.still_under_way(now) == [0, 1, 0]


def test_waits_of_clients_that_went_away_are_forgotten():
    strategy = one_server_with_a_token_a_second()
    for i in range(2000):
        strategy.select(now=40.6 + i * 1e-5, attempt=2, tried=(0, 0), available=(0,))
    assert len(strategy.memory.waiting) <= 1024
    tell(strategy, 0, Outcome.OK, 400.0)
    tell(strategy, 0, Outcome.RATE_LIMITED, 400.001)
    strategy.select(now=400.6, attempt=2, tried=(0, 0), available=(0,))
    assert len(strategy.memory.waiting) <= 1


def test_who_was_to_come_back_first_is_taken_for_who_asks_also_after_an_older_state():
    strategy = one_server_with_a_token_a_second()
    state = strategy.snapshot()
    state["memory"]["waiting"] = [{"attempt": 2, "until": until, "waited": until - 40} for until in (40.4, 40.2, 40.3)]
    strategy.restore(state)
    assert resumed(strategy.memory.waiting, 40.25, 2) == pytest.approx(0.2)
    assert resumed(strategy.memory.waiting, 40.25, 2) == 0.0
    assert resumed(strategy.memory.waiting, 40.5, 2) == pytest.approx(0.3)


def test_after_the_free_attempts_it_goes_on_while_that_is_worth_its_penalty():
    for scoring, last in (("statement", STOP), ("blog", 0)):
        strategy = create("best", arms=2, seed=1, scoring=SCORINGS[scoring])
        for second in range(40):
            tell(strategy, 0, Outcome.OK, second)
            tell(strategy, 1, Outcome.ERROR, second)
        assert strategy.select(now=50.0, attempt=3, tried=(1, 1, 1), available=range(2)) is last
        assert strategy.select(now=50.0, attempt=3, tried=(1, 1, 1), available=(1,)) is STOP


def test_after_the_free_attempts_it_waits_where_a_moment_makes_them_worth_more():
    """Else an id whose attempts cost little would spend all of them on servers that have just answered 429."""
    strategy = create("best", arms=1, seed=1, scoring=Scoring(penalty=0.2))
    for quarter in range(100):
        tell(strategy, 0, Outcome.OK, quarter / 4)
        tell(strategy, 0, Outcome.RATE_LIMITED, quarter / 4 + 0.05)
    assert isinstance(strategy.select(now=24.81, attempt=3, tried=(0, 0, 0), available=range(1)), Wait)
    assert strategy.select(now=25.3, attempt=3, tried=(0, 0, 0), available=range(1)) == 0


MEMORY = create("best", arms=2, seed=1).snapshot()["memory"]
LIMITS, STRAIN = MEMORY["limits"], MEMORY["strain"]


def packed(number: float) -> str:
    """That for each guess of either server."""
    return base64.b64encode(np.full(2 * (1 + 2 * len(SPANS) * len(RATES)), number, np.float32).tobytes()).decode()


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
        ("luck", [[0.0], [1.0, 1.0]]),
        ("luck", [[99.0], [1.0, 1.0], [1.0, 1.0]]),
        ("quality", []),
        ("quality", [0.0, [1.0], [1.0], [0.0]]),
        ("quality", [0.0, [1.0, -1.0], [1.0, 1.0], [0.0, 0.0]]),
        ("strain", {}),
        ("strain", {**STRAIN, "asked": [0.0]}),
        ("strain", {**STRAIN, "loads": STRAIN["tried"]}),
        ("strain", {**STRAIN, "seen": STRAIN["seen"] * 2}),
        ("strain", {**STRAIN, "tried": packed(-1.0)}),
        ("strain", {**STRAIN, "rested": packed(0.0)}),
        ("strain", {**STRAIN, "spoken": packed(math.nan)}),
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
            chance = strategy._said(arm, now, strategy._limits.chance(arm, now, strategy._under_way[arm]))
            assert known.most[arm] == pytest.approx(known.gains[arm] * chance)
    assert kept > 2000


def test_attempts_that_cost_more_than_they_win_are_worth_nothing_to_those_before_them():
    """An id may stop: at half a point nobody asks servers that accept three of ten a fourth time."""
    values = prices([0.3, 0.1], lambda _: 10.0, SCORINGS["blog"]).values
    assert values[:3] == [pytest.approx(0.657), pytest.approx(0.51), pytest.approx(0.3)]
    assert set(values[3:]) == {0.0}
