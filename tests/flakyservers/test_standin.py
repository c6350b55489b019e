"""The running stand-in, over real sockets on its thirty ports."""

import errno
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bandit_runner.flakyservers.build import this_machine

pytestmark = [pytest.mark.ports, pytest.mark.usefixtures("thirty_ports")]

Start = Callable[..., AbstractContextManager[tuple[subprocess.Popen[str], dict[str, Any]]]]

TIERS = {"T1": range(4000, 4010), "T2": range(5000, 5010), "T3": range(6000, 6010)}
PORTS = [port for ports in TIERS.values() for port in ports]
ANSWERS = {200, 500, 502, 503}
ID = b"abcdefghijklmnopqrstuv09"
REQUEST = b"POST / HTTP/1.1\r\nHost: flaky\r\nContent-Length: 24\r\n\r\n" + ID
LAST_REQUEST = REQUEST.replace(b"flaky\r\n", b"flaky\r\nConnection: close\r\n")


@pytest.fixture
def binary(standin: Callable[[str], Path]) -> Path:
    return standin(this_machine())


@pytest.fixture
def start(binary: Path) -> Start:
    """Return a context manager that runs the stand-in with flags and yields the process and what it drew."""

    @contextmanager
    def started(*flags: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
        # An empty environment and the root folder: it needs nothing of its surroundings.
        with subprocess.Popen(
            [binary, "-truth", "-", *flags], env={}, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                truth = json.loads(process.stdout.readline())
                assert process.stderr.readline() == f"flakyservers: 30 servers listen on {truth['host']}\n"
                yield process, truth
            finally:
                process.kill()

    return started


def request(port: int, body: bytes = ID, *, method: str = "POST", path: str = "/") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body)
        return connection.getresponse().status
    finally:
        connection.close()


def exchange(port: int, data: bytes) -> list[int]:
    """Send bytes in one go and return the statuses that come back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        with connection.makefile("rb") as answers:
            return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", answers.read(), re.MULTILINE)]


def at_once(port: int, count: int) -> list[int]:
    """Return the statuses of requests that arrive together: not even a busy machine can put time between them."""
    return exchange(port, REQUEST * (count - 1) + LAST_REQUEST)


def test_all_thirty_ports_answer_and_no_other(start: Start):
    with start():
        assert {request(port) for port in PORTS} <= ANSWERS
        for port in (3999, 4010, 5010, 6010):
            with socket.socket() as other:
                assert other.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux answers on all of 127.0.0.0/8")
@pytest.mark.parametrize(("host", "other"), [("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")])
def test_it_listens_on_no_other_address(start: Start, host: str, other: str):
    with start("-host", host) as (_, truth):
        assert truth["host"] == host
        for port in PORTS:
            socket.create_connection((host, port), timeout=10).close()
            with socket.socket() as outside:
                assert outside.connect_ex((other, port)) == errno.ECONNREFUSED


def test_truth_describes_what_was_drawn(start: Start):
    with start("-seed", "11", "-limits", "hard") as (_, truth):
        pass
    assert (truth["schema"], truth["seed"], truth["limits"]) == ("flakyservers.truth/1", 11, "hard")
    assert abs(truth["started"] - time.time()) < 60
    assert [(server["tier"], server["port"]) for server in truth["servers"]] == [
        (tier, port) for tier, ports in TIERS.items() for port in ports
    ]
    rates = [server["success_rate"] for server in truth["servers"]]
    assert all(0.28 <= rate <= 0.98 for rate in rates)
    assert len(set(rates)) == 30
    shapes = {server["port"]: server["limit"] and server["limit"]["rate"]["shape"] for server in truth["servers"]}
    assert {shapes[port] for port in TIERS["T1"]} == {None}
    assert {shapes[port] for port in TIERS["T2"]} == {"constant"}
    assert {shapes[port] for port in TIERS["T3"] if port % 2 == 0} == {"sinusoid"}
    assert {shapes[port] for port in TIERS["T3"] if port % 2 == 1} == {"jumps"}


def test_a_seed_brings_back_rates_and_outcomes(start: Start):
    def play(*flags: str) -> tuple[list[Any], list[int], int]:
        with start(*flags) as (_, truth):
            return truth["servers"], at_once(4000, 50), truth["seed"]

    drawn, outcomes, seed = play()
    assert play("-seed", str(seed)) == (drawn, outcomes, seed)
    assert play()[0] != drawn


def test_truth_goes_to_a_file(binary: Path, tmp_path: Path):
    place = tmp_path / "truth.json"
    with subprocess.Popen([binary, "-truth", place], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stderr.readline()
        process.terminate()
        assert process.stdout.read() == b""
    assert len(json.loads(place.read_text())["servers"]) == 30


def test_a_truth_that_cannot_be_written_is_an_error(binary: Path):
    result = subprocess.run([binary, "-truth", "/nowhere/truth"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "flakyservers: open /nowhere/truth: no such file or directory\n"


def test_outcomes_follow_the_rate_that_was_told(start: Start):
    with start("-seed", "4") as (_, truth):
        for server in truth["servers"][:3]:
            rate, counts = server["success_rate"], Counter(at_once(server["port"], 1000))
            assert counts.keys() == ANSWERS
            assert counts[200] == pytest.approx(1000 * rate, abs=4 * (1000 * rate * (1 - rate)) ** 0.5)


def test_a_fast_repeat_is_limited_on_t2_and_t3_only(start: Start):
    with start("-seed", "1"):
        assert set(at_once(4000, 20)) <= ANSWERS
        for port in (5000, 6000):
            first, second, *_ = at_once(port, 3)
            assert first in ANSWERS
            assert second == 429


def test_a_slower_repeat_is_not_limited(start: Start):
    with start("-seed", "1"):
        for _ in range(5):
            assert request(5000) in ANSWERS
            time.sleep(0.06)  # the bucket of 20 per second is full again after 0.05


def test_hard_limits_let_a_burst_pass(start: Start):
    with start("-seed", "2", "-limits", "hard") as (_, truth):
        for server in truth["servers"][10:]:
            accepted = sum(status != 429 for status in at_once(server["port"], 12))
            # One more may have become due in between, on a machine that was busy elsewhere.
            assert server["limit"]["burst"] <= accepted <= server["limit"]["burst"] + 1


@pytest.mark.parametrize("body", [b"", ID[1:], ID + b"x", ID[1:] + b"-", "ä".encode() * 12, b"x" * 100_000])
def test_a_bad_body_is_400(start: Start, body: bytes):
    with start():
        assert request(4000, body) == 400
        assert request(5000, body) == 400
        assert request(5000) in ANSWERS, "a bad request takes no token"


def test_other_paths_and_methods(start: Start):
    with start():
        assert request(4000, path="/other") == 404
        assert request(4000, method="GET") == 405
        assert request(4000, method="DELETE", path="/other") == 404
        assert exchange(4000, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") == [404]


def test_hostile_clients_do_not_hang_it(start: Start):
    with start():
        assert exchange(4000, b"\x16\x03\x01\x02\x00\x01garbage\r\n\r\n") == [400]
        assert exchange(4000, b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n") == [431]
        started = time.monotonic()
        # Half a head, and half a body: each is cut off in the end, and meanwhile all others are served.
        slow = [socket.create_connection(("127.0.0.1", 4000), timeout=20) for _ in range(100)]
        for number, connection in enumerate(slow):
            connection.sendall(REQUEST[: 10 if number % 2 else -5])
        assert set(at_once(4000, 20)) <= ANSWERS
        for connection in slow:
            with connection:
                while connection.recv(1000):
                    pass
        assert time.monotonic() - started < 15


@pytest.mark.parametrize("port", [4000, 5003, 6009])
def test_a_taken_port_is_named_and_nothing_is_served(binary: Path, port: int):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        result = subprocess.run([binary], capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"flakyservers: port {port} cannot be opened: ")
    assert "address already in use" in line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_and_frees_the_ports(start: Start, number: signal.Signals):
    for _ in range(2):  # the second start needs the ports of the first
        with start() as (process, _), socket.create_connection(("127.0.0.1", 4000)) as resting:
            resting.sendall(REQUEST)
            resting.recv(1000)
            with socket.create_connection(("127.0.0.1", 4001)):  # says nothing
                process.send_signal(number)
                assert process.wait(timeout=10) == 0
            assert process.stderr.read() == ""


def test_a_wrong_flag_is_a_usage_error(binary: Path):
    result = subprocess.run([binary, "-host", "localhost"], capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 2
    assert "localhost" in result.stderr
