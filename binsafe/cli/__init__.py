"""The commands: parse, call, print. One command per file; what they do lives in the packages below.

Nothing is loaded here: a start of a program begins with what takes longest, and reads its options beside it.
"""

import gc
import os
import sys

COMMANDS = ("inspect", "syscalls", "profile", "check", "ask", "run", "diff", "scan", "doctor")
"""In the order in which a person needs them; each is a module of this package with a ``command``."""

_PROGRAM = "binsafe"
_MANY_OBJECTS = 100_000
"""Objects to be made before the garbage collector looks: modules make tens of thousands, which all stay."""


def main() -> None:
    """The console script."""
    if sys.argv[1:2] == ["run"]:
        _start()
    from binsafe.cli.commands import run
    from binsafe.cli.group import group

    run(group, _PROGRAM)


def _start() -> None:
    """The same where every millisecond counts: options are read while a part of the sandbox starts."""
    gc.set_threshold(_MANY_OBJECTS)
    from binsafe.cli.inherited import open_standard_streams
    from binsafe.sandbox import prepare

    open_standard_streams()
    prepared = prepare()
    from binsafe.cli.commands import conduct
    from binsafe.cli.group import group

    status = conduct(group, _PROGRAM, obj=prepared)
    if prepared is not None:
        prepared.close()
    os._exit(status)  # all is closed and written; to take the interpreter apart as well takes 5 ms
