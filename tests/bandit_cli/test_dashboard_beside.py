"""The dashboard as a process: it serves, says what is wrong, and ends with whoever started it, however that ends."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.once


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "bandit_runner", *map(str, words)]


PATIENCE = 60
"""Seconds: where a machine is busy, loading the dashboard alone takes most of a minute."""


def status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_says_its_address_and_ends_with_ctrl_c(tmp_path: Path):
    words = command("dashboard", "--port", 0, "--store", tmp_path / "none.sqlite")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/$", line.strip())[1])
        assert f"no store of runs at {tmp_path / 'none.sqlite'} yet" in process.stderr.readline()
        assert status(port) == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) in {0, 130}


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_that_holds_the_pipe(tmp_path: Path, kill: int):
    holder = (
        "import subprocess, sys, os, time\n"
        "watched, ours = os.pipe()\n"
        "child = subprocess.Popen([*sys.argv[1:], '--watched', str(watched)], pass_fds=(watched,))\n"
        "os.close(watched)\nprint(child.pid, flush=True)\ntime.sleep(999)\n"
    )
    words = command("dashboard", "--port", 0, "--store", tmp_path / "none.sqlite")
    with subprocess.Popen(
        [sys.executable, "-c", holder, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        child = int(process.stdout.readline())
        assert "dashboard http" in process.stderr.readline()
        process.send_signal(kill)
        deadline = time.monotonic() + PATIENCE
        while not has_ended(child):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def has_ended(process: int) -> bool:
    """Whether it is gone, or waits for nothing but somebody who asks how it went."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_it_ends_while_it_still_starts():
    watched, ours = os.pipe()
    os.close(ours)
    words = [sys.executable, "-X", "importtime", *command("dashboard", "--port", 0, "--watched", watched)[1:]]
    done = subprocess.run(words, pass_fds=(watched,), capture_output=True, text=True, timeout=PATIENCE, check=False)
    os.close(watched)
    assert done.returncode == 0
    assert "bandit_runner.dashboard.watching" in done.stderr
    assert "nicegui" not in done.stderr, "what takes seconds to load was waited for"


HOLDER = """
import sys
from pathlib import Path
from bandit_runner.cli.dashboard_process import dashboard
with dashboard(Path(sys.argv[1]), 0, wanted=True):
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells a process's children")
@pytest.mark.parametrize("number", [signal.SIGKILL, None])
def test_that_it_was_killed_is_said_beside_it(number: int | None, tmp_path: Path):
    store = tmp_path / "a store.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, store], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr.readline().startswith("dashboard http")
        if number is not None:
            os.kill(int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()), number)
            said = process.stderr.readline()
            assert "the dashboard has ended (status -9)" in said
            assert f"bandit_runner dashboard --store '{store}'" in said
        assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells a process's children")
def test_what_is_said_of_its_end_is_written_to_the_end(tmp_path: Path):
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "a store.sqlite"], stdin=subprocess.PIPE, stderr=writing
    ) as process:
        assert os.read(reading, 1000).startswith(b"dashboard http")
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b".")
        os.set_blocking(writing, True)
        os.kill(int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()), signal.SIGKILL)
        while not any("pipe_write" in told.read_text() for told in Path(f"/proc/{process.pid}/task").glob("*/wchan")):
            time.sleep(0.05)
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        os.close(writing)
        with open(reading, "rb") as pipe:
            assert b"the dashboard has ended (status -9)" in pipe.read()
    assert process.returncode == 0


def test_a_taken_port_is_said():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = subprocess.run(
            command("dashboard", "--port", port), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert "hint:" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere anybody may listen on any port")
def test_of_a_port_that_may_not_be_had_the_port_is_what_is_said():
    if Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip() == "0":
        pytest.skip("anybody may listen on any port")
    as_anybody = ["setpriv", "--bounding-set=-net_bind_service"] if os.geteuid() == 0 else []
    words = [*as_anybody, *command("dashboard", "--port", 1)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert "port 1 may not be listened on" in done.stderr
    assert "--port" in done.stderr
    assert "--host" not in done.stderr


@pytest.mark.parametrize("content", ["this is text and no database\n" * 100, "short"])
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "notes.txt"
    path.write_text(content)
    words = command("dashboard", "--port", 0, "--store", path)
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert f"{path} is not a store of runs" in done.stderr
    assert "hint: name another with --store" in done.stderr
    assert "http://" not in done.stderr
    assert path.read_text() == content


def test_beyond_loopback_a_token_is_made_up():
    words = command("dashboard", "--port", 0, "--host", "0.0.0.0")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        process.terminate()  # and no SIGINT: what runs in the background may have to ignore it
        process.wait(PATIENCE)
    assert re.search(r"\?token=[\w-]{20,}$", line.strip())


@pytest.mark.parametrize("token", ["", "a b", "a;b"])
def test_what_is_no_token_is_refused(token: str):
    """An empty one was known to everybody: ``Authorization: Bearer`` with nothing behind it let them in."""
    words = command("dashboard", "--port", 0, "--host", "0.0.0.0", "--token", token)
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert "--token" in done.stderr
    assert "http://" not in done.stderr
