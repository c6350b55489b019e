"""What every command shares: loading on first use, errors as one line with a hint, exit statuses."""

import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import click

INTERRUPTED = 130


class Explained(Protocol):
    """An error that says what to do next and how the command ends."""

    hint: str
    exit_status: int


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


def run(group: click.Command, name: str) -> None:
    """Run a command line and end the process; every error that carries a hint becomes two lines, never a traceback."""
    _open_standard_streams()
    try:
        status = group.main(prog_name=name, standalone_mode=False)
        if sys.stdout is not None:  # it is where the caller closed it
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except Exception as error:
        if not hasattr(error, "hint") or not hasattr(error, "exit_status"):
            raise
        complain(name, str(error), error.hint)
        status = error.exit_status
    sys.exit(status if isinstance(status, int) else 0)


def _open_standard_streams() -> None:
    """Stand in for descriptors 0 to 2 that the caller closed, so that no file of ours becomes one of them."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:  # noqa: PLR2004 - the last standard stream
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def complain(name: str, message: str, hint: str) -> None:
    """One line for what is wrong, one for what to do."""
    from binsafe.reports.escape import escape

    click.echo(f"{name}: {escape(message)}", err=True)
    click.echo(f"  hint: {escape(hint)}", err=True)


def note(message: str) -> None:
    """A line for the person who waits, on standard error."""
    click.echo(message, sys.stderr, err=True)  # the object, not what is below it: a progress bar may stand in for it
