"""Options that are read without click are what click would have read, and whatever it would refuse is left to it."""

import os
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from binsafe.cli.plain import read
from binsafe.cli.run import command

HERE = Path(__file__)
_NAMES = [name for option in command.params if isinstance(option, click.Option) for name in option.opts]
_VALUES = [
    *("", "-", "--", "-x", "--yes", "a=b", ":8080", "\udcff", "é"),
    *("3", "0", "-1", "nan", "inf", "1e400", " 5 ", "1_0", "soon"),
    *(str(HERE), str(HERE.parent), "/no/such/file", "/dev/null"),
]
_WORDS = st.one_of(
    st.sampled_from([*_NAMES, *_NAMES, "--help", "--no-such", "-h", "--ye"]),
    st.sampled_from(_VALUES),
    st.builds("{}={}".format, st.sampled_from(_NAMES), st.sampled_from(_VALUES)),
    st.text(st.characters(exclude_characters="\0"), max_size=4),
)


def by_click(words: list[str]) -> dict[str, Any] | None:
    """The options as click reads them; None where it refuses."""
    try:
        return command.make_context("run", list(words)).params
    except (click.ClickException, click.exceptions.Exit):
        return None


@given(st.lists(_WORDS, max_size=6))
def test_what_is_plain_click_reads_just_so(words: list[str]):
    options = read(words)
    assert options is None or options == by_click(words)


@pytest.mark.parametrize(
    "words",
    [
        ["/bin/true"],
        ["--", "/bin/true", "--", "--help"],
        ["-", "x"],
        ["--policy", str(HERE), "--report=/no/such/file", "--timeout", "5", "./server", "--listen", "127.0.0.1:8080"],
        ["--ports", "30", "--read=/etc", "--read", "/usr", "--env", "LOG=debug", "--yes", "--scratch", "/", "flaky"],
        ["--dry-run", "--allow-partial", "--backend", "landlock", "--baseline=--", "--exec", "cat", "x", "--yes"],
    ],
)
def test_what_people_write_is_plain(words: list[str]):
    assert read(words) == by_click(words)
    assert read(words) is not None


@pytest.mark.parametrize("words", [[], ["--yes"], ["--help"], ["--report"], ["--yes=1", "x"], ["-y", "x"], ["--"]])
def test_what_names_no_program_or_is_no_option_is_left_to_click(words: list[str]):
    assert read(words) is None


def test_each_option_is_known():
    flags = {"--allow-partial", "--dry-run", "--yes"}
    for name in _NAMES:
        value = {"--policy": str(HERE), "--scratch": os.sep, "--timeout": "1"}.get(name, "x")
        assert read([name, *([] if name in flags else [value]), "program"]) is not None, name


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_left_to_click(tmp_path: Path):
    closed = tmp_path / "policy"
    closed.touch(mode=0)
    assert read(["--policy", str(closed), "x"]) is None
    assert read(["--report", str(closed), "x"]) is None
