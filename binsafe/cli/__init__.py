"""The commands: parse, call, print. One command per file; what they do lives in the packages below.

A start of a program should not wait for the library that explains options: a plain command line of `run` is read
without it (``plain``), everything else by click.
"""

import sys
from typing import NoReturn

COMMANDS = ("inspect", "syscalls", "profile", "check", "ask", "run", "diff", "scan", "doctor")
"""In the order in which a person needs them; each is a module of this package with a ``command``."""

PROGRAM = "binsafe"


def main() -> NoReturn:
    """The console script."""
    if sys.argv[1:2] == ["run"]:
        from binsafe.cli import plain

        if (line := plain.read(sys.argv[2:])) is not None:
            plain.start(line, PROGRAM)
    from binsafe.cli.commands import run
    from binsafe.cli.group import group

    run(group, PROGRAM)
