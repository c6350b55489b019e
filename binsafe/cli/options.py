"""Options that `profile` and `run` share: what to grant."""

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--ports",
        multiple=True,
        metavar="SPEC",
        help="TCP ports to listen on: a count of the baseline's own (30), ports (:8080), ranges (4000-4009,5000).",
    ),
    click.option("--baseline", metavar="NAME|PATH", help="What this kind of program may have at most."),
    click.option("--read", multiple=True, metavar="PATH", help="Let it read a file or folder."),
    click.option("--write", multiple=True, metavar="PATH", help="Let it write a file or folder."),
    click.option("--connect", multiple=True, metavar="HOST:PORT", help="Let it connect there: data can leave by it."),
    click.option("--exec", "execute", multiple=True, metavar="PATH", help="Let it execute another program."),
    click.option("--pack", multiple=True, metavar="NAME", help="Add a runtime pack (python, locale, gconv, ...)."),
)


def grants(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command; they arrive as the fields of `Asked`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
