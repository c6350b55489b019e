"""What the commands that read and write runs share: which store, and its option."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bandit_runner.cli.options import File


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--store PATH``: None means the default, which is looked up when it is needed."""
    return click.option(
        "--store",
        type=File(dir_okay=False),
        help="Keep or read runs there, not in the user's data folder.",
    )(command)


def chosen(store: Path | None) -> Path:
    """The store that was named, or the default one."""
    from bandit_runner.runs import default_path

    return default_path() if store is None else store


def safe(text: str) -> str:
    """Lines that may hold names from a file, without power over a terminal."""
    from binsafe import escape

    return "\n".join(map(escape, text.split("\n")))
