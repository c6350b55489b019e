"""The commands of bandit_runner: parse, call, print. One command per file."""

import click

from binsafe import __version__
from binsafe.cli.commands import Commands, run

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


@click.command(cls=Commands, package=__name__, names=COMMANDS, epilog="Start with: bandit_runner start")
@click.version_option(__version__, prog_name="bandit_runner")
def group() -> None:
    """Run thirty flaky servers in binsafe's sandbox and play bandit strategies against them."""


def main() -> None:
    """The console script."""
    run(group, "bandit_runner")
