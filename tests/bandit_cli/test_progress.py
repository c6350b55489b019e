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


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_notes_stand_above_the_bar():
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=theirs, env={**os.environ, "TERM": "xterm"}) as done:
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
    (line,) = [line for line in written.split(b"\n") if b"something came up" in line]
    assert b"\x1b[2K" in line.partition(b"something")[0]  # the bar was wiped off the line before
    assert "━".encode() not in line.rpartition(b"\x1b[2K")[2]
    assert b"v4 on [T1]" in written  # a name is no markup


def test_without_a_terminal_only_the_notes_are_seen():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert done.stderr == b"something came up\n"
    assert done.stdout == b""
