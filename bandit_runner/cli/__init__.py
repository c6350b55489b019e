"""The commands of bandit_runner: parse, call, print. One command per file."""

import signal

from binsafe.cli.inherited import end_on_interrupt

COMMANDS = (
    "start",
    "servers",
    "balancer",
    "harness",
    "dashboard",
    "simulate",
    "compare",
    "import",
    "export",
    "calibrate",
)
"""In the order in which a person needs them; each is a module of this package with a ``command``."""


def main() -> None:
    """The console script."""
    interrupted = signal.getsignal(signal.SIGINT)
    end_on_interrupt()  # until a command is there to say what it does
    from binsafe.cli import light

    light.load_paths()
    light.load_structs()
    light.load_click()
    from bandit_runner.cli.group import group
    from binsafe.cli.commands import run

    signal.signal(signal.SIGINT, interrupted)
    run(group, "bandit_runner")
