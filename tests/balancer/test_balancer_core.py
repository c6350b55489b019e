"""One id's life without sockets: who is asked what, in which order, and when it ends."""

import math
from collections.abc import Callable, Iterable

import pytest
from balancing import ID, Scripted

from bandit_runner.balancer.connection import Reply
from bandit_runner.balancer.core import Broken, Pause, Result, Rules, Try, play
from bandit_runner.errors import UsageError
from bandit_runner.model import Outcome, Scoring
from bandit_runner.strategies import STOP, Wait

OK, ERROR, LIMITED = Reply(Outcome.OK), Reply(Outcome.ERROR), Reply(Outcome.RATE_LIMITED, retry_after=7.0)


def life(
    strategy: Scripted,
    results: Iterable[Result],
    *,
    rules: Rules | None = None,
    took: float = 0.25,
    wanted: Callable[[], bool] = lambda: True,
):
    """Play one id on a clock that moves by ``took`` per attempt and by each pause: (steps, record)."""
    time = [100.0]
    steps = play(
        ID,
        tier="T1",
        strategy=strategy,
        rules=rules or Rules(scoring=Scoring(max_attempts=5), attempt_timeout=1.0, deadline=10.0),
        arms=lambda: range(3),
        wanted=wanted,
        clock=lambda: time[0],
    )
    pending, seen, sent = iter(results), [], None
    while True:
        try:
            step = steps.send(sent)
        except StopIteration as end:
            return seen, end.value
        seen.append(step)
        if not isinstance(step, Broken):
            time[0] += step.seconds if isinstance(step, Pause) else min(took, step.timeout)
        sent = next(pending) if isinstance(step, Try) else None


def test_strategy_hears_everything_in_order():
    strategy = Scripted([2, 0, 1])
    steps, record = life(strategy, [ERROR, LIMITED, OK])
    assert [step.arm for step in steps] == [2, 0, 1]
    assert strategy.events == [
        ("select", 0, ()),
        ("update", 2, "error", 0, None),
        ("select", 1, (2,)),
        ("update", 0, "rate_limited", 1, 7.0),
        ("select", 2, (2, 0)),
        ("update", 1, "ok", 2, None),
        ("finish", True, 3),
    ]
    assert (record.accepted, record.attempts, record.latency) == (True, 3, 0.75)
    assert record.outcomes == (Outcome.ERROR, Outcome.RATE_LIMITED, Outcome.OK)
    assert [(t.number, t.arm, t.started, t.latency) for t in record.trials] == [
        (0, 2, 100.0, 0.25),
        (1, 0, 100.25, 0.25),
        (2, 1, 100.5, 0.25),
    ]


def test_stop_before_the_first_attempt():
    strategy = Scripted([STOP])
    steps, record = life(strategy, [])
    assert steps == []
    assert (record.accepted, record.attempts, record.outcomes) == (False, 0, ())
    assert strategy.events[-1] == ("finish", False, 0)


def test_never_more_than_max_attempts():
    steps, record = life(Scripted([0] * 99), [ERROR] * 99)
    assert len(steps) == record.attempts == 5


def test_wait_is_no_attempt():
    strategy = Scripted([Wait(2.0), 1])
    steps, record = life(strategy, [OK])
    assert steps == [Pause(2.0), Try(1, 1.0)]
    assert (record.attempts, record.latency) == (1, 2.25)
    assert [event for event in strategy.events if event[0] == "select"] == [("select", 0, ()), ("select", 0, ())]


def test_wait_is_capped_by_the_deadline():
    steps, record = life(Scripted([Wait(math.inf), 1]), [OK])
    assert steps == [Pause(10.0)]
    assert (record.accepted, record.attempts) == (False, 0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, -math.inf])
def test_wait_of_nothing_for_ever_ends(seconds: float):
    steps, record = life(Scripted([Wait(seconds)] * 20_000), [])
    assert set(steps[:-1]) == {Pause(0.001)}
    assert 9_000 < len(steps) < 10_010
    assert not record.accepted


def test_deadline_cuts_the_last_attempt_short():
    rules = Rules(scoring=Scoring(max_attempts=10), attempt_timeout=1.0, deadline=2.5)
    steps, record = life(Scripted([0] * 9), [Reply(Outcome.TIMEOUT)] * 9, rules=rules, took=9.0)
    assert [step.timeout for step in steps] == [1.0, 1.0, 0.5]
    assert record.outcomes == (Outcome.TIMEOUT,) * 3


def test_nobody_waits_for_it_any_more():
    answers = iter([True, False])
    strategy = Scripted([0, 0])
    steps, record = life(strategy, [ERROR], wanted=lambda: next(answers))
    assert len(steps) == record.attempts == 1
    assert strategy.events[-1] == ("finish", False, 1)


@pytest.mark.parametrize("choice", [3, -1, None, "0"])
def test_arm_that_was_not_offered(choice: object):
    steps, record = life(Scripted([1, choice]), [ERROR])
    error = steps[-1].error
    assert isinstance(error, UsageError)
    assert "scripted chose arm" in str(error)
    assert "strategy" in error.hint
    assert [trial.arm for trial in record.trials] == [1], "an attempt that was made counts"
    assert not record.accepted


def test_an_attempt_counts_whatever_the_strategy_makes_of_it():
    class Deaf(Scripted):
        def update(self, **_: object):
            raise ValueError("what?")

    steps, record = life(Deaf([2, 1]), [ERROR])
    assert isinstance(steps[-1], Broken)
    assert [trial.arm for trial in record.trials] == [2]
    assert not record.accepted
