"""The report for people: one screen that says what it is, who signed it, what it can do and what to do about it."""

import textwrap
from collections.abc import Iterator

from binsafe.model import Report
from binsafe.reports.escape import escape, short_words
from binsafe.reports.outline import outline, shown_members
from binsafe.reports.rows import Item, Row, Section
from binsafe.reports.style import Style, plain

_LABEL = 14
_INDENT = 2
_NARROWEST = 40
_LONGEST = 2_000
"""Characters of one word that are shown; JSON has them all."""


def render(report: Report, *, verbose: int = 0, width: int = 100, style: Style = plain) -> str:
    """The report as lines of at most ``width`` columns, words that are longer excepted; see :func:`outline`."""
    lines = _Lines(max(width, _NARROWEST), style)
    sections = list(outline(report, verbose=verbose))
    shown = [line for section in sections for line in ("", *lines.section(section))][1:]
    verdict = lines.row(Row("", f"Verdict: {report.verdict.level}", report.verdict.level), 0)
    members = [line for path, inner in shown_members(report, verbose) for line in _member(path, inner, verbose, lines)]
    if report.members and not members:
        members = ["", *lines.row(Row("", "-vv shows what is known of each of them", "dim"), 0)]
    return "\n".join([*shown, *members, "", *verdict, *lines.row(Row("", report.verdict.advice), 1)]) + "\n"


def _member(path: str, report: Report, verbose: int, lines: "_Lines") -> Iterator[str]:
    """A member's own facts and findings, under its path."""
    yield ""
    yield from lines.row(Row("", f"== {path}: {report.verdict.level}", report.verdict.level), 0)
    for section in outline(report, verbose=verbose):
        yield from lines.section(section)


class _Lines:
    """Rows as lines of a width; the only place where text from the file becomes output."""

    def __init__(self, width: int, style: Style) -> None:
        self._width = width
        self._style = style

    def section(self, section: Section) -> Iterator[str]:
        yield from self.row(Row("", section.title, "title"), 0)
        for row in section.rows:
            yield from self.row(row, 1)

    def row(self, row: Row, depth: int) -> Iterator[str]:
        """The text and the evidence behind the label, then the rows below, further in."""
        indent = " " * (_INDENT * depth)
        label = escape(row.label)
        lead = f"{label:<{_LABEL - 1}} " if label else ""
        hanging = indent + " " * len(lead)
        lines = [self._style(row.role, line) for line in self._wrapped(row.text, hanging)] if row.text else []
        lines += [line for item in row.items for line in self._item(item, hanging)]
        for number, line in enumerate(lines or [""]):
            start = indent + self._style("label", lead) if number == 0 and lead else hanging
            yield (start + line).rstrip()
        for below in row.rows:
            yield from self.row(below, depth + 1)

    def _item(self, item: Item, hanging: str) -> Iterator[str]:
        yield from self._wrapped(item.text, hanging)
        yield from (self._style("dim", "  " + escape(line)) for line in item.code)

    def _wrapped(self, text: str, hanging: str) -> list[str]:
        shown = escape(short_words(text, _LONGEST))
        room = max(self._width - len(hanging), _NARROWEST // 2)
        return textwrap.wrap(shown, room, break_long_words=False, break_on_hyphens=False) or [""]
