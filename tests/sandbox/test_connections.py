"""Granted connections are made outside, exactly those, and behave as the program expects."""

import contextlib
import errno
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from binsafe import baselines, packs
from binsafe.intake import Found, Snapshot, inspect
from binsafe.model import Violation
from binsafe.policy import Request, derive
from binsafe.sandbox import Order, Sandboxed, launch

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


def run(
    code: str,
    port: int,
    baseline: str = "cli_tool",
    ports: tuple[int, ...] = (),
    meanwhile: Callable[[Sandboxed], None] = lambda _: None,
) -> tuple[list, list[Violation]]:
    violations: list[Violation] = []
    with Snapshot.take(Found("python3", Path(PYTHON).resolve())) as snapshot:
        report = inspect(snapshot, syscalls=False)
        added = tuple(packs.grants(packs.choose(report), snapshot.artifact.path))
        request = Request(connect=(f"localhost:{port}",), packs=added, ports=ports or None)
        order = Order(
            policy=derive(report, baselines.load(baseline), request),
            program=snapshot.descriptor,
            path=snapshot.artifact.path,
            arguments=["-c", f"PORT = {port}\n{code}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            on_violation=violations.append,
        )
        process = launch(order)
    beside = threading.Thread(target=meanwhile, args=(process,), daemon=True)
    beside.start()
    try:
        said = process.stdout.read().decode().splitlines()
        assert process.wait(20) == 0
    finally:
        process.stop(grace=0)
        process.stdout.close()
    return said, violations


@pytest.mark.parametrize(
    ("level", "option", "value"),
    [
        (socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@2l", 3, 0)),
        (socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@2l", 4, 0)),
        (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@2i", 1, 5)),
        (socket.IPPROTO_TCP, 18, struct.pack("@i", 5_000)),  # TCP_USER_TIMEOUT
        (socket.IPPROTO_TCP, 3, struct.pack("@i", 1)),  # TCP_CORK
    ],
)
def test_what_was_set_before_the_connection_holds_for_it(level: int, option: int, value: bytes):
    from binsafe.sandbox.linux.sockets import Original

    with socket.socket() as own:
        own.setsockopt(level, option, value)
        with Original(os.getpid(), own.fileno(), -1, own).make_replacement() as replacement:
            assert replacement.getsockopt(level, option, len(value)) == value


@pytest.mark.skipif(os.geteuid() == 0, reason="root may serve on every port")
def test_a_port_that_is_kept_for_root_is_said_to_be(server: int):
    code = "import socket\ntry: socket.socket().bind(('', 80))\nexcept PermissionError: print('refused')"
    said, violations = run(code, server, "network_server", (80,))
    [denied] = [each for each in violations if not each.expected]
    assert said == ["refused"]
    assert (denied.operation, denied.object, denied.result) == ("bind", "0.0.0.0:80", "EACCES")
    assert "ip_unprivileged_port_start" in denied.sentence


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
    assert said[0] == str(errno.EINPROGRESS)
    assert said[1:] == ["True b'hello' False", str(errno.EISCONN)]


def test_asyncio_connects_to_several_at_once(server: int):
    code = """
import asyncio
async def greeting():
    reader, writer = await asyncio.open_connection("localhost", PORT)
    said = await reader.read()
    writer.close()
    return said
async def main():
    print(await asyncio.gather(*(greeting() for _ in range(5))))
asyncio.run(main())
"""
    said, violations = run(code, server)
    assert said == [str([b"hello"] * 5)]
    assert {each.operation for each in violations if not each.expected} <= {"read"}  # libssl, which it does without


@pytest.fixture
def full() -> Iterator[socket.socket]:
    """A listener where a connection neither succeeds nor fails: the queue of those that wait for it is full."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener


@pytest.fixture
def silent(full: socket.socket) -> int:
    """The port of such a listener."""
    return full.getsockname()[1]


def test_a_connection_that_does_not_block_is_not_waited_for(silent: int):
    code = """
import select, socket, time
began = time.monotonic()
several = [socket.socket() for _ in range(40)]
watch = select.epoll()
heard = []
for s in several:
    s.setblocking(False)
    watch.register(s, select.EPOLLIN)
    print(s.connect_ex(("127.0.0.1", PORT)))
    heard += [event for number, event in watch.poll(0) if number == s.fileno()]
print(heard, time.monotonic() - began < 5)
"""
    said, _ = run(code, silent)
    assert {*said[:-1]} == {str(errno.EINPROGRESS)}
    assert said[-1] == "[] True", "nothing is heard of the socket that was there before"


def test_a_signal_interrupts_a_connection_that_blocks(silent: int):
    code = """
import signal, socket
def give_up(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, give_up)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    socket.socket().connect(("127.0.0.1", PORT))
except TimeoutError:
    print("given up")
"""
    assert run(code, silent)[0] == ["given up"]


@pytest.mark.parametrize("blocks", [True, False])
def test_a_user_who_may_have_no_more_threads_keeps_the_supervisor(
    silent: int, blocks: bool, monkeypatch: pytest.MonkeyPatch
):
    """The program's own are among those of an ordinary user, who may have few (ulimit -u)."""

    def refuse(**_: object) -> None:
        raise RuntimeError("can't start new thread")

    without = SimpleNamespace(Thread=refuse, BoundedSemaphore=threading.BoundedSemaphore)
    for module in ("connecting", "sockets"):
        monkeypatch.setattr(f"binsafe.sandbox.linux.{module}.threading", without)
    code = f"""
import select, socket
s = socket.socket()
s.setblocking({blocks})
watch = select.epoll()
if not {blocks}:
    watch.register(s, select.EPOLLIN)
print(s.connect_ex(("127.0.0.1", PORT)))
"""
    assert run(code, silent)[0] == [str(errno.EAGAIN)]


@pytest.mark.parametrize("restarts", [True, False])
def test_signals_on_the_way_do_not_spoil_a_connection(full: socket.socket, restarts: bool):
    """Neither where the handler lets the call go on (SA_RESTART) nor where the program itself waits on after EINTR.

    They come when the connection is under way: one that comes before anybody has taken the call is EINTR of nothing.
    """
    code = f"""
import signal, socket
count = 0
def tick(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, tick)
signal.siginterrupt(signal.SIGALRM, {not restarts})
s = socket.socket()
s.connect(("127.0.0.1", PORT))
print(count > 0, s.recv(9))
"""

    def disturb(process: Sandboxed) -> None:
        while _connecting(port) <= before:
            time.sleep(0.02)
        for _ in range(10):
            process.send_signal(signal.SIGALRM)
            time.sleep(0.05)
        _greet_all(full)

    port = full.getsockname()[1]
    before = _connecting(port)
    assert run(code, port, meanwhile=disturb)[0] == ["True b'hello'"]


def _greet_all(listener: socket.socket) -> None:
    """Accept whoever waits, until the listener is closed."""
    with contextlib.ExitStack() as accepted, contextlib.suppress(OSError):
        while True:
            client = accepted.enter_context(listener.accept()[0])
            client.sendall(b"hello")


def _connecting(port: int) -> int:
    """How many connections to a port are under way (proc(5), net/tcp: SYN_SENT is 2)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[2] == f"0100007F:{port:04X}" and line[3] == "02" for line in lines)


def test_a_connection_that_was_given_up_cannot_listen(silent: int, free_port: Callable):
    """The kernel would give it a port of the host's own choice, on every address."""
    code = """
import socket, time
s = socket.socket()
s.setblocking(False)
s.connect_ex(("127.0.0.1", PORT))
for how in (socket.SHUT_RDWR, None):
    try:
        how is None or s.shutdown(how)
        s.listen()
        print("listens", s.getsockname())
    except OSError as error:
        print(error.errno)
"""
    said, violations = run(code, silent, "network_server", (free_port(),))
    assert said == [str(errno.EPERM)] * 2
    assert {each.operation for each in violations if not each.expected} == {"listen"}


@pytest.mark.parametrize("chosen", ["by us", "by the kernel"])
def test_one_that_listens_after_all_is_granted_and_reached(server: int, free_port: Callable, chosen: str):
    """With connections granted, too, a server's own listen goes by the supervisor."""
    port = free_port() if chosen == "by us" else 0
    code = f"""
import socket
with socket.create_server(("127.0.0.1", {port}), backlog=7) as listener:
    print(socket.create_connection(("localhost", PORT)).recv(9))
    print(listener.getsockname())
with socket.socket() as bound:
    bound.bind(("127.0.0.1", {port}))
    print(bound.connect_ex(("127.0.0.1", PORT)))
"""
    said, violations = run(code, server, "network_server", (port,))
    assert said[0] == "b'hello'"
    assert said[1].startswith(f"('127.0.0.1', {port or ''}")
    assert said[2] == str(errno.EINVAL), "of a socket that has a port the connection would come from another one"
    assert [each.syscall for each in violations if not each.expected] == ["connect"]


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
