"""bandit_runner simulate, as users call it."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.once


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bandit_runner", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_json_is_rows_of_results():
    done = simulate(
        "--strategy", "v4", "--scenario", "T1", "--scenario", "T2h", "--runs", "4", "--requests", "30", "--json"
    )
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["schema"] == "binsafe.results/1"
    assert [(row["strategy"], row["scenario"], row["runs"], row["requests"]) for row in document["rows"]] == [
        ("v4", "T1", 4, 120),
        ("v4", "T2h", 4, 120),
    ]
    assert all("tier" not in row and isinstance(row["regret"], float) for row in document["rows"])


def test_a_narrow_terminal_cuts_no_number_short():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 40, 0, 0))
    command = [sys.executable, "-m", "bandit_runner", "simulate", "--scenario", "T1", "--runs", "2", "--requests", "9"]
    with open(ours, "rb", buffering=0) as terminal:
        subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, timeout=60, check=True)
        os.close(theirs)
        shown = terminal.read(65_536).decode()
    assert "…" not in shown
    assert "runs needed" in shown
    assert shown.count("\n") == 5


def test_jobs_change_nothing_but_the_time_it_takes():
    arguments = ("--strategy", "v4", "--strategy", "v6-fixed", "--scenario", "T2h", "--runs", "41", "--requests", "20")
    assert simulate(*arguments, "--jobs", "2").stdout == simulate(*arguments).stdout


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_no_worker_outlives_the_command(ending: signal.Signals):
    command = [sys.executable, "-m", "bandit_runner", "simulate", "--jobs", "2", "--runs", "100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            while len(children.read_text().split()) < 3:  # two workers, and multiprocessing's tracker of resources
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(ending)
            process.communicate(timeout=30)  # the pipe is open as long as anybody holds it
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--strategy", "v99"),
        ("--scenario", "nowhere.yaml"),
        ("--option", "heat=3"),
        ("--penalty", "-1"),
        ("--max-attempts", "0"),
        ("--runs", "0"),
    ],
)
def test_nonsense_is_refused_with_status_2(arguments: tuple[str, ...]):
    done = simulate(*arguments)
    assert done.returncode == 2
    assert not done.stdout
    assert "Traceback" not in done.stderr


def test_help_has_examples():
    assert "bandit_runner simulate --strategy" in simulate("--help").stdout
