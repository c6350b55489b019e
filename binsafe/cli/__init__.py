"""The commands: parse, call, print. One command per file (`COMMANDS`); what they do lives in the packages below.

What is more than a page, or has to start without click, stands beside the command::

    inspect         looking
    syscalls        calls
    run             plain (its options without click)  starting  background (threads)  taking  running  waiting  denials
                    remembered (policies of earlier runs)  first_run (inspects and derives one)
    run profile     asked  deriving
    profile         proposing
    check ask       profiletext
    all             entry (the frame: errors)  statuses  inherited  commands group options (click)  light  writing

Nothing is loaded here: the start of a program has its own way to its options (``plain``).
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
    os._exit(_conducted())  # all is closed and written; to take the interpreter apart as well takes 10 ms


def _conducted() -> int:
    """The status of the command line, when it has been done."""
    from binsafe.cli.entry import conduct

    if sys.argv[1:2] == ["run"] and sys.platform == "linux":
        from binsafe.cli.inherited import end_on_interrupt

        end_on_interrupt()
        return conduct(_start, _PROGRAM, failed=125)  # as NotEnforceable's: 2 may be the program's own
    match sys.argv[1:]:
        case ["syscalls", file] if not file.startswith("-"):
            return conduct(_list_calls, _PROGRAM)
        case ["inspect", file] | ["inspect", file, "--json"] if not file.startswith("-"):
            return conduct(_look, _PROGRAM)
    return conduct(_follow, _PROGRAM)


def _start() -> object:
    from binsafe.cli import light

    light.load_paths()
    from binsafe.cli.plain import read

    options = read(sys.argv[2:])
    if options is None:
        return _follow()
    from binsafe.cli.starting import start

    return start(options)


def _list_calls() -> object:
    """What ``binsafe syscalls FILE`` does, without the seventh of its time that it takes to load click."""
    _load_lightly()
    from binsafe.cli.calls import show

    return show(sys.argv[2])


def _look() -> object:
    """The same for ``binsafe inspect FILE`` and ``binsafe inspect FILE --json``."""
    _load_lightly()
    from binsafe.cli.looking import look

    return look(sys.argv[2], format_="json" if sys.argv[3:] else "text")


def _load_lightly() -> None:
    from binsafe.cli import light

    light.load_paths()
    light.load_structs()


def _follow() -> object:
    from binsafe.cli import light

    light.load_paths()
    light.load_click()
    from binsafe.cli.commands import follow
    from binsafe.cli.group import group

    return follow(group, _PROGRAM)
