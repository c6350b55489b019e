"""The group of all commands, as click shows it."""

import click

from bandit_runner.cli import COMMANDS
from binsafe import __version__
from binsafe.cli.commands import Commands


@click.command(cls=Commands, package="bandit_runner.cli", names=COMMANDS, epilog="Start with: bandit_runner start")
@click.version_option(__version__, prog_name="bandit_runner")
def group() -> None:
    """Run thirty flaky servers in binsafe's sandbox and play bandit strategies against them."""
