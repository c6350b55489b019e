"""What limiters admit, against their definitions."""

import math
import random

import pytest

from bandit_runner.simulation import scenario as data
from bandit_runner.simulation.limiters import (
    NEVER,
    Bucket,
    Inflow,
    JumpingInflow,
    Limiter,
    SinusoidInflow,
    Sliding,
    Window,
    make,
)


def admitted(limiter: Limiter, times: list[float]) -> list[float]:
    return [time for time in times if limiter.take(time)]


def test_a_bucket_starts_full_and_a_rejection_takes_nothing():
    bucket = Bucket(2, Inflow(1.0))
    assert admitted(bucket, [0.0, 0.0, 0.0, 0.5, 0.9, 1.0, 1.5, 2.0]) == [0.0, 0.0, 1.0, 2.0]


def test_a_bucket_holds_no_more_than_its_burst():
    bucket = Bucket(3, Inflow(10.0))
    assert len(admitted(bucket, [100.0] * 10)) == 3


def test_looking_often_at_a_bucket_changes_nothing():
    times = [i * 0.37 for i in range(200)]
    often, seldom = Bucket(1, Inflow(1.3)), Bucket(1, Inflow(1.3))
    found = []
    for time in times:
        for step in range(5):
            often.ready(time - 0.3 + step * 0.06)
        if often.take(time):
            found.append(time)
    assert found == admitted(seldom, times)


def test_an_inflow_is_the_integral_of_its_rate():
    inflow = SinusoidInflow(2.0, 0.9, 10.0, 1.0)
    steps = 20_000
    numeric = sum(
        2.0 * (1 + 0.9 * math.sin(2 * math.pi * (i + 0.5) * 7 / steps / 10 + 1)) * 7 / steps for i in range(steps)
    )
    assert inflow.total(7.0) - inflow.total(0.0) == pytest.approx(numeric, rel=1e-6)


def test_jumps_dwell_as_long_as_they_should_and_are_the_same_whenever_one_looks():
    inflow = JumpingInflow((4.0, 0.3), 8.0, random.Random(1))
    assert inflow.total(400_000.0) / 400_000.0 == pytest.approx(2.15, rel=0.03)
    other = JumpingInflow((4.0, 0.3), 8.0, random.Random(1))
    assert [other.total(float(time)) for time in range(100)] == [inflow.total(float(time)) for time in range(100)]


def test_a_window_opens_again_at_its_own_time():
    window = Window(10.0, 2, phase=4.0)
    assert admitted(window, [0.0, 1.0, 2.0, 5.9, 6.0, 6.1, 6.2, 16.0]) == [0.0, 1.0, 6.0, 6.1, 16.0]


def test_a_sliding_window_has_no_edge_to_exploit():
    sliding = Sliding(10.0, 2)
    assert admitted(sliding, [9.0, 9.5, 10.5, 18.9, 19.0, 19.2, 19.5]) == [9.0, 9.5, 19.0, 19.5]


KINDS = [
    data.TokenBucket(rate=(0.8, 3.2), burst=(1, 4)),
    data.Sinusoid(rate=(0.8, 3.2), burst=(1, 4), amplitude=0.9, period=(8, 40)),
    data.Jumping(high=4, low=0.3, burst=(1, 3), dwell=8),
    data.FixedWindow(seconds=10, limit=(8, 32)),
    data.SlidingWindow(seconds=5, limit=(2, 9)),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_capacity_is_never_exceeded_and_ready_tells_the_truth(kind: data.Limit):
    luck = random.Random(3)
    for _ in range(30):
        limiter = make(kind, luck)
        assert limiter is not None
        most, count, now = limiter.capacity(0.0, 30.0), 0, 0.0
        while now <= 30.0:
            ready = limiter.ready(now)
            taken = limiter.take(now)
            assert ready == taken
            count += taken
            now += luck.expovariate(10.0)
        assert 0 < count <= most + 1e-6


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_it_opens_when_it_says_and_not_before(kind: data.Limit):
    limiter = make(kind, random.Random(4))
    assert limiter is not None
    while limiter.take(1.0):
        pass
    opens = limiter.opens(1.0)
    assert not limiter.ready(opens - 0.01)
    assert limiter.ready(opens)


def test_what_never_opens_is_said_to_open_far_off():
    dry = make(data.TokenBucket(rate=0, burst=1), random.Random(1))
    assert dry is not None
    assert dry.take(1.0)
    assert dry.opens(1.0) == 1.0 + NEVER


def test_no_limit_is_none():
    assert make(data.NoLimit(), random.Random(1)) is None
