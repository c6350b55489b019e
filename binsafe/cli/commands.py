"""What the command lines share: commands that are loaded on first use, and how one is read."""

import gc
import importlib
import keyword
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from binsafe.cli import light
from binsafe.cli.entry import INTERRUPTED, conduct


class Commands(click.Group):
    """Commands that live in modules of a package and are imported when they are asked for."""

    def __init__(self, *, package: str, names: Sequence[str], **options: Any) -> None:
        super().__init__(context_settings={"help_option_names": ["-h", "--help"]}, **options)
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

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click's; of a name that no command has it says which are near."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            if near := difflib.get_close_matches(args[0], self._names):
                raise click.UsageError(f"{error.message} Did you mean {' or '.join(near)}?", error.ctx) from error
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Do what the command does."""
        light.load_structs()
        return super().invoke(ctx)


def run(group: click.Command, name: str) -> NoReturn:
    """Run a command line and end the process."""
    status = conduct(lambda: follow(group, name), name)
    gc.freeze()  # the interpreter ends by looking for cycles in all that was loaded, which takes milliseconds
    sys.exit(status)


def follow(group: click.Command, name: str) -> object:
    """Parse the command line and run the command; usage errors look as click's do.

    Returns what the command returned, or the exit status of a usage error.
    """
    try:
        return group.main(prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
