"""What --help says: of the groups, of each command, of each option."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from bandit_runner.cli.group import group as bandit_runner
from binsafe.cli.group import group as binsafe

MAX_PORT = 65_535
GROUPS = {"binsafe": binsafe, "bandit_runner": bandit_runner}


def commands() -> Iterator[tuple[str, click.Command]]:
    for name, group in GROUPS.items():
        context = click.Context(group)
        for each in group.list_commands(context):
            command = group.get_command(context, each)
            assert command is not None
            yield f"{name} {each}", command


COMMANDS = dict(commands())


def told(name: str) -> str:
    group, *command = name.split()
    return CliRunner().invoke(GROUPS[group], [*command, "--help"], terminal_width=80).output


@pytest.mark.parametrize("name", GROUPS)
def test_a_groups_help_says_of_each_command_what_it_does_on_one_whole_line(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: (80, 24))
    lines = told(name).splitlines()
    listed = lines[lines.index("Commands:") + 1 :]
    listed = [line for line in listed[: listed.index("")] if line.startswith("  ")]
    assert len(listed) == len([each for each in COMMANDS if each.startswith(f"{name} ")])
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_and_help_for_each_option(name: str):
    command = COMMANDS[name]
    assert "Examples:" in (command.epilog or "")
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.opts for option in options if not (option.help or option.hidden)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_is_wider_than_a_terminal_of_80_columns(name: str):
    """Examples and tables are not wrapped: click prints them as they are."""
    lines = told(name).splitlines()
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_no_mark_of_layout_is_shown(name: str):
    r"""In a raw docstring click's \b is two characters, which it prints, and what should stand in lines is wrapped."""
    assert "\\" not in told(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_range_that_help_shows_ends_where_nobody_goes(name: str):
    shown = re.findall(r"<=?([0-9.e+]+)\]", told(name))
    assert [end for end in shown if float(end) > MAX_PORT] == []


@pytest.mark.parametrize("name", ["binsafe", "binsafe run", "bandit_runner", "bandit_runner start"])
def test_it_is_asked_for_in_short_as_well(name: str):
    group, *command = name.split()
    short, long = (
        subprocess.run([sys.executable, "-m", group, *command, asked], capture_output=True, timeout=60, check=True)
        for asked in ("-h", "--help")
    )
    assert (short.stdout[:6], short.stdout) == (b"Usage:", long.stdout)
