"""A plain command line of `run` is read as click reads it, or left to click."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from binsafe.cli import plain
from binsafe.cli.options import RUN
from binsafe.cli.run import command

WORDS = [*(option.flag for option in RUN), "--", "-", "-x", "--port", "--help", "--ports=", "--yes=1", "--env=A=--", ""]
VALUES = [
    ":80",
    "5",
    "0",
    "-1",
    "nan",
    "1e400",
    "inf",
    __file__,
    str(Path(__file__).parent),
    "/nonexistent/x",
    "\udcff",
]


def by_click(words: list[str]) -> dict[str, Any] | None:
    """What click makes of a line; None where it complains or helps."""
    try:
        return command.make_context("run", list(words)).params
    except (click.ClickException, click.exceptions.Exit):
        return None


@given(st.lists(st.sampled_from([*WORDS, *VALUES]), max_size=8))
def test_both_read_the_same(words: list[str]):
    line = plain.read(words)
    assert line is None or line == by_click(words)


@pytest.mark.parametrize(
    "words",
    [
        ["/bin/x"],
        ["--policy", __file__, "/bin/x", "--policy", "other"],
        ["--ports", ":80", "--ports=:81", "--env", "--yes", "--timeout", "1.5", "--yes", "--", "x", "--", "--help"],
        ["--report", "/nonexistent/new", "--backend", "landlock", "--backend=namespaces", "-"],
    ],
)
def test_ordinary_lines_are_plain(words: list[str]):
    assert plain.read(words) == by_click(words) is not None


@pytest.mark.parametrize(
    "words",
    [[], ["--help"], ["--"], ["--yes"], ["--port", "1", "x"], ["-p", "x"], ["--policy", "/nonexistent", "x"],
     ["--policy", "/", "x"], ["--report", "/", "x"], ["--timeout", "0", "x"], ["--timeout", "a", "x"],
     ["--yes=1", "x"], ["--env"]],
)  # fmt: skip
def test_what_needs_words_is_left_to_click(words: list[str]):
    assert plain.read(words) is None


def test_click_still_complains():
    command = [sys.executable, "-m", "binsafe", "run", "--timeout", "0", "x"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert said.returncode == 2
    assert "--timeout" in said.stderr
