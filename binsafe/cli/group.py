"""The group of all commands, as click shows it."""

import click

from binsafe import __version__
from binsafe.cli import COMMANDS
from binsafe.cli.commands import Commands


@click.command(
    cls=Commands,
    package="binsafe.cli",
    names=COMMANDS,
    epilog="Start with: binsafe inspect flakyservers",
)
@click.version_option(__version__, prog_name="binsafe")
def group() -> None:
    """Look at an executable without running it, derive the least it needs, and run it under exactly that."""
