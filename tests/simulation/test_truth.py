"""The stand-in's own truth: its world admits and accepts as the program does."""

import json
import random
import subprocess
import time

import pytest

from bandit_runner.errors import UsageError
from bandit_runner.flakyservers.build import build
from bandit_runner.model import UNKNOWN, Outcome, Scoring
from bandit_runner.simulation.truth import Jumps, ListedInflow, TrueWorld, clairvoyant_score, pace, read


@pytest.fixture(scope="module")
def told() -> dict:
    """What the real program tells, with hard limits."""
    command = [build(), "-truth", "-", "-limits", "hard", "-seed", "5", "-host", "127.0.0.9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        process.kill()
    return json.loads(line)


@pytest.mark.once
def test_the_programs_truth_is_read(told: dict):
    truth = read(told)
    assert len(truth.servers) == 30
    assert {server.tier for server in truth.servers} == {"T1", "T2", "T3"}
    assert all(server.limit is None for server in truth.servers if server.tier == "T1")


@pytest.mark.once
def test_a_clairvoyant_does_better_than_the_best_server_alone(told: dict):
    truth = read(told)
    score = clairvoyant_score(truth, "T1", requests=100, rps=10, began=truth.started + 60, scoring=Scoring())
    best = max(server.success_rate for server in truth.servers if server.tier == "T1")
    assert 100 * (1 - (1 - best) ** 3) - 1.5 < score <= 100
    assert clairvoyant_score(truth, "T9", requests=100, rps=10, began=0, scoring=Scoring()) == UNKNOWN


@pytest.mark.once
def test_limits_admit_what_their_rate_allows(told: dict):
    truth = read(told)
    servers = tuple(server for server in truth.servers if server.tier == "T2")
    world = TrueWorld(servers, rps=10, offset=12.5, seed=1)
    for arm, server in enumerate(servers):
        admitted = sum(world.answer(arm, n * 0.01) is not Outcome.RATE_LIMITED for n in range(6000))
        assert admitted == pytest.approx(server.limit.burst + 60 * server.limit.rate.mean, abs=2.5)


def test_jumps_flow_as_the_program_counts_them():
    jumps = Jumps(levels=(4.0, 0.3), stays=(1.0, 2.0, 0.5, 3.0))
    inflow = ListedInflow(jumps, 0.0)
    step = 0.001
    counted = 0.0
    for n in range(20_000):
        now = (n + 0.5) * step % 6.5
        counted += step * (4.0 if now < 1.0 or 3.0 <= now < 3.5 else 0.3)
    assert inflow.total(20.0) - inflow.total(0.0) == pytest.approx(counted, abs=0.01)
    shifted = ListedInflow(jumps, 7.25)
    draw = random.Random(1)
    for _ in range(100):
        moment = draw.uniform(0, 50)
        assert shifted.total(moment) - shifted.total(0) == pytest.approx(
            inflow.total(moment + 7.25) - inflow.total(7.25)
        )


@pytest.mark.once
def test_a_quick_answer(told: dict):
    before = time.process_time()
    clairvoyant_score(read(told), "T3", requests=100, rps=10, began=told["started"], scoring=Scoring())
    assert time.process_time() - before < 3


@pytest.mark.once
@pytest.mark.parametrize(
    "change",
    [{"schema": "other"}, {"servers": [{"tier": "T1"}]}, {"started": "soon"}, {"started": -1.7e308},
     {"started": "nan"}, {"started": "inf"},
     {"servers": [{"tier": "T1", "port": 4000, "success_rate": 0.5, "limit": None}] * 31},
     {"servers": [{"tier": "T1", "port": 4000, "success_rate": 2, "limit": None}]}],
)  # fmt: skip
def test_what_is_no_truth_is_refused(told: dict, change: dict):
    with pytest.raises(UsageError):
        read({**told, **change})


@pytest.mark.parametrize("started", [0, 1e11])
@pytest.mark.parametrize("number", [1e-6, 1e6])
@pytest.mark.parametrize("shape", ["constant", "sinusoid", "jumps"])
def test_any_truth_that_is_read_comes_to_a_score(shape: str, number: float, started: float):
    """A program that told a start before all time once cost the whole table, after the last id."""
    swing = {"mean": number, "amplitude": 1, "period": number, "phase": -1000}
    rate = {"shape": shape, **({"levels": [number, number], "stays": [number, number]} if shape == "jumps" else swing)}
    server = {"tier": "T1", "port": 4000, "success_rate": 1, "limit": {"burst": 1_000_000, "rate": rate}}
    truth = read({"schema": "flakyservers.truth/1", "started": started, "servers": [server]})
    assert clairvoyant_score(truth, "T1", requests=10, rps=10, began=1e9, scoring=Scoring()) == 10


def test_a_game_that_took_longer_is_measured_at_its_own_pace():
    assert pace(60, 2.0, 30.0) == 30.0
    assert pace(60, 1.9, 30.0) == 30.0, "the last id does not wait for a next one"
    assert pace(60, 6.0, 30.0) == 10.0
    assert pace(5, 0.0, 30.0) == pace(5, -3600.0, 30.0) == 30.0, "a clock was set"
