"""`bandit_runner balancer` as a process: what it takes of the machine."""

import subprocess
import sys
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
