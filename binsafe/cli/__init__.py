"""The commands: parse, call, print. One command per file; what they do lives in the packages below.

Nothing is loaded here: the start of a program has its own way to its options (``apart``).
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
    gc.set_threshold(_MANY_OBJECTS)
    if sys.argv[1:2] == ["run"] and sys.platform == "linux":
        from binsafe.cli.inherited import end_on_interrupt

        end_on_interrupt()
        from binsafe.cli.apart import start

        os._exit(start(_PROGRAM))  # all is closed and written; to take the interpreter apart as well takes 5 ms
    from binsafe.cli.commands import run
    from binsafe.cli.group import group

    run(group, _PROGRAM)
