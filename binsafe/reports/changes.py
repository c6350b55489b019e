"""A difference as text for a terminal, Markdown for a pull request, and JSON."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import msgspec

from binsafe.limits import MAX_OUTPUT_BYTES
from binsafe.model.difference import Change, Difference
from binsafe.reports.escape import escape
from binsafe.reports.markdown import code_span, prose

_SIGNS = {"gained": "+", "lost": "-", "changed": "~"}
_MOST = 400
_LONGEST = 300


def text(difference: Difference) -> str:
    """A line for each change, and one for each piece of evidence; nothing but a word where there is none."""
    lines = [f"{difference.old.name} -> {difference.new.name}"]
    if not difference.changes:
        lines.append(_nothing(difference))
    for change in difference.changes[:_MOST]:
        lines.append(
            f"{_SIGNS[change.kind]} {change.severity:<9}{change.subject}: {change.item}  {change.where}".rstrip()
        )
        lines += [f"    {line}" for line in _below(change)]
    lines += _rest(difference)
    return "\n".join(escape(line[:_LONGEST]) for line in lines) + "\n"


def markdown(difference: Difference) -> str:
    """A table with the most severe changes first; less than a comment on a pull request may hold."""
    lines = [f"## {prose(difference.old.name)} → {prose(difference.new.name)}", ""]
    if not difference.changes:
        lines.append(prose(_nothing(difference)))
    else:
        lines += ["| | severity | what | change | where | evidence |", "|---|---|---|---|---|---|"]
    for change in difference.changes[:_MOST]:
        place = next(iter(change.evidence), None)
        shown = " ".join(part for part in (place.address, place.symbol) if part) if place is not None else ""
        cells = (change.severity.value, change.subject, _short(change.item), change.where, shown)
        lines.append(f"| {code_span(_SIGNS[change.kind])} | {' | '.join(prose(cell) for cell in cells)} |")
        if sum(map(len, lines)) > _COMMENT:
            lines.append(f"\nand {len(difference.changes) - difference.changes.index(change) - 1} more.")
            break
    lines += ["", *(f"- {prose(line)}" for line in _rest(difference))]
    return "\n".join(lines).rstrip() + "\n"


def as_json(difference: Difference) -> str:
    """``binsafe.difference/1``; ASCII only."""
    import json  # noqa: PLC0415 - the other outputs do without

    built = msgspec.json.decode(msgspec.json.encode(difference))
    return json.dumps(built, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f") + "\n"


_COMMENT = min(60_000, MAX_OUTPUT_BYTES)
"""GitHub takes comments of 65,536 characters."""

CHANGES: Mapping[str, Callable[[Difference], str]] = MappingProxyType(
    {"text": text, "json": as_json, "markdown": markdown}
)
"""Name on the command line -> what makes that output."""


def _nothing(difference: Difference) -> str:
    if difference.same_bytes:
        return "no difference: the same bytes"
    if not difference.analysed or difference.not_compared:
        return "no difference in what could be compared"
    return "no difference in what they can do"


def _below(change: Change) -> Iterator[str]:
    if change.detail:
        yield change.detail
    for evidence in change.evidence:
        yield " ".join(part for part in (evidence.address, evidence.symbol, f"({evidence.via})") if part)


def _rest(difference: Difference) -> Iterator[str]:
    if len(difference.changes) > _MOST:
        yield f"and {len(difference.changes) - _MOST} more changes (--format json has all)"
    yield from (f"not compared: {what}" for what in difference.not_compared[:20])


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."
