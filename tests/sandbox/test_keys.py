"""A program that wants single keys gets them, and the user's terminal is as before whatever becomes of it."""

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

BINSAFE = (sys.executable, "-m", "binsafe")
SECONDS = 60.0
pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed"),
]

JOBS = """
import ctypes, fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
def foreground(group):
    os.tcsetpgrp(0, group)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    foreground(os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: whoever ends us may ignore that we hang up (nohup)
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    status = os.waitpid(job, os.WUNTRACED)[1]
    foreground(os.getpid())
    if not os.WIFSTOPPED(status):
        print("[ended", os.waitstatus_to_exitcode(status), "]", flush=True)
        break
    print("[stopped]", flush=True)
    os.read(0, 9)
    foreground(job)
    os.kill(job, signal.SIGCONT)
"""
"""What a shell does for a job in the foreground; Enter continues one that was stopped."""


class Screen:
    """A terminal where a command runs: what it shows, what is typed, its modes."""

    def __init__(self, *command: str) -> None:
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(self.master)
        self.shell = subprocess.Popen(
            [sys.executable, "-c", JOBS, *BINSAFE, "run", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def shows(self, pattern: str) -> str:
        """What is shown, up to where that is."""
        shown = ""
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, shown, re.DOTALL):
            assert select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))[0], shown
            try:
                shown += os.read(self.master, 4096).decode()
            except OSError:  # EIO: nobody has the terminal any more
                pytest.fail(f"ended, and had shown {shown!r}")
        return shown

    def types(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def flags(self) -> int:
        return termios.tcgetattr(self.master)[tty.LFLAG] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def becomes(self, flags: int) -> None:
        deadline = time.monotonic() + 10
        while self.flags() != flags:
            assert time.monotonic() < deadline, self.flags()
            time.sleep(0.02)

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.master) == self.before


@pytest.fixture
def on_screen() -> Iterator[list[Screen]]:
    screens: list[Screen] = []
    yield screens
    for screen in screens:
        screen.shell.kill()
        screen.shell.wait()
        os.close(screen.master)


def test_each_key_comes_at_once_and_the_terminal_is_put_back(on_screen: list[Screen]):
    code = "read -rsn1 -p ready key; echo got $key; read -rsn1 -p again key; kill -KILL $$"
    screen = Screen("bash", "-c", code)
    on_screen.append(screen)
    screen.shows("ready")
    screen.becomes(termios.ISIG)
    screen.types(b"x")
    assert "got x" in screen.shows("again")
    screen.becomes(termios.ISIG)
    screen.types(b"y")
    assert "add --env TERM" in screen.shows(f"ended {128 + signal.SIGKILL}")
    assert screen.is_as_before()


def test_a_denial_is_not_told_into_a_picture_but_behind_it(on_screen: list[Screen]):
    picture = r"printf '\e[?1049hpicture'; cat /etc/shadow; read -rsn1; printf '\e[?1049lgone'; read -rsn1"
    screen = Screen("--exec", "cat", "bash", "-c", picture)
    on_screen.append(screen)
    screen.shows("cat: /etc/shadow")
    screen.types(b"x")
    assert "denied" not in screen.shows("gone")
    screen.types(b"x")
    assert "read /etc/shadow denied" in screen.shows("ended 0")


def test_keys_that_are_signals_are_for_who_has_the_terminal(on_screen: list[Screen]):
    """For a shell's jobs, in a group of their own or not; where the program has it itself, Ctrl-Z stops us as well."""
    jobs = "trap : INT; set -m; cat; echo stopped $?; set +m; cat; echo interrupted $?"
    screen = Screen("--exec", "cat", "bash", "-c", f"{jobs}; read -rsn1 -p ready key </dev/tty; echo got $key")
    on_screen.append(screen)
    screen.types(b"one\n")
    screen.shows(r"one\s+one")
    screen.types(b"\x1a")
    screen.shows(f"stopped {128 + signal.SIGTSTP}")
    screen.types(b"two\n")
    screen.shows(r"two\s+two")
    screen.types(b"\x03")
    screen.shows(f"interrupted {128 + signal.SIGINT}.*ready")
    screen.becomes(termios.ISIG)
    screen.types(b"\x1a")
    screen.shows(r"\[stopped\]")
    assert screen.is_as_before()
    screen.types(b"\n")
    screen.becomes(termios.ISIG)
    screen.types(b"x")
    assert "got x" in screen.shows("ended 0")
    assert screen.is_as_before()


def test_what_is_stopped_does_not_go_on_unseen(on_screen: list[Screen]):
    """Nor do its children; and all go on with us. The child says when it has nothing more to ask us for."""
    code = f": {time.monotonic_ns()}; (echo ready; while :; do :; done) & while :; do :; done"
    screen = Screen("bash", "-c", code)
    on_screen.append(screen)
    screen.shows("ready")
    for keys, shown, state in ((b"\x1a", r"\[stopped\]", "T"), (b"\n", "", "R")):
        screen.types(keys)
        screen.shows(shown)
        deadline = time.monotonic() + 10
        while (states := states_of("bash", "-c", code)) != [state] * 2:
            assert time.monotonic() < deadline, states


def states_of(*command: str) -> list[str]:
    """The states of the processes that have these arguments (proc(5), stat)."""
    wanted = "".join(f"{word}\0" for word in command).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes() == wanted:
                found.append((process / "stat").read_text().rpartition(") ")[2][0])
    return found


@pytest.mark.parametrize("modes", ["intr undef -isig erase ^C", "-icanon intr undef stop ^C"])
def test_no_modes_of_a_terminal_swallow_ctrl_c(on_screen: list[Screen], modes: str):
    """By a line that is never ended, or as the key that erases one or holds up what is shown."""
    code = f"trap '' TERM INT; stty {modes}; echo ready; while :; do read x; done"
    screen = Screen("--exec", "stty", "bash", "-c", code)
    on_screen.append(screen)
    screen.shows("ready")
    for _ in range(3):
        screen.types(b"\x03")
        time.sleep(0.3)  # a signal that waits already is not sent again
    screen.shows(f"ended {128 + signal.SIGKILL}")
    assert screen.is_as_before()


def test_who_takes_every_key_is_ended_by_ctrl_c_at_last_and_hangs_nobody_up(on_screen: list[Screen]):
    code = "trap '' TERM; stty 0; stty raw -echo; echo ready; while :; do read x; done"
    screen = Screen("--exec", "stty", "bash", "-c", code)
    on_screen.append(screen)
    screen.shows("ready")
    screen.becomes(0)
    assert termios.tcgetattr(screen.master)[tty.CFLAG] == screen.before[tty.CFLAG]
    screen.types(b"\x03\x03\x03")
    screen.shows(f"ended {128 + signal.SIGKILL}")
    assert screen.is_as_before()
