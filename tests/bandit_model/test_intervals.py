import random
import statistics

import pytest

from bandit_runner.intervals import difference, estimate, runs_needed, student


@pytest.mark.parametrize(
    ("freedom", "table"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (9, 2.2622), (29, 2.0452), (199, 1.9720)],
)
def test_students_points_are_those_of_the_tables(freedom: int, table: float):
    assert student(freedom) == pytest.approx(table, rel=3e-3)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth():
    draw = random.Random(1)
    held = 0
    for _ in range(2000):
        found = estimate([draw.gauss(7, 3) for _ in range(5)])
        held += found.low <= 7 <= found.high
    assert 0.94 < held / 2000 < 0.96


def test_one_run_has_no_interval():
    assert estimate([3.0]).low is None
    with pytest.raises(statistics.StatisticsError):
        estimate([])


def test_pairs_take_out_the_luck_of_the_draw():
    draw = random.Random(2)
    servers = [draw.uniform(50, 100) for _ in range(40)]
    worse = [luck - draw.gauss(1, 0.5) for luck in servers]
    found = difference(servers, worse)
    assert found.told_apart
    assert found.runs_needed == 0
    assert not difference(servers, list(reversed(servers))).told_apart


def test_as_many_runs_as_said_do_tell_two_apart():
    draw = random.Random(3)
    wanted = runs_needed(0.5, 3.2)
    assert 300 < wanted < 340
    told = sum(difference([draw.gauss(0.5, 3.2) for _ in range(wanted)], [0.0] * wanted).told_apart for _ in range(300))
    assert 0.72 < told / 300 < 0.88


def test_equals_need_no_number():
    assert difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).runs_needed is None
    assert difference([1.0], [0.0]).runs_needed is None
