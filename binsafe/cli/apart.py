"""The start of a program, where every millisecond counts: two processes load what takes longest, side by side.

A forked one loads click and reads the options, of which it passes on the values; what is wrong in them it says itself.
This one loads what runs a program, and starts the sandbox's own interpreter meanwhile. Nothing that is imported here
imports click.
"""

import fcntl
import marshal
import os
import sys
from collections.abc import Callable
from typing import Any

from binsafe.cli.beside import beside
from binsafe.cli.entry import conduct

Options = dict[str, Any]


def start(name: str) -> int:
    """Do what a command line that begins with "run" says; returns the status that the process is to end with."""
    return conduct(lambda: _start(name), name)


def _start(name: str) -> int:
    options = beside(_reading(name))
    from binsafe.cli.taking import take
    from binsafe.sandbox import preparing

    def take_file() -> Any:
        asked = options()
        return None if isinstance(asked, int) else take(asked["file"])

    taken = beside(take_file)
    prepared = preparing.prepare()
    try:
        from binsafe.cli.running import run

        preparing.load()
        asked = options()
        return asked if isinstance(asked, int) else run(prepared, taken, **asked)
    finally:
        if prepared is not None:
            prepared.close()


def _reading(name: str) -> Callable[[], Options | int]:
    """Read the command line in a forked process; returns a function that waits for the options or its exit status."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os._exit(_tell_options(name, write))
    os.close(write)

    def outcome() -> Options | int:
        with open(read, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
            told = stream.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0 and told:
            options: Options = marshal.loads(told)  # noqa: S302 - what we have forked has written it
            return options
        return status if status >= 0 else 128 - status

    return outcome


def _tell_options(name: str, write: int) -> int:
    """In the forked process: write the options to the descriptor ``write``, or the error to standard error."""
    fcntl.fcntl(write, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(write, fcntl.F_SETFL, os.O_ASYNC)  # when whoever reads has gone we get SIGIO, and end (fcntl(2))

    def hand_on(options: Options) -> int:
        fcntl.fcntl(write, fcntl.F_SETFL, 0)  # reading makes room, which would be a reason as well
        with open(write, "wb") as stream:
            marshal.dump(options, stream)
        return 0

    def read() -> object:
        from binsafe.cli.commands import follow
        from binsafe.cli.group import group

        return follow(group, name, hand_on)

    try:
        return conduct(read, name)
    except BaseException:  # noqa: BLE001 - nothing may go on in what the other process does
        sys.excepthook(*sys.exc_info())
        return 1
