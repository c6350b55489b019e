"""The same experiment on a Dask cluster: one scheduler and one worker, started as users would."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

pytest.importorskip("distributed", reason="dask.distributed is the extra cluster")


def run(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster on loopback."""
    file = tmp_path / "scheduler.json"
    usual = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    alone = ["--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path)]
    started = [run("distributed.cli.dask_scheduler", *usual, "--port", "0")]
    try:
        end = time.monotonic() + 60
        while not (file.exists() and file.read_text().rstrip().endswith("}")):  # it is there before it is written
            assert time.monotonic() < end
            time.sleep(0.1)
        started.append(run("distributed.cli.dask_worker", *usual, *alone))
        yield json.loads(file.read_text())["address"]
    finally:
        for process in started:
            process.kill()  # nothing of theirs is kept, and a busy worker may take its time to say goodbye
            process.wait()


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bandit_runner", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_a_cluster_changes_nothing_but_where_it_runs(scheduler: str):
    arguments = ("--strategy", "v4", "--scenario", "T2h", "--runs", "22", "--requests", "20")
    here, there = simulate(*arguments), simulate(*arguments, "--cluster", scheduler)
    assert (there.returncode, there.stdout) == (here.returncode, here.stdout)


def test_a_scheduler_that_does_not_answer_is_named_with_a_hint():
    done = simulate("--cluster", "tcp://127.0.0.1:9", "--runs", "1", "--scenario", "T1")
    assert done.returncode == 1
    assert "hint" in done.stderr
    assert "Traceback" not in done.stderr
