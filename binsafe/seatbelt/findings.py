"""What the checker says."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from binsafe.seatbelt.nodes import Place
from binsafe.seatbelt.program import Filter, Rule

Level = Literal["error", "warning", "note"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something at a place, with what was expected there."""

    level: Level
    place: Place
    message: str
    expected: str


def every_filter(rule: Rule) -> Iterator[Filter]:
    """The filters of a rule, those inside of combining ones included."""
    waiting = list(rule.filters)
    while waiting:
        each = waiting.pop(0)
        yield each
        waiting += (argument for argument in each.arguments if isinstance(argument, Filter))
