"""What a command line of bandit_runner comes to before anything is started."""

import signal
import socket
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete
from commands import bandit_runner

from bandit_runner.cli.group import group

INTERRUPTED_AT_CLICK = """
import os, signal, sys

class Interrupting:
    def find_spec(name, *_):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting)
from bandit_runner.cli import main
main()
"""


def test_ctrl_c_while_it_still_loads_ends_it_without_a_word():
    words = [sys.executable, "-c", INTERRUPTED_AT_CLICK, "simulate"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_a_port_of_the_balancer_that_is_taken_is_said_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = bandit_runner("start", "--port", port, "--no-dashboard")
    assert done.returncode == 1
    assert f"port {port} is taken by " in done.stderr
    assert "--port" in done.stderr
    assert "beside another start none can begin" in done.stderr, "with another port it would stop at the servers' ports"
    assert "inspecting" not in done.stderr


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["simulat"], "Did you mean simulate?"),
        (["start", "--strategy", "bst"], "try best\n"),
        (["start", "--strategy", "v9"], "try v1, v1-fixed, "),  # near to all of them, or to none
        (["start", "--strategy", "nope"], "try v1, v1-fixed, "),
        (["xyz"], None),
    ],
)
def test_of_a_name_that_is_not_there_those_near_it_are_said(words: list[str], near: str | None):
    done = bandit_runner(*words)
    assert done.returncode == 2
    assert near in done.stderr if near else "mean" not in done.stderr
    assert "inspecting" not in done.stderr


@pytest.mark.parametrize(
    ("command", "completed"), [("start", {"best", "bwk-balanced"}), ("balancer", {"best"}), ("simulate", {"best"})]
)
def test_a_shell_completes_strategies(command: str, completed: set[str]):
    found = ShellComplete(group, {}, "bandit_runner", "").get_completions([command, "--strategy"], "b")
    assert completed <= {each.value for each in found}
    assert all(each.value.startswith("b") for each in found)


@pytest.mark.parametrize("command", ["start", "harness"])
@pytest.mark.parametrize("rps", ["nan", "inf", "1e9", "1e-9", "0", "-1"])
def test_a_rate_that_is_none_is_refused_before_anything_starts(command: str, rps: str):
    """``start`` had begun a session with such a one, which no ``--continue`` could end."""
    with pytest.raises(click.BadParameter) as refused:
        group.get_command(click.Context(group), command).make_context(command, [f"--rps={rps}"])
    assert "--rps" in refused.value.format_message()


@pytest.mark.parametrize("command", ["start", "servers"])
@pytest.mark.parametrize("seed", [0, 2**63])
def test_a_seed_that_the_stand_in_cannot_take_is_refused_before_anything_starts(command: str, seed: int):
    with pytest.raises(click.BadParameter) as refused:
        group.get_command(click.Context(group), command).make_context(command, [f"--seed={seed}"])
    assert "--seed" in refused.value.format_message()
