"""Granted connections are made outside, exactly those, and behave as the program expects."""

import errno
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from binsafe import baselines, packs
from binsafe.intake import Found, Snapshot, inspect
from binsafe.model import Violation
from binsafe.policy import Request, derive
from binsafe.sandbox import Order, launch

PYTHON = "/usr/bin/python3"
pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
    pytest.mark.skipif(shutil.which(PYTHON) is None, reason="the system's own Python is not installed"),
]


@pytest.fixture
def server() -> Iterator[int]:
    """A listener outside that greets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.sendall(b"hello")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def run(code: str, port: int) -> tuple[list[str], list[Violation]]:
    violations: list[Violation] = []
    with Snapshot.take(Found("python3", Path(PYTHON).resolve())) as snapshot:
        report = inspect(snapshot, syscalls=False)
        added = tuple(packs.grants(packs.choose(report), snapshot.artifact.path))
        request = Request(connect=(f"localhost:{port}",), packs=added)
        order = Order(
            policy=derive(report, baselines.load("cli_tool"), request),
            program=snapshot.descriptor,
            path=snapshot.artifact.path,
            arguments=["-c", f"PORT = {port}\n{code}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            on_violation=violations.append,
        )
        process = launch(order)
    try:
        said = process.stdout.read().decode().splitlines()
        assert process.wait(20) == 0
    finally:
        process.stop(grace=0)
        process.stdout.close()
    return said, violations


def test_a_blocking_connection_by_name(server: int):
    code = "import socket\ns = socket.create_connection(('localhost', PORT))\nprint(s.recv(9))"
    said, violations = run(code, server)
    assert said == ["b'hello'"]
    assert [each for each in violations if not each.expected] == []


def test_what_watched_the_socket_before_it_connected_watches_it_still(server: int):
    code = """
import select, socket
s = socket.socket()
s.setblocking(False)
copy = s.dup()
watch = select.epoll()
watch.register(s, select.EPOLLIN | select.EPOLLET)
print(s.connect_ex(("127.0.0.1", PORT)))
print(watch.poll(5)[0][0] == s.fileno(), copy.recv(9), s.getblocking())
watch.unregister(s)
print(s.connect_ex(("127.0.0.1", PORT)))
"""
    said, _ = run(code, server)
    assert said[0] in (str(errno.EINPROGRESS), "0")
    assert said[1:] == ["True b'hello' False", str(errno.EISCONN)]


def test_everything_else_stays_unreachable_and_is_named(server: int):
    code = """
import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    try:
        socket.socket(socket.AF_INET, kind).connect(("127.0.0.1", PORT - 1))
        print("connected")
    except OSError as error:
        print(error.errno)
"""
    said, violations = run(code, server)
    assert said == [str(errno.EPERM)] * 2
    assert any(each.grant == f"--connect 127.0.0.1:{server - 1}" for each in violations)
