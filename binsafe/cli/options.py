"""Options that `profile` and `run` share: what to grant."""

import math
import threading
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


class Seconds(click.FloatRange):
    """A time that can be waited for: more than 0, and no more than the system's clocks count."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=threading.TIMEOUT_MAX)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; ``nan``, which is not above any limit, is none."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value} is no time.", param, ctx)
        return seconds


def grants(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command; they arrive as the fields of `Asked`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
