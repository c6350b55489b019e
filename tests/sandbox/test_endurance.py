"""Hundreds of starts, and ends of every kind at random moments: nothing is left of any."""

import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

BINSAFE = (sys.executable, "-m", "binsafe")
STARTS = 200
KILLS = 40
GONE = 10.0
PR_SET_CHILD_SUBREAPER = 36

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]


def children() -> set[int]:
    """The processes below this thread, dead ones that nobody has waited for among them."""
    return {int(word) for word in Path("/proc/thread-self/children").read_text().split()}


@pytest.fixture
def orphans() -> Iterator[Callable[[], list[int]]]:
    """Return a function: who is left below us, waited for as long as it may take. Who loses its parent becomes ours."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    others = children()  # the process that commands of other tests are forked from

    def left() -> list[int]:
        deadline = time.monotonic() + GONE
        while found := children() - others:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    return sorted(found)
                time.sleep(0.01)
        return []

    yield left
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def traces(temporary: Path) -> dict[str, object]:
    """What a sandbox could leave on the host beside processes; ``temporary`` is where its temporary files would be."""
    return {
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "files": sorted(os.listdir(temporary)),
        "cgroups": sum(1 for _ in Path("/sys/fs/cgroup").rglob("*binsafe*")),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the temporary files of this process and of those that it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def command(program: Path, backend: str, port: int, *attempts: str) -> list[str]:
    options = ["--backend", backend, "--yes", "--ports", f":{port}"]
    return [*BINSAFE, "run", *options, str(program), f"ports={port}", "all_ports", *attempts, "stay"]


def is_free(port: int) -> bool:
    with socket.socket() as trial, contextlib.suppress(OSError):
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(("127.0.0.1", port))
        return True
    return False


ENDS = {
    "the supervisor is killed": lambda running: running.kill(),
    "the supervisor is told to end": lambda running: running.terminate(),
    "the program is killed": lambda running: os.kill(program_of(running.pid), signal.SIGKILL),
    "the one that reaps is killed": lambda running: os.kill(parent(program_of(running.pid)), signal.SIGKILL),
}


def program_of(supervisor: int) -> int:
    """The program itself, which is the first of its name below its supervisor."""
    waiting = [supervisor]
    while waiting:
        pid = waiting.pop(0)
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"hostile\0"):
            return pid
        for task in Path(f"/proc/{pid}/task").iterdir():
            waiting += map(int, (task / "children").read_text().split())
    raise LookupError


def parent(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
@pytest.mark.parametrize("how", ENDS)
def test_nothing_is_left_however_it_ends(hostile: Path, free_port: Callable, orphans: Callable, backend: str, how: str):
    """A program that forked twice and ignores all signals."""
    port = free_port()
    attempts = ("double_fork", "deafness")
    with subprocess.Popen(
        command(hostile, backend, port, *attempts), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=-3
    ) as running:
        assert any(b"deafness" in line for line in iter(running.stdout.readline, b""))
        try:
            ENDS[how](running)
            running.wait(GONE)
        finally:
            running.kill()
    assert orphans() == []
    assert is_free(port)


@pytest.mark.endurance
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_two_hundred_starts_and_stops_in_a_row(
    hostile: Path, free_port: Callable, orphans: Callable, temporary: Path, backend: str
):
    from binsafe.cli.asked import Asked
    from binsafe.cli.deriving import derive_policy
    from binsafe.intake import Found, Snapshot, inspect
    from binsafe.sandbox import Order, launch

    port = free_port()
    asked = Asked(ports=(f":{port}",), baseline=None, read=(), write=(), connect=(), exec=())
    with Snapshot.take(Found("hostile", hostile)) as snapshot:
        order = Order(
            policy=derive_policy(inspect(snapshot), asked),
            program=snapshot.descriptor,
            arguments=[f"ports={port}", "all_ports", "stay"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            on_violation=[].append,
        )

        def start_and_stop() -> None:
            process = launch(order, backend=backend)
            deadline = time.monotonic() + GONE
            while not process.listening():
                assert time.monotonic() < deadline
                time.sleep(0.005)
            assert process.stop(grace=2) == 128 + signal.SIGTERM

        start_and_stop()
        before = settled(temporary)
        for _ in range(STARTS):
            start_and_stop()
        assert settled(temporary) == before
    assert orphans() == []
    assert is_free(port)


def settled(temporary: Path) -> dict[str, object]:
    """The traces, once threads that end have let go of theirs."""
    time.sleep(0.5)
    return traces(temporary)


@pytest.mark.endurance
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_killed_at_random_moments(hostile: Path, free_port: Callable, orphans: Callable, temporary: Path, backend: str):
    port = free_port()
    words = command(hostile, backend, port, "double_fork")
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=-3) as first:
        began = time.monotonic()
        assert any(
            b"double_fork" in line for line in iter(first.stdout.readline, b"")
        )  # the policy is kept from now on
        first.terminate()
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=-3) as first:
        began = time.monotonic()
        assert any(b"double_fork" in line for line in iter(first.stdout.readline, b""))
        whole = time.monotonic() - began
        first.terminate()
    assert orphans() == []
    before = traces(temporary)
    chance = random.Random(5)
    for _ in range(KILLS):
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=-3, stderr=-3) as running:
            time.sleep(chance.uniform(0, 1.2 * whole))
            running.kill()
        assert orphans() == []
    assert traces(temporary) == before
    assert is_free(port)
