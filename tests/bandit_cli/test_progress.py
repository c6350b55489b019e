"""What is said while a bar is drawn stands above it, and not in it."""

import os
import pty
import subprocess
import sys

import pytest

SCRIPT = """
from bandit_runner.cli.progress import progress
from binsafe.cli.entry import note

with progress(3) as bar:
    bar.describe("v4 on [T1]")
    bar.advance()
    note("something came up")
    bar.advance()
"""


NARROW = """
from bandit_runner.cli.progress import progress

with progress(8700) as bar:
    bar.describe("T1 blog-primal-dual-fixed, T2 bwk-primal-dual, T3 v4-fixed")
    bar.advance()
"""


def on_a_terminal(script: str, *, columns: int) -> bytes:
    """What a script writes to standard error where that is a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen([sys.executable, "-c", script], stderr=theirs, env=environment) as done:
        os.close(theirs)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            written += piece
    os.close(ours)
    assert done.returncode == 0, written
    return written


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_notes_stand_above_the_bar():
    written = on_a_terminal(SCRIPT, columns=80)
    (line,) = [line for line in written.split(b"\n") if b"something came up" in line]
    assert b"\x1b[2K" in line.partition(b"something")[0]  # the bar was wiped off the line before
    assert "━".encode() not in line.rpartition(b"\x1b[2K")[2]
    assert b"v4 on [T1]" in written  # a name is no markup


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize("columns", [40, 80])
def test_how_far_it_is_stands_beside_long_names_on_a_narrow_terminal(columns: int):
    line = on_a_terminal(NARROW, columns=columns).split(b"\x1b[2K")[-2]
    assert b"1/8700" in line
    assert b"-:--:--" in line
    assert b"T1 blog" in line


def test_without_a_terminal_only_the_notes_are_seen():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert done.stderr == b"something came up\n"
    assert done.stdout == b""
