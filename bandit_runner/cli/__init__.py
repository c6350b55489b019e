"""The commands of bandit_runner: parse, call, print. One command per file."""

from binsafe.cli import light

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
    light.load_paths()
    light.load_structs()
    light.load_click()
    from bandit_runner.cli.group import group
    from binsafe.cli.commands import run

    run(group, "bandit_runner")
