"""Violations that were reported -> the grants that would have allowed them, each with its reason: proposals, no more.

The objects in a report were chosen by the program that was denied, which may hope that somebody grants them unread. So
a proposal is a value that our own options take, never a piece of a command line, and none is applied without asking.
"""

import json
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from binsafe.errors import BaselineError
from binsafe.model import Violation
from binsafe.model.policy import GrantKind
from binsafe.model.violation import VIOLATION_SCHEMA
from binsafe.policy.objects import ObjectError, check_object, port_number

MAX_LINES: Final = 100_000
MAX_PROPOSALS: Final = 200

_GRANT: Final = re.compile(r"--(ports|read|write|connect|exec) (.+)", re.DOTALL)
_KINDS: Final[dict[str, GrantKind]] = {"read": "read", "write": "write", "connect": "connect", "exec": "execute"}
_WARNINGS: Final = {
    "connect": "data can leave through it",
    "exec": "another program runs, with all that this one may",
    "write": "it may change or remove what is there",
}


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A grant that the user may want to give. ``option`` is that of the command line, without ``--``."""

    option: str
    value: str
    reason: str

    @property
    def words(self) -> tuple[str, str]:
        """The option as it is typed."""
        return f"--{self.option}", self.value


def proposals(lines: Iterable[str], origin: str) -> tuple[Proposal, ...]:
    """What a report of violations would need, each once, in the order of the report; expected denials need nothing.

    Raises:
        BaselineError: a line is no violation; the message begins ``FILE:LINE:COLUMN:``.
    """
    found: dict[tuple[str, str], list[Violation]] = {}
    for number, line in enumerate(lines, 1):
        if number > MAX_LINES:
            raise BaselineError(f"{origin}:{number}:1: more than {MAX_LINES} lines", hint="expected a shorter report")
        if not line.strip():
            continue
        violation = _violation(line, f"{origin}:{number}")
        grant = _grant(violation)
        if grant is not None and not violation.expected and (grant in found or len(found) < MAX_PROPOSALS):
            found.setdefault(grant, []).append(violation)
    return tuple(
        Proposal(option=option, value=value, reason=_reason(option, violations))
        for (option, value), violations in found.items()
    )


def _violation(line: str, place: str) -> Violation:
    hint = f"expected a line of {VIOLATION_SCHEMA}, as `binsafe run --report` writes them"
    try:
        violation = msgspec.convert(json.loads(line), Violation, strict=True)
    except json.JSONDecodeError as problem:
        raise BaselineError(f"{place}:{problem.colno}: no JSON: {problem.msg}", hint=hint) from None
    except (msgspec.ValidationError, RecursionError, ValueError) as problem:
        raise BaselineError(f"{place}:1: {problem}", hint=hint) from None
    if violation.schema != VIOLATION_SCHEMA:
        raise BaselineError(f"{place}:1: unknown schema {violation.schema!r}", hint=hint)
    return violation


def _grant(violation: Violation) -> tuple[str, str] | None:
    """Option and value of the grant that a violation names, where both are what our options take."""
    match = _GRANT.fullmatch(violation.grant or "")
    if match is None:
        return None
    option, value = match.groups()
    try:
        if option == "ports":
            return option, f":{port_number(value.removeprefix(':'), lowest=0)}"
        return option, check_object(_KINDS[option], value)
    except ObjectError:
        return None


def _reason(option: str, violations: list[Violation]) -> str:
    first = violations[0]
    times = "once" if len(violations) == 1 else f"{len(violations)} times"
    foreseen = "inspection had found that it can" if first.predicted else "inspection had not found this"
    warning = f"; {_WARNINGS[option]}" if option in _WARNINGS else ""
    return f"{first.operation} {first.object} was denied {times}; {foreseen}{warning}"
