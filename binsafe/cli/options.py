"""Options that several commands share: what to grant, and where a result goes in which form."""

import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from binsafe.cli.statuses import SEVERITIES

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
    click.option("--exec", multiple=True, metavar="PATH", help="Let it execute another program."),
    click.option("--pack", multiple=True, metavar="NAME", help="Add a runtime pack (python, locale, gconv, ...)."),
)

fail_on_option = click.option(
    "--fail-on", type=click.Choice(("none", *SEVERITIES[1:])), default="none", help="Exit 1 on findings this severe."
)

prelude_option = click.option(
    "--prelude",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Read before PROFILE, as one text with it. Repeatable.",
)


class Seconds(click.FloatRange):
    """A time that can be waited for: more than 0, and no more than the system's clocks count."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)  # help would show the clocks' end, which nobody means to reach

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; ``nan``, which is not above any limit, is none."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value} is no time.", param, ctx)
        if seconds > threading.TIMEOUT_MAX:
            self.fail(f"{value} is more seconds than can be waited for.", param, ctx)
        return seconds


def outputs(*formats: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--format`` with these formats, the first by default; ``--json``, if that is one of them; ``--output``."""
    options = [
        click.option(
            "--format",
            "format_",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="Form of the output.",
        ),
        click.option(
            "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to standard output."
        ),
    ]
    if "json" in formats:
        options.insert(1, click.option("--json", "format_", flag_value="json", help="The same as --format json."))
    return lambda function: _added(options, function)


def grants(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that grant something; they arrive as the fields of `Asked`."""
    return _added(_OPTIONS, function)


def _added(options: Sequence[Callable[..., Any]], function: Callable[..., Any]) -> Callable[..., Any]:
    """The command with options, which --help shows in their order."""
    for option in reversed(options):
        function = option(function)
    return function
