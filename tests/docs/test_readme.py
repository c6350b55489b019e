"""README's commands are the ones that are run."""

import shlex
import tomllib
from pathlib import Path

import readme_commands

ROOT = Path(__file__).parents[2]


def test_ci_runs_the_test_command_that_readme_names():
    script = (ROOT / ".ci" / "run").read_text()
    assert "readme_commands.py test" in script
    assert "[dev]" not in script, "the command stands in README alone"


def test_the_commands_need_only_python_and_what_the_extras_bring():
    named = readme_commands.commands()
    assert set(named) == {"start", "test"}
    for line in named.values():
        steps = [shlex.split(step) for step in line.split("&&")]
        assert steps[0] == ["python3", "-m", "venv", ".venv"]
        assert all(step[0].startswith(".venv/bin/") for step in steps[1:])


def test_the_extras_that_readme_installs_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for line in readme_commands.commands().values():
        named = line.partition("'.[")[2].partition("]'")[0].split(",")
        assert set(named) <= set(extras)


def test_every_command_is_in_readme():
    import bandit_runner.cli
    import binsafe.cli

    text = (ROOT / "README.md").read_text()
    for program, package in (("binsafe", binsafe.cli), ("bandit_runner", bandit_runner.cli)):
        for name in package.COMMANDS:
            assert f"`{program} {name}" in text
