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
    sys.modules.setdefault("typing_extensions", None)  # type: ignore[arg-type]  # hidden: msgspec needs none of it
    os._exit(_conducted())  # all is closed and written; to take the interpreter apart as well takes 10 ms


def _conducted() -> int:
    """The status of the command line, when it has been done."""
    if sys.argv[1:2] == ["run"] and sys.platform == "linux":
        from binsafe.cli.inherited import end_on_interrupt

        end_on_interrupt()
        from binsafe.cli.apart import start

        return start(_PROGRAM)
    from binsafe.cli.commands import follow
    from binsafe.cli.entry import conduct
    from binsafe.cli.group import group

    return conduct(lambda: follow(group, _PROGRAM), _PROGRAM)
