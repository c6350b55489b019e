"""What `bandit_runner start` leaves in the store, also when it is killed, and going on from there."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bandit_runner.errors import StoreUnusable
from bandit_runner.runs import Store

pytestmark = [
    pytest.mark.once,
    pytest.mark.ports,
    pytest.mark.sandbox,
    pytest.mark.usefixtures("thirty_ports"),
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bandit_runner", *map(str, arguments)]


def start(store: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    pace = () if "--continue" in arguments else ("--rps", 50)
    words = command("start", "--no-dashboard", "--port", 0, "--store", store, *pace, *arguments)
    return subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)


def test_a_session_is_stored_with_its_truth_and_its_sandbox(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    done = start(path, "--requests", 8, "--strategy", "v4", "--json", "--seed", 3)
    assert done.returncode == 0, done.stderr
    rows = {row["tier"]: row for row in json.loads(done.stdout)["rows"]}
    with Store.open(path) as store:
        (session,) = store.sessions()
        runs = store.runs(session.id)
        assert {run.start.tier for run in runs} == {"T1", "T2", "T3"}
        for run in runs:
            assert run.status(time.time()) == "done"
            assert sum(run.tally.accepted) == rows[run.start.tier]["accepted"]
            assert run.tally.rate_limited == rows[run.start.tier]["rate_limited"]
            assert store.state(run)[0] == 8
    assert session.seed == 3
    assert len(session.truth["servers"]) == 30
    assert session.sandbox["enforcement"] == "full"
    assert sum(grant["kind"] == "listen" for grant in session.sandbox["grants"]) == 30


def test_a_killed_session_is_gone_on_with(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    words = command(
        "start",
        "--no-dashboard",
        "--port",
        0,
        "--store",
        path,
        "--rps",
        20,
        "--requests",
        60,
        "--tier",
        "T1",
        "--strategy",
        "v6",
    )
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while _stored(path) < 20 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    before = _stored(path)
    assert 20 <= before < 60
    done = start(path, "--continue")
    assert done.returncode == 0, done.stderr
    assert "those of before as well: bandit_runner compare --session " in done.stderr
    with Store.open(path) as store:
        (run,) = store.runs()
        assert run.tally.requests == 60
        assert run.status(time.time()) == "done"
        assert [each.number for each in store.requests(run)] == list(range(1, 61))
        assert len({each.request.id for each in store.requests(run)}) == 60
    assert "no session was interrupted" in start(path, "--continue").stderr


def test_a_store_that_cannot_be_used_stops_nothing(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    done = start(path, "--requests", 3, "--tier", "T1")
    assert done.returncode == 0, done.stderr
    assert "this session is not recorded" in done.stderr
    assert "T1" in done.stdout


def _stored(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        with Store.open(path) as store:
            return sum(run.tally.requests for run in store.runs())
    except StoreUnusable:  # its tables are being made
        return 0


@contextmanager
def started(store: Path, *arguments: object, code: str = "") -> Iterator[subprocess.Popen[str]]:
    words = command("start", "--no-dashboard", "--port", 0, "--store", store, "--tier", "T1", *arguments)
    if code:
        words[1:3] = ["-c", code]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_table_is_printed_before_the_wait_of_keep(tmp_path: Path):
    """The default at a terminal with a dashboard: whoever plays and keeps it up wants to see what came of it."""
    with started(tmp_path / "runs.sqlite", "--requests", 5, "--rps", 50, "--keep") as process:
        assert process.stdout.readline().startswith("strategy"), process.stderr.read()
        assert process.stdout.readline().startswith("best")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_a_play_that_is_interrupted_says_how_to_go_on(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    with started(path, "--requests", 400, "--rps", 20) as process:
        deadline = time.monotonic() + 60
        while _stored(path) < 5 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
    with Store.open(path) as store:
        (session,) = store.sessions()
    assert f"so far: bandit_runner compare --session {session.id} --store {path}\n" in said
    assert f"go on with it: bandit_runner start --continue --store {path}\n" in said


def kill_servers(process: subprocess.Popen[str], last: str) -> None:
    """End the servers of a command as the kernel does where memory runs out, once it has said ``last``."""
    said = ""
    while last not in said:
        said += process.stderr.readline()
        assert process.poll() is None, said
    os.kill(int(re.search(r"servers pid=(\d+)", said)[1]), signal.SIGKILL)


def test_a_play_whose_servers_end_is_no_success_and_can_be_gone_on_with(tmp_path: Path):
    """Else the ids that came after would count as the strategy's failures, in a table that looks like any other."""
    path = tmp_path / "runs.sqlite"
    told_only = "from bandit_runner.cli import launching, main; launching.LOOK_SECONDS = 99; main()"
    with started(path, "--requests", 40, "--rps", 20, "--strategy", "v6", code=told_only) as process:
        kill_servers(process, "playing")
        table, said = process.communicate(timeout=60)
        assert process.returncode == 1
    assert table == ""
    assert "the servers ended with status 137 by themselves; they said: flakyservers: 30 servers" in said
    assert "go on with it: bandit_runner start --continue" in said
    assert _stored(path) < 40
    done = start(path, "--continue")
    assert done.returncode == 0, done.stderr
    assert _stored(path) == 40


def test_servers_that_end_by_themselves_are_no_success():
    with subprocess.Popen(command("servers"), stderr=subprocess.PIPE, text=True) as process:
        kill_servers(process, "stop them with Ctrl-C")
        assert process.wait(60) == 1
        assert "the servers ended with status 137" in process.stderr.read()


def test_runs_that_only_served_are_done_when_they_are_stopped(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    with started(path, "--serve") as process:
        while "stop it with Ctrl-C" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    with Store.open(path) as store:
        (run,) = store.runs()
        assert run.status(time.time()) == "done"
    assert "no session was interrupted" in start(path, "--continue").stderr
