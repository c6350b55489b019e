"""The commands of bandit_runner: parse, call, print. One command per file (`COMMANDS`).

Beside them::

    group options scoring storing   what click is told: the commands, and the options that several have
    launching stopping              the servers while a command lasts; signals
    recorded dashboard_process      what `start` has beside them: its place in the store, the dashboard
    progress                        a bar
"""

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
