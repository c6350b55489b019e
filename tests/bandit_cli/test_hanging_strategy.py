"""A strategy of one's own that does not come back: a signal ends the command all the same, within seconds."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HANGING = """
import itertools, resource, sys, time
from bandit_runner.cli import main, stopping
from bandit_runner.strategies import STRATEGIES
from bandit_runner.strategies.uniform import Uniform

stopping.PATIENCE, stopping.BLOCKED = 0.2, 2.0
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))  # where the test fails nobody else ends it

class Hangs(Uniform):
    name = "hangs"

    def _choose(self, now, attempt, fresh, usable):
        for turn in itertools.count():
            if turn == 0:
                print("hangs", file=sys.stderr, flush=True)
            try:
                {work}
            except {caught}:
                pass

STRATEGIES["hangs"] = Hangs
main()
"""


def hanging(caught: str, *arguments: str, work: str = "pass") -> list[str]:
    return [sys.executable, "-c", HANGING.format(caught=caught, work=work), *arguments]


@pytest.mark.parametrize(
    ("number", "caught", "work"),
    [
        (signal.SIGTERM, "()", "pass"),
        pytest.param(signal.SIGTERM, "()", "time.sleep(99)", marks=pytest.mark.endurance),
        pytest.param(signal.SIGINT, "BaseException", "sum(range(10**6))", marks=pytest.mark.endurance),
    ],
)
def test_a_signal_ends_the_balancer(number: int, caught: str, work: str, tmp_path: Path):
    in_order, state = caught == "()", tmp_path / "state.json"
    options = ("--upstream", "127.0.0.1:9", "--port", "0", "--state", str(state))
    command = hanging(caught, "balancer", "--strategy", "hangs", *options, work=work)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        address = process.stderr.readline().split("http://")[1].split("/")[0].split(":")
        state.unlink()
        with socket.create_connection(address, timeout=30) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n" + b"a" * 24)
            while "hangs" not in process.stderr.readline():
                """The strategy has been asked."""
            process.send_signal(number)
            said = process.communicate(timeout=30)[1]
            answer = client.recv(1000) if in_order else b""
    assert process.returncode == 130, said
    assert "does not come back" in said
    assert state.exists() == in_order, "what was learnt is kept"
    assert answer.startswith(b"HTTP/1.1 500") == (caught == "()"), "a failure like any other, where it lets itself be"


def test_the_line_is_named_in_the_simulator():
    with subprocess.Popen(
        hanging("()", "simulate", "--strategy", "hangs", "--runs", "1"), stderr=subprocess.PIPE, text=True
    ) as process:
        assert "hangs" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "stopped in <string>:" in said
    assert "(_choose)" in said


@pytest.mark.endurance
@pytest.mark.ports
@pytest.mark.sandbox
@pytest.mark.usefixtures("thirty_ports")
@pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux")
def test_a_signal_ends_start_and_its_servers(tmp_path: Path):
    store = tmp_path / "runs.sqlite"
    options = ("--tier", "T1", "--rps", "50", "--port", "0", "--no-dashboard", "--store", str(store))
    with subprocess.Popen(
        hanging("()", "start", "--strategy", "v4", "--strategy", "hangs", "--requests", "5", "--seed", "2", *options),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        told = iter(process.stderr.readline, "")
        servers = next(line for line in told if "servers pid=" in line).split("pid=")[1].split()[0]
        assert any(line == "hangs\n" for line in told)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert "--continue" in said
    assert not Path(f"/proc/{servers}").exists()
    compared = [sys.executable, "-m", "bandit_runner", "compare", "--store", str(store), "--format", "json"]
    rows = json.loads(subprocess.run(compared, capture_output=True, check=True).stdout)["rows"]
    assert [(row["strategy"], row["requests"]) for row in rows][:1] == [("v4", 5)]
