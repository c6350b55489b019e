"""The report as one HTML page: the verdict first, then the findings, then every fact with its evidence folded."""

from collections.abc import Iterator

from binsafe.model import Finding, Report, Verdict
from binsafe.reports.escape import shortened
from binsafe.reports.findings import finding_row
from binsafe.reports.outline import outline
from binsafe.reports.page import element, page, shown
from binsafe.reports.rows import Item, Row, Section
from binsafe.reports.rules import rule

_FEW = 3
"""Rows below another that are shown without being asked for."""
_SAID = {
    "ok": "Nothing alarming was found",
    "caution": "Be careful",
    "danger": "Do not run it",
    "unknown": "Not known: do not run it",
}
_FOLDED_FROM = 200
"""Characters from which a value is folded."""


def render(report: Report, *, verbose: int = 0, width: int = 100) -> str:
    """A whole document. Evidence is always there, folded; ``verbose`` adds the code around it, as in the text."""
    del width  # a page has no columns
    return page(f"{report.artifact.name}: {report.verdict.level} - binsafe", _body(report, max(verbose, 1)))


def _body(report: Report, verbose: int) -> Iterator[str]:
    sections = list(outline(report, verbose=verbose))
    head = next(section for section in sections if section.role == "head")
    yield "<header>"
    yield element("h1", shortened(report.artifact.name, _FOLDED_FROM))
    yield element("p", head.title.removeprefix(f"{report.artifact.name}: "), "under")
    yield from verdict(report.verdict)
    yield "</header>"
    yield "<main>"
    yield from _findings(report, verbose)
    yield from _members(report, verbose)
    yield from _facts(Section("The file", "head", head.rows))
    for section in sections:
        if section.role in {"slice", "strings"}:
            yield from _facts(section)
    yield "</main>"
    yield f"<footer>binsafe looked at this file without running it. Report format: {shown(report.schema)}</footer>"


def verdict(said: Verdict) -> Iterator[str]:
    """The verdict as a banner."""
    yield f'<div class="verdict {said.level}" role="status">'
    yield f"<strong>{_SAID[said.level]} <small>({said.level})</small></strong>"
    yield element("p", said.advice)
    yield "</div>"


def _findings(report: Report, verbose: int) -> Iterator[str]:
    if not report.findings:
        return
    yield '<section aria-labelledby="findings">'
    yield f'<h2 id="findings">Findings ({len(report.findings)})</h2>'
    yield '<div class="card">'
    for finding in report.findings:
        yield from _finding(finding, report, verbose)
    yield "</div></section>"


def _finding(finding: Finding, report: Report, verbose: int) -> Iterator[str]:
    where = ""
    if finding.slice is not None and len(report.slices) > 1:
        where = f" in the slice for {report.slices[finding.slice].arch}"
    severity = finding.severity.value
    yield '<div class="finding">'
    yield f'<div><span class="badge {severity}">{severity}</span> {element("h3", finding.title + where)} '
    yield f"{element('span', finding.id, 'id')}</div>"
    yield element("p", finding.detail)
    yield element("p", rule(finding.id).help, "under")
    items = finding_row(finding, "", verbose).items[1:]
    if items:
        yield f"<details><summary>{len(items)} {'place' if len(items) == 1 else 'places'} in the file</summary>"
        yield from _items(items)
        yield "</details>"
    yield "</div>"


def _members(report: Report, verbose: int) -> Iterator[str]:
    if not report.members and not report.members_omitted:
        return
    yield '<section aria-labelledby="members">'
    yield f'<h2 id="members">Executables inside ({len(report.members) + report.members_omitted})</h2>'
    yield '<div class="card">'
    for member in report.members:
        inner = member.report
        yield '<details class="finding"><summary>'
        yield f'<span class="badge {inner.verdict.level}">{inner.verdict.level}</span> {element("h3", member.path)}'
        yield "</summary>"
        yield element("p", inner.verdict.advice)
        yield from _nested(inner, verbose)
        yield "</details>"
    if report.members_omitted:
        yield f'<p class="finding">and {report.members_omitted} more that are not in this report</p>'
    yield "</div></section>"


def _nested(report: Report, verbose: int) -> Iterator[str]:
    """A member's own facts and its members'; the headlines are one level further down by being inside."""
    for section in outline(report, verbose=verbose):
        yield element("p", section.title, "under")
        yield from _rows(section.rows)
    for member in report.members:
        yield from _nested(member.report, verbose)


def _facts(section: Section) -> Iterator[str]:
    yield "<section>"
    yield element("h2", section.title)
    yield '<div class="card">'
    yield from _rows(section.rows)
    yield "</div></section>"


def _rows(rows: tuple[Row, ...]) -> Iterator[str]:
    """Rows with a label as terms and their descriptions, rows without one as a list."""
    labelled = [row for row in rows if row.label.strip()]
    others = [row for row in rows if not row.label.strip()]
    if labelled:
        yield "<dl>"
        for row in labelled:
            yield element("dt", row.label)
            yield "<dd>"
            yield from _value(row)
            yield "</dd>"
        yield "</dl>"
    if others:
        yield "<ul>"
        for row in others:
            yield element("li", row.text, row.role)
        yield "</ul>"


def _value(row: Row) -> Iterator[str]:
    """The text; evidence and longer lists behind a click."""
    text = element("span", row.text or _first(row), row.role)
    if not row.items and not row.rows and len(row.text) <= _FOLDED_FROM:
        yield text
        return
    if not row.items and not row.rows:
        yield f"<details><summary>{element('span', row.text[:_FOLDED_FROM] + '...')}</summary>"
        yield element("p", row.text)
    else:
        yield f"<details{' open' if _short(row) else ''}><summary>{text}</summary>"
        yield from _items(row.items)
        yield from _rows(row.rows)
    yield "</details>"


def _first(row: Row) -> str:
    return row.items[0].text if row.items else ""


def _short(row: Row) -> bool:
    """Whether a section is so short that it need not be folded."""
    return len(row.rows) <= _FEW and not row.items and all(not each.items and not each.rows for each in row.rows)


def _items(items: tuple[Item, ...] | list[Item]) -> Iterator[str]:
    if not items:
        return
    yield "<ul>"
    for item in items:
        yield element("li", item.text)
        if item.code:
            yield "<li><pre>" + "\n".join(_code(line, item) for line in item.code) + "</pre></li>"
    yield "</ul>"


def _code(line: str, item: Item) -> str:
    """A line of code; the one at the evidence's own address is marked."""
    own = item.text.split(" ", 1)[0] + ":"
    return f"<mark>{shown(line)}</mark>" if line.startswith(own) else shown(line)
