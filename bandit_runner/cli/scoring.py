"""The options that say what an attempt too many costs."""

from collections.abc import Callable, Mapping
from typing import Any

import click
import msgspec

from bandit_runner.model import SCORINGS, Scoring

_FIELDS = ("penalty", "free_attempts", "max_attempts")

_OPTIONS = (
    click.option(
        "--scoring",
        type=click.Choice(sorted(SCORINGS)),
        default="statement",
        show_default=True,
        help="What attempts cost: by the task's statement, the original code or the blog.",
    ),
    click.option("--penalty", type=float, help="Points per attempt after the free ones."),
    click.option("--free-attempts", type=int, help="Attempts of an id that cost nothing."),
    click.option("--max-attempts", type=int, help="Attempts of an id at most."),
)


def scoring_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--scoring`` and what overrides it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def scoring(given: Mapping[str, Any]) -> Scoring:
    """The scoring that these options ask for."""
    changes = {name: given[name] for name in _FIELDS if given[name] is not None}
    return msgspec.structs.replace(SCORINGS[given["scoring"]], **changes)
