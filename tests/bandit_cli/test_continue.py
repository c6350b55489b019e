"""`bandit_runner start --continue`: which session it goes on with, and what may be said beside it."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))
from played import SESSION, many, started

from bandit_runner.cli.recorded import Recorded
from bandit_runner.errors import UsageError
from bandit_runner.harness import Plan
from bandit_runner.harness.recording import catch_up
from bandit_runner.model import Scoring
from bandit_runner.runs import Recorder, Store
from bandit_runner.runs.rows import insert_session
from bandit_runner.strategies import create

PLAN = Plan(strategies=("v4",), tiers=("T1",), requests=100, rps=10.0, scoring=Scoring(), seed=7)


def session(path: Path, name: str, *, at: float, ids: int = 0, **more: object):
    """Store a session of that plan; with ``ids``, one that was broken off after so many."""
    settings = {"plan": msgspec.to_builtins(PLAN), "limits": "calibrated", "binary": None, "serve": False} | more
    stored = msgspec.structs.replace(SESSION, id=name, started=at, settings=settings)
    with Recorder(path, stored) as recorder:
        if not ids:  # as former versions left one that did not start
            insert_session(recorder._connection, stored)
        else:
            recorder.begin(started(session=stored))
            for each in many(ids):
                recorder.record(each)


def test_what_did_not_start_or_only_served_was_not_interrupted(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    session(path, "broken off", at=1.0, ids=20)
    session(path, "served", at=2.0, ids=20, serve=True)
    session(path, "port taken", at=3.0)
    recorded = Recorded(path)
    assert recorded.resume() == (PLAN, "calibrated", None)
    assert {run.start.session for run in recorded.played.values()} == {"broken off"}


def test_servers_of_ones_own_may_be_others_after_a_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The original ones are: a strategy goes on with what it learnt of rates that are no more."""
    path = tmp_path / "runs.sqlite"
    session(path, "stand-in", at=1.0, ids=20)
    recorded = Recorded(path)
    plan, limits, binary = recorded.resume()
    with recorded.session(plan, limits=limits, binary=binary, serve=False):
        assert "new rates" not in capsys.readouterr().err
    session(path, "mine", at=2.0, ids=20, binary="./flakyservers")
    recorded = Recorded(path)
    plan, limits, binary = recorded.resume()
    assert binary == Path("flakyservers")
    assert capsys.readouterr().err == "", "whether its ports are free is still to be seen"
    with recorded.session(plan, limits=limits, binary=binary, serve=False):
        assert "draw new rates at each start" in capsys.readouterr().err


def interrupt(recorded: Recorded, *, after: Callable[[], None] = lambda: None, begun: bool = True):
    """Ctrl-C in a session of that plan, at once or with a run begun."""
    with (
        contextlib.suppress(KeyboardInterrupt),
        recorded.session(PLAN, limits="calibrated", binary=None, serve=False),
    ):
        recorder = recorded.recording.recorder
        if begun:
            recorder.begin(started(session=recorder.session))
        recorder.flush()
        after()
        raise KeyboardInterrupt


def test_what_is_interrupted_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "runs.sqlite"
    interrupt(Recorded(path))
    assert f"go on with it: bandit_runner start --continue --store {path}\n" in capsys.readouterr().err
    assert Recorded(path).resume() == (PLAN, "calibrated", None)


def test_an_end_that_could_not_be_stored_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """As on a full disk: the table has been printed, but the store lacks ids that can be played again."""
    path = tmp_path / "runs.sqlite"
    recorded = Recorded(path)
    with recorded.session(PLAN, limits="calibrated", binary=None, serve=False):
        recorder = recorded.recording.recorder
        recorder.begin(started(session=recorder.session))
        recorder.flush()
        recorder._connection.execute("PRAGMA query_only = 1")
        for each in many(10):
            recorder.record(each)
    said = capsys.readouterr().err
    assert "10 requests could not be stored" in said
    assert f"so far: bandit_runner compare --session {recorder.session.id} --store {path}\n" in said
    assert f"go on with it: bandit_runner start --continue --store {path}\n" in said


@pytest.mark.parametrize("case", ["deleted", "not begun"])
def test_what_is_interrupted_and_cannot_be_gone_on_with_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
):
    path = tmp_path / "runs.sqlite"
    interrupt(Recorded(path), after=path.unlink if case == "deleted" else lambda: None, begun=case == "deleted")
    said = capsys.readouterr().err
    assert "stopped; nothing of it is stored, so there is nothing to go on with\n" in said
    assert "--continue" not in said


def test_a_start_that_is_refused_leaves_no_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "runs.sqlite"
    with pytest.raises(UsageError), Recorded(path).session(PLAN, limits="calibrated", binary=None, serve=False):
        raise UsageError("a port is taken", hint="choose another")
    with Store.open(path) as store:
        assert store.sessions() == []
    assert capsys.readouterr().err == ""


def test_where_nothing_began_there_is_nothing_to_go_on_with(tmp_path: Path):
    session(tmp_path / "runs.sqlite", "port taken", at=1.0)
    with pytest.raises(UsageError, match="no session was interrupted"):
        Recorded(tmp_path / "runs.sqlite").resume()


def test_a_plan_of_another_version_is_no_fault_of_the_program(tmp_path: Path):
    session(tmp_path / "runs.sqlite", "later", at=1.0, ids=20, plan={"strategies": "v4"})
    with pytest.raises(UsageError, match="session later was not planned by this version"):
        Recorded(tmp_path / "runs.sqlite").resume()


@pytest.mark.parametrize("words", [["--requests", "100"], ["--serve"]])
def test_what_was_planned_is_not_to_be_told_anew(tmp_path: Path, words: list[str]):
    """Also where it says the same: who types it expects that it counts."""
    session(tmp_path / "runs.sqlite", "broken off", at=1.0, ids=20)
    command = [sys.executable, "-m", "bandit_runner", "start", "--continue", "--store", str(tmp_path / "runs.sqlite")]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"leave out {words[0]}" in done.stderr


def test_a_state_of_another_version_leaves_nothing_of_a_run_untold(tmp_path: Path):
    path, requests = tmp_path / "runs.sqlite", many(10)
    start = started()
    with Recorder(path, SESSION) as recorder:
        recorder.begin(start)
        for each in requests:
            recorder.record(each)
        recorder.state(start.tier, {"strategy": "of another version"})
    strategy = create("v4", arms=10, seed=1)
    with Store.open(path) as store:
        (run,) = store.runs()
        assert store.state(run) is not None
        catch_up(strategy, store, run, zero=start.clock_zero)
    assert sum(arm.pulls for arm in strategy.memory.arms) == sum(each.attempts for each in requests)
