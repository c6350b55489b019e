"""The commands: parse, call, print. One command per file; what they do lives in the packages below."""

import click

from binsafe import __version__
from binsafe.cli.entry import Commands, run

COMMANDS = ("inspect", "syscalls", "profile", "check", "ask", "run", "diff", "scan", "doctor")
"""In the order in which a person needs them; each is a module of this package with a ``command``."""


@click.command(
    cls=Commands,
    package=__name__,
    names=COMMANDS,
    epilog="Start with: binsafe inspect flakyservers",
)
@click.version_option(__version__, prog_name="binsafe")
def group() -> None:
    """Look at an executable without running it, derive the least it needs, and run it under exactly that."""


def main() -> None:
    """The console script."""
    run(group, "binsafe")
