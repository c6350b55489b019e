"""`bandit_runner balancer` as a process: what it takes of the machine."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bandit_runner.balancer import Limits

BALANCER = [sys.executable, "-m", "bandit_runner", "balancer", "--port", "0", "--upstream", "127.0.0.1:9"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells a process's limits")
def test_a_flood_of_clients_does_not_take_the_sockets_that_ask_servers():
    words = ["sh", "-c", 'ulimit -Sn 256; exec "$@"', "sh", *BALANCER]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr.readline().startswith("balancer http://")
            limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
            (open_files,) = [int(line.split()[3]) for line in limits if line.startswith("Max open files")]
        finally:
            process.terminate()
    bounds = Limits()
    assert open_files > 2 * bounds.connections + bounds.requests + bounds.idle_upstream


LEARNS_OFTEN = "from bandit_runner.cli import balancer, main; balancer.SAVE_SECONDS = 0.05; main()"


def test_a_state_that_cannot_be_kept_for_a_while_ends_nothing(tmp_path: Path):
    folder, away = tmp_path / "learnt", tmp_path / "away"
    folder.mkdir()
    words = [sys.executable, "-c", LEARNS_OFTEN, *BALANCER[3:], "--state", str(folder / "state.json")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr.readline().startswith("balancer http://")
            assert (folder / "state.json").exists(), "where it is to be kept is tried at once"
            folder.rename(away)
            assert "cannot be kept now" in process.stderr.readline()
            folder.mkdir()
            deadline = time.monotonic() + 30
            while not (folder / "state.json").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            process.terminate()
            said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert (folder / "state.json").exists()


def test_a_state_that_can_never_be_kept_is_refused_at_once(tmp_path: Path):
    words = [*BALANCER, "--state", str(tmp_path / "none" / "state.json")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "--state" in done.stderr
    assert "balancer http" not in done.stderr
