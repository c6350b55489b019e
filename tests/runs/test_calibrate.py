"""Logs of servers whose truth we know: what is there must be found, and nothing else."""

import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from bandit_runner.errors import UsageError
from bandit_runner.runs.calibrate import _at_most, _period, calibrate
from bandit_runner.runs.csvs import CsvRun, Line

FIRST = {"T1": 4000, "T2": 5000, "T3": 6000}


def logs(
    tier: str,
    *,
    runs: int,
    seed: int,
    redraw: bool = False,
    session: str = "s",
    ids: int = 100,
    limit: Callable[[float], bool] = lambda _: False,
    swing: Callable[[float], float] = lambda _: 1.0,
) -> list[CsvRun]:
    """A player that mixes trying around with the best it knows, and from the fourth attempt on repeats the best."""
    draw = random.Random(seed)
    rates = [draw.uniform(0.28, 0.98) for _ in range(10)]
    found = []
    for number in range(runs):
        if redraw:
            rates = [draw.uniform(0.28, 0.98) for _ in range(10)]
        best = max(range(10), key=rates.__getitem__)
        begin = 1_768_998_000.0 + 20 * number
        last: dict[int, float] = {}
        lines: list[Line] = []
        for request in range(1, ids + 1):
            now = begin + request * 0.1
            for attempt in range(1, 7):
                arm = best if attempt > 3 or draw.random() < 0.4 else draw.randrange(10)
                refused = limit(now - last.get(arm, -math.inf))
                last[arm] = now
                won = not refused and draw.random() < rates[arm] * swing(now)
                lines.append(
                    Line(
                        session_id=session,
                        tier=tier,
                        request_number=request,
                        attempt_number=attempt,
                        request_id=f"{request:024d}",
                        strategy="v4",
                        timestamp=now,
                        server_port=FIRST[tier] + arm,
                        success=won,
                        rate_limited=None,
                        latency_ms=1.0,
                        complete=won,
                    )
                )
                now += 0.0012
                if won:
                    break
        found.append(CsvRun(name=f"{tier}-{seed}-{number}", lines=tuple(lines)))
    return found


def hurried(gap: float) -> bool:
    return gap < 0.05  # a bucket of 20/s with burst 1


@pytest.mark.parametrize("seed", range(4))
def test_one_start_is_told_from_a_start_per_run(seed: int):
    once = calibrate(logs("T1", runs=5, seed=seed)).series
    anew = calibrate(logs("T1", runs=5, seed=seed, redraw=True)).series
    assert [series.redrawn for series in once] == [False]
    assert [series.redrawn for series in anew] == [True]
    assert len(once[0].starts) == 1
    assert len(anew[0].starts) == 5


@pytest.mark.parametrize("seed", range(4))
def test_a_limit_on_hurried_hits_is_found_where_it_is(seed: int):
    files = [
        *logs("T1", runs=5, seed=seed),
        *logs("T2", runs=5, seed=seed, limit=hurried),
        *logs("T3", runs=5, seed=seed),
    ]
    found = calibrate(files)
    (limit,) = found.limits
    assert limit.tier == "T2"
    assert limit.refused_ms <= 50 <= limit.free_ms


@pytest.mark.parametrize("seed", range(4))
def test_no_period_is_seen_where_there_is_none(seed: int):
    found = calibrate([*logs("T2", runs=5, seed=seed, limit=hurried), *logs("T3", runs=5, seed=seed)])
    assert found.periods
    assert not found.periodic


def test_a_period_is_seen_where_there_is_one():
    swinging = logs("T3", runs=2, seed=1, ids=400, swing=lambda t: 0.5 + 0.5 * math.sin(2 * math.pi * t / 9))
    found = calibrate(swinging)
    assert found.periodic
    assert min(found.periods, key=lambda each: each.p).seconds == pytest.approx(9, rel=0.3)


def test_a_slow_period_is_seen_in_a_long_log():
    """Frequencies were 240 up to five a second, however long the log: this period fell between two of them."""
    draw = np.random.default_rng(1)
    time = np.sort(draw.uniform(0, 900, 700))
    ok = (draw.random(700) < 0.6 + 0.3 * np.sin(2 * math.pi * time / 60)).astype(float)
    found = _period("T1", 4000, time, ok, draw)
    assert found.p < 0.001
    assert found.seconds == pytest.approx(60, rel=0.02)


def test_so_few_of_so_many_takes_no_longer_for_a_long_log():
    chances = np.repeat([0.5, 0.9], 200_000)
    assert _at_most(280_000, chances) == pytest.approx(0.5, abs=0.01)
    assert _at_most(1, np.array([0.5, 0.25])) == pytest.approx(1 - 0.125)
    assert _at_most(0, np.array([])) == 1


def test_one_log_does_not_agree_with_itself():
    (log,) = logs("T1", runs=1, seed=1)
    with pytest.raises(UsageError, match="two logs are called"):
        calibrate([log, log])


def test_rates_hold_the_truth():
    draw = random.Random(3)
    truth = [draw.uniform(0.28, 0.98) for _ in range(10)]
    (series,) = calibrate(logs("T1", runs=8, seed=3)).series
    (start,) = series.starts
    inside = sum(rate.low <= truth[rate.port - 4000] <= rate.high for rate in start.rates)
    assert inside >= 8


def test_logs_without_sessions_are_grouped_by_when_they_ran():
    early = logs("T1", runs=2, seed=1, session="")
    late = [
        CsvRun(name=f"late-{run.name}", lines=tuple(_later(line) for line in run.lines))
        for run in logs("T1", runs=2, seed=2, session="")
    ]
    assert [len(series.runs) for series in calibrate([*early, *late]).series] == [2, 2]


def _later(line: Line) -> Line:
    import msgspec

    return msgspec.structs.replace(line, timestamp=line.timestamp + 3600)


def test_the_same_logs_say_the_same():
    files = logs("T2", runs=3, seed=5, limit=hurried)
    assert calibrate(files) == calibrate(list(reversed(files)))


def test_no_log_says_nothing():
    with pytest.raises(UsageError):
        calibrate([])
