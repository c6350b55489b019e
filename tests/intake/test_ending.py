"""Whoever parses ends with whom it parses for, however that one ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is told that a parent has ended")

SECONDS = 60

Answer = TypeVar("Answer")


def children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_confined(process: int) -> bool:
    return "Seccomp:\t2\n" in Path(f"/proc/{process}/status").read_text()


def state(process: int) -> str:
    """The letter that the kernel has for it; X where it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"


def stopped_below(process: int) -> list[int]:
    """A child, and a child of that one that parses and has been stopped, if there is one by now."""
    try:
        for worker in children(process):
            for parser in filter(is_confined, children(worker)):
                os.kill(parser, signal.SIGSTOP)
                if state(parser) == "T":
                    return [worker, parser]
    except (FileNotFoundError, ProcessLookupError):  # one has ended while it was looked at
        pass
    return []


def until(answer: Callable[[], Answer]) -> Answer:
    """What it answers, once that is something."""
    end = time.monotonic() + SECONDS
    while not (found := answer()):
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.005)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_parser_that_is_busy_ends_with_the_command(tmp_path: Path, number: signal.Signals):
    """A stopped one stands for one that is busy for a long time: with a large program it went on for minutes."""
    command = [sys.executable, "-m", "binsafe", "syscalls", str(Path(sys.executable).resolve())]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        family = until(lambda: stopped_below(running.pid))
        running.send_signal(number)
        running.wait(SECONDS)
        until(lambda: {state(process) for process in family} <= {*"ZX"})
