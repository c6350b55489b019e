"""What the command lines share: loading on first use, errors as one line with a hint, exit statuses."""

import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from binsafe.cli.entry import complain
from binsafe.cli.inherited import open_standard_streams, wait_for_children

USAGE = 2
INTERRUPTED = 130


class Commands(click.Group):
    """Commands that live in modules of a package and are imported when they are asked for."""

    def __init__(self, *, package: str, names: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self._package = package
        self._names = tuple(names)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the given order, not the alphabet's."""
        del ctx
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The module's ``command``."""
        del ctx
        if cmd_name not in self._names:
            return None
        module = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = importlib.import_module(f"{self._package}.{module}").command
        return command


def run(group: click.Command, name: str) -> NoReturn:
    """Run a command line and end the process."""
    sys.exit(conduct(group, name))


def _forget_output() -> None:
    """Let what is still to be written go nowhere, so that ending does not fail on it again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def conduct(group: click.Command, name: str, obj: object = None) -> int:
    """Run a command line, whose commands may ask for ``obj``; returns the status that the process is to end with.

    Every error that carries a hint becomes two lines, never a traceback.
    """
    open_standard_streams()
    wait_for_children()
    try:
        status = group.main(prog_name=name, standalone_mode=False, obj=obj)
        if sys.stdout is not None:  # it is where the caller closed it
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        _forget_output()
        status = 1
    except OSError as error:  # a disk that is full or cannot be written, which no command can help
        where = error.filename or "the output"
        complain(name, f"cannot write or read {where}: {error.strerror or error}", "make room, or name another place")
        _forget_output()
        status = USAGE
    except Exception as error:
        if not hasattr(error, "hint") or not hasattr(error, "exit_status"):
            raise
        complain(name, str(error), error.hint)
        status = error.exit_status
    return status if isinstance(status, int) else 0
