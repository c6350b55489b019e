"""`bandit_runner start` as a whole: thirty servers sandboxed, three tiers played, the table, nothing left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bandit_runner.errors import PortTaken
from bandit_runner.servers.ports import check_free

pytestmark = [
    pytest.mark.ports,
    pytest.mark.sandbox,
    pytest.mark.usefixtures("thirty_ports"),
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

PORTS = [base + n for base in (4000, 5000, 6000) for n in range(10)]
QUICK = ("--no-dashboard", "--requests", "6", "--rps", "100", "--port", "0", "--seed", "7")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bandit_runner", *arguments]


def all_free(seconds: float = 5.0) -> bool:
    """Whether the ports become free: a program's last thread may end a moment after its first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            check_free(PORTS)
        except PortTaken:
            time.sleep(0.02)
        else:
            return True
    return False


@contextmanager
def served(*before: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`start --serve` once the servers are ready, started by ``before``: the process, and the program's own pid."""
    with subprocess.Popen(
        [*before, *command("start", "--serve", "--no-dashboard", "--port", "0")], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            pid = None
            for line in process.stderr:
                if match := re.search(r"servers pid=(\d+) backend=namespaces enforcement=full", line):
                    pid = int(match[1])
                if "ports ready" in line:
                    break
            assert pid is not None
            assert "30 ports ready" in line
            yield process, pid
        finally:
            process.kill()


def ended(pid: int, seconds: float = 5.0) -> bool:
    for _ in range(round(seconds / 0.02) + 1):
        with suppress(FileNotFoundError, ProcessLookupError):
            if "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
                time.sleep(0.02)
                continue
        return True
    return False


def test_three_tiers_are_played_and_the_table_is_printed():
    done = subprocess.run(command("start", *QUICK), capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("T1", "T2", "T3", "accepted", "429s", "p50", "p99", "score"):
        assert word in done.stdout
    assert "denied" not in done.stderr, "a normal run is denied nothing"
    assert all_free()


def test_the_results_as_json():
    arguments = ("start", *QUICK, "--json", "--strategy", "v1", "--strategy", "v4", "--tier", "T2")
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=100, check=False)
    results = json.loads(done.stdout)
    assert results["schema"] == "binsafe.results/1"
    assert [(row["strategy"], row["tier"], row["requests"]) for row in results["rows"]] == [
        ("v1", "T2", 6),
        ("v4", "T2", 6),
    ]
    assert all(-6 < row["regret"] < 60 for row in results["rows"]), "the stand-in tells its truth"


def test_thirty_ports_answer_through_the_sandbox():
    with served() as (_, pid):
        for port in PORTS:
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.0 405")
        assert "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()
        assert Path(f"/proc/{pid}/net/route").read_text() == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_however_it_ends_nothing_is_left(number: int, status: int):
    with served() as (process, pid):
        process.send_signal(number)
        assert process.wait(15) == status
        assert ended(pid)
    assert all_free()


def test_a_hang_up_that_is_ignored_ends_nothing():
    with served("nohup") as (process, pid):
        assert "balancer http" in process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert not ended(pid, seconds=0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 130
    assert all_free()


def test_a_taken_port_is_named_and_nothing_starts():
    with socket.create_server(("127.0.0.1", 5003)):
        done = subprocess.run(command("start", *QUICK), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "port 5003 is taken by" in done.stderr
    assert f"pid {os.getpid()}" in done.stderr
