"""A difference as text for a terminal, Markdown for a pull request, and JSON."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

from binsafe.limits import MAX_OUTPUT_BYTES
from binsafe.model import Severity
from binsafe.model.difference import DIFFERENCE_SCHEMA, Change, Difference
from binsafe.reports.escape import escape, shortened
from binsafe.reports.markdown import code_span, prose

SCHEMA_FILE = "difference.schema.json"

_SIGNS = {"gained": "+", "lost": "-", "changed": "~"}
_MAX_ROWS = 400
_MAX_CHARACTERS = 300
_MAX_ALARMING = 12
_MAX_ITEMS = 6
_MAX_NAME = 80
_MAX_NOT_COMPARED = 8


def text(difference: Difference, *, verbose: int = 0) -> str:
    """The sentence that matters most, then each change that is alarming, then the others by what they are about.

    With ``verbose`` each change and all its evidence.
    """
    lines = [difference.summary, f"{difference.old.path} -> {difference.new.path}", ""]
    alarming = [change for change in difference.changes if change.severity.rank >= Severity.MEDIUM.rank]
    shown = difference.changes if verbose else alarming[:_MAX_ALARMING]
    for change in shown:
        lines.append(
            f"{_SIGNS[change.kind]} {change.severity:<9}{change.subject}: {change.item}  {change.where}".rstrip()
        )
        lines += [f"    {line}" for line in _below(change, verbose)]
    if len(shown) < len(alarming):
        lines.append(f"  and {len(alarming) - len(shown)} more, none of them worse (-v)")
    if not verbose:
        lines += ["", *_together(difference.changes[len(alarming) :])]
    lines += ["", *_rest(difference, len(difference.changes) if verbose else 0)]
    return "\n".join(escape(line if verbose else line[:_MAX_CHARACTERS]) for line in _spaced(lines)) + "\n"


def _together(changes: Sequence[Change]) -> Iterator[str]:
    """A line for all changes of a kind that are about the same: how many, and the first few."""
    alike: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for change in changes:
        alike[_SIGNS[change.kind], change.subject][change.item] = None
    for (sign, subject), items in alike.items():
        names = list(items)
        more = f", and {len(names) - _MAX_ITEMS} more (-v)" if len(names) > _MAX_ITEMS else ""
        yield f"{sign} {subject}: {', '.join(shortened(name, _MAX_NAME) for name in names[:_MAX_ITEMS])}{more}"


def _spaced(lines: Iterable[str]) -> Iterator[str]:
    """One blank line between paragraphs, none at the end."""
    blank = False
    for line in lines:
        if line:
            yield from ("", line) if blank else (line,)
        blank = not line


def markdown(difference: Difference, *, verbose: int = 0) -> str:
    """A table, the most severe first; unless ``verbose`` it fits into a comment on a pull request."""
    lines = [f"## {prose(difference.old.name)} → {prose(difference.new.name)}", ""]
    lines += [f"> **{prose(difference.summary)}**", ""]
    if difference.changes:
        lines += ["| | severity | what | change | where | evidence |", "|---|---|---|---|---|---|"]
    for change in difference.changes if verbose else difference.changes[:_MAX_ROWS]:
        place = next(iter(change.evidence), None)
        shown = " ".join(part for part in (place.address, place.symbol) if part) if place is not None else ""
        cells = (change.severity.value, change.subject, shortened(change.item, _MAX_CHARACTERS), change.where, shown)
        lines.append(f"| {code_span(_SIGNS[change.kind])} | {' | '.join(prose(cell) for cell in cells)} |")
        if not verbose and sum(map(len, lines)) > _MAX_COMMENT:
            lines.append(f"\nand {len(difference.changes) - difference.changes.index(change) - 1} more.")
            break
    lines += ["", *(f"- {prose(line)}" for line in _rest(difference, _MAX_ROWS))]
    return "\n".join(lines).rstrip() + "\n"


def as_json(difference: Difference, *, verbose: int = 0) -> str:
    """``binsafe.difference/1``; ASCII only, and without ``verbose`` of bounded size: the least severe are left out."""
    shown, kept = _document(difference), len(difference.changes)
    while not verbose and len(shown) > MAX_OUTPUT_BYTES and kept:
        kept = min(kept - 1, kept * MAX_OUTPUT_BYTES // len(shown))
        left = len(difference.changes) - kept
        shown = _document(msgspec.structs.replace(difference, changes=difference.changes[:kept], changes_omitted=left))
    return shown


def _document(difference: Difference) -> str:
    from binsafe.reports import schemas  # the other outputs do without

    return schemas.pretty(msgspec.json.decode(msgspec.json.encode(difference)))


_MAX_COMMENT = min(60_000, MAX_OUTPUT_BYTES)
"""GitHub takes comments of 65,536 characters."""


def schema_text() -> str:
    """The schema of `as_json` as :data:`SCHEMA_FILE` holds it."""
    from binsafe.reports import schemas

    title = "What binsafe diff says of two artifacts"
    return schemas.pretty(schemas.describe(Difference, DIFFERENCE_SCHEMA, title))


CHANGES: Mapping[str, Callable[..., str]] = MappingProxyType({"text": text, "json": as_json, "markdown": markdown})
"""Name on the command line -> what makes that output."""


def _below(change: Change, verbose: int) -> Iterator[str]:
    """The reason and the evidence: one place, or all."""
    if change.detail:
        yield change.detail
    for evidence in change.evidence if verbose else change.evidence[:1]:
        yield " ".join(part for part in (evidence.address, evidence.symbol, f"({evidence.via})") if part)


def _rest(difference: Difference, shown: int) -> Iterator[str]:
    """Lines below the changes: how many were left out beyond the first ``shown`` (0: none), what was not compared."""
    if 0 < shown < len(difference.changes):
        yield f"and {len(difference.changes) - shown} more changes (--format json has all)"
    yield from (f"not compared: {what}" for what in difference.not_compared[:_MAX_NOT_COMPARED])
    if len(difference.not_compared) > _MAX_NOT_COMPARED:
        yield f"not compared: {len(difference.not_compared) - _MAX_NOT_COMPARED} more (--format json has all)"
