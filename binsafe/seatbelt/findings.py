"""What the checker says."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from binsafe.seatbelt.nodes import Place
from binsafe.seatbelt.program import Filter, Program, Rule

Level = Literal["error", "warning", "note"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something at a place, with what was expected there."""

    level: Level
    place: Place
    message: str
    expected: str


def error(place: Place, message: str, expected: str) -> Finding:
    """Libsandbox refuses it, or it cannot mean what it says; the launch fails or the rule is void."""
    return Finding(level="error", place=place, message=message, expected=expected)


def warning(place: Place, message: str, expected: str) -> Finding:
    """It opens more than a reader would think."""
    return Finding(level="warning", place=place, message=message, expected=expected)


def note(place: Place, message: str, expected: str) -> Finding:
    """Worth a look: wide on purpose, doubled, decided by order."""
    return Finding(level="note", place=place, message=message, expected=expected)


def every_filter(rule: Rule) -> Iterator[Filter]:
    """The filters of a rule, those inside of combining ones included."""
    waiting = list(rule.filters)
    while waiting:
        each = waiting.pop(0)
        yield each
        waiting += (argument for argument in each.arguments if isinstance(argument, Filter))


def all_rules(program: Program) -> Iterator[Rule]:
    """The rules, and after each one those of its message filter."""
    for rule in program.rules:
        yield rule
        yield from rule.messages


def all_filters(program: Program) -> Iterator[Filter]:
    """Those of all rules."""
    for rule in all_rules(program):
        yield from every_filter(rule)
