"""``bandit_runner harness`` against ``bandit_runner balancer``, as a person starts them: words and exit status."""

import http.server
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.once

DAYS = ("--requests", "1000000", "--rps", "10")
"""So long it plays if nothing ends it."""

RUN = [sys.executable, "-m", "bandit_runner"]


class Accepts(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    asked = threading.Semaphore(0)

    def do_POST(self) -> None:
        self.asked.release()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture(scope="module")
def balancer() -> Iterator[str]:
    """The address of a balancer before one server that accepts everything."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Accepts) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [*RUN, "balancer", "--port", "0", "--upstream", f"127.0.0.1:{server.server_port}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            found = re.search(r"http://([\d.:]+)/", process.stderr.readline())
            assert found is not None
            yield found[1]
            process.terminate()
        server.shutdown()


def harness(balancer: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*RUN, "harness", "--balancer", balancer, "--requests", "20", "--rps", "200", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_all_ids_are_played(balancer: str):
    done = harness(f"http://{balancer}/", "--json")  # as the balancer prints it
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)["rows"][0]
    assert (row["requests"], row["accepted"], row["score"]) == (20, 20, 20.0)
    assert "off their time (p99)" in done.stderr


def test_the_table_has_no_line_without_text(balancer: str):
    assert [bool(line) for line in harness(balancer).stdout.split("\n")] == [True, True, False]


def test_a_tier_that_does_not_exist_is_said_at_once(balancer: str):
    done = harness(balancer, "--tier", "T9", *DAYS)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{balancer} answers 404" in done.stderr
    assert "--tier (T1" in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "nobody.invalid:8000"])
def test_no_balancer_is_said_at_once(address: str):
    done = harness(address, *DAYS)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no balancer is at {address}" in done.stderr
    assert "bandit_runner start --serve" in done.stderr


def test_interrupt_prints_what_was_answered(balancer: str):
    """Nothing that was measured is lost with Ctrl-C."""
    command = [*RUN, "harness", "--balancer", balancer, "--requests", "10000", "--rps", "100", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while Accepts.asked.acquire(blocking=False):
            """Forget what other tests asked."""
        assert all(Accepts.asked.acquire(timeout=60) for _ in range(20))
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    row = json.loads(printed)["rows"][0]
    assert 0 < row["requests"] == row["accepted"] < 10_000
    assert f"stopped after {row['requests']} of 10000 answers" in said
