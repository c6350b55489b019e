"""What a client sees of a server: the 30-port stand-in, asked from outside with and without the sandbox.

The program in the sandbox is in a session of its own. A scheduler with autogroups (sched(7)) shares the processor out
by session, which costs or gains some microseconds of its own and has nothing to do with confinement: so the bare server
is started in a session of its own as well, as every service manager does, and is what the ratios are of. The bare
server in the client's own session is printed beside it, to show how much that is.

One server runs at a time, in short rounds; a round asks it in three ways:

    kept         one connection, request after request        latency
    new          a connection for each request                latency
    eight        eight kept connections that are never idle   requests per second
"""

import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import policies

PORT = 4000
"""The first of the stand-in's ports, which has no rate limit."""

ROUNDS = 8
UNCOUNTED = 50
TOGETHER = 8
REQUEST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 24\r\n%s\r\n" + b"a" * 24
KEEP, CLOSE = REQUEST % b"", REQUEST % b"Connection: close\r\n"
BARE = "own session"


def print_table(program: Path, folder: Path, requests: int) -> None:
    """Print latency (p50) and throughput with and without the sandbox."""
    policy = policies.derived(program, folder, "--ports", "30")
    sandboxed = [sys.executable, "-m", "binsafe", "run", "--policy", str(policy), str(program)]
    ways = {BARE: ([str(program)], True), "client's session": ([str(program)], False), "binsafe": (sandboxed, True)}
    latencies: dict[str, dict[str, list[float]]] = {way: {"kept": [], "new": []} for way in ways}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    count = requests // ROUNDS
    for _ in range(ROUNDS):
        for way, (command, own_session) in ways.items():
            with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=own_session) as server:
                _wait_until_ready()
                latencies[way]["kept"].append(_kept(count))
                latencies[way]["new"].append(_new(count))
                rates[way].append(_rate(count * 2))
                server.terminate()  # of binsafe's: it ends what it started
                server.wait(10)
    print(f"serving, {requests} requests each in {ROUNDS} rounds; ratios to a bare server in a session of its own")
    print(f"  {'':18} {'kept, p50':>18} {'new, p50':>18} {'eight at once':>20}")
    for way in ways:
        row = [_microseconds(latencies[way][how], latencies[BARE][how]) for how in ("kept", "new")]
        rate, bare = statistics.median(rates[way]), statistics.median(rates[BARE])
        print(f"  {way:18} {row[0]:>18} {row[1]:>18} {f'{rate:.0f}/s x {rate / bare:.3f}':>20}")


def _microseconds(found: list[float], bare: list[float]) -> str:
    middle = statistics.median(found)
    return f"{1e6 * middle:.0f} us x {middle / statistics.median(bare):.3f}"


def _connect() -> socket.socket:
    client = socket.create_connection(("127.0.0.1", PORT), 5)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def _wait_until_ready(seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _connect().close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _kept(count: int) -> float:
    """Median seconds of a request on one connection."""
    with _connect() as client:

        def ask() -> None:
            client.sendall(KEEP)
            client.recv(4096)  # an answer is one segment

        return _median_seconds(ask, count)


def _new(count: int) -> float:
    """Median seconds of a connection, a request and the end of the connection."""

    def ask() -> None:
        with _connect() as client:
            client.sendall(CLOSE)
            while client.recv(4096):
                pass

    return _median_seconds(ask, count)


def _median_seconds(action: Callable[[], None], count: int) -> float:
    times = []
    for _ in range(count + UNCOUNTED):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return statistics.median(times[UNCOUNTED:])


def _rate(count: int) -> float:
    """Requests that are answered in a second when several clients ask all the time."""
    clients = [_connect() for _ in range(TOGETHER)]
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
            client.sendall(KEEP)
        begun, answered = time.perf_counter(), 0
        while answered < count:
            for key, _ in selector.select():
                key.fileobj.recv(4096)
                key.fileobj.sendall(KEEP)
                answered += 1
        seconds = time.perf_counter() - begun
    for client in clients:
        client.close()
    return answered / seconds
