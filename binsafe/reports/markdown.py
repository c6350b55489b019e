"""The report as Markdown, for a pull request or an issue: GitHub Flavored Markdown, plain CommonMark without tables.

Text from the file could be markup, a mention (``@user``), a reference (``#1``) or a link. Words that are only letters
or numbers stay as they are; all others are put into code spans, in which nothing has a meaning (CommonMark 0.31, 6.1),
and which no service turns into mentions, references or links.
"""

import re
from collections.abc import Iterator

from binsafe.model import Report
from binsafe.reports.escape import escape, shortened
from binsafe.reports.outline import outline, shown_members
from binsafe.reports.rows import Row, Section

_PLAIN = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*|\d{1,3}(?:,\d{3})*|->|=|C\+\+|")
"""No markup wherever it stands, between the punctuation of a sentence; ``www.`` and the like have a dot inside."""
_BLOCK = re.compile(r"\d+[.)]$|=")
_LONGEST = 500
_SIGNS = {"ok": "✅", "caution": "⚠️", "danger": "⛔", "unknown": "❓"}
_FOLDED = frozenset({"slice", "strings"})
"""Sections that are read when the verdict and the findings have been."""
_ORDER = ("head", "findings", "members", "slice", "strings")


def render(report: Report, *, verbose: int = 0, width: int = 100) -> str:
    """Verdict, findings, members, then the facts of each slice, folded. ``verbose`` as in :func:`outline`."""
    del width  # Markdown wraps by itself
    lines = [f"## {prose(report.artifact.name)}", "", *_report(report, verbose)]
    for path, inner in shown_members(report, verbose):
        lines += ["", f"### {prose(path)}", "", *_report(inner, verbose)]
    return "\n".join(lines) + "\n"


def _report(report: Report, verbose: int) -> Iterator[str]:
    yield f"> **Verdict: {_SIGNS[report.verdict.level]} {report.verdict.level}.** {prose(report.verdict.advice)}"
    for section in sorted(outline(report, verbose=verbose), key=lambda section: _ORDER.index(section.role)):
        yield from ("", *_section(section))


def prose(text: str) -> str:
    """``text`` on one line, in which whatever could be markup stands in code spans."""
    shown = escape(shortened(text, _LONGEST))
    return " ".join(_word(word) for word in shown.split())


def _word(word: str) -> str:
    core = word.removeprefix("(").removesuffix(".").rstrip(",;:)")
    if _PLAIN.fullmatch(core):
        return word
    lead = "(" if word.startswith("(") else ""
    return f"{lead}{code_span(core)}{word[len(lead) + len(core) :]}"


def code_span(text: str) -> str:
    """``text`` between more backticks than it has in a row; for a table's cell, too."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def _section(section: Section) -> Iterator[str]:
    if section.role in _FOLDED:
        yield from ("<details>", f"<summary>{_summary(section.title)}</summary>", "")
    elif section.role != "head":
        yield from (f"### {prose(section.title)}", "")
    yield from _table(section) if section.role == "head" else _list(section.rows, 0)
    if section.role in _FOLDED:
        yield from ("", "</details>")


def _summary(title: str) -> str:
    """Inside an HTML block Markdown has no say: characters that HTML knows are written as references."""
    return "".join(each if each.isalnum() or each in " ,.-" else f"&#{ord(each)};" for each in escape(title))


def _table(section: Section) -> Iterator[str]:
    yield from (f"| {prose(section.title)} | |", "|---|---|")
    yield from (f"| {row.label} | {prose(row.text)} |" for row in section.rows)


def _list(rows: tuple[Row, ...], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for row in rows:
        label = f"**{prose(row.label)}** " if row.label.strip() else ""
        yield f"{indent}- {label}{prose(row.text) if label else _line(row.text)}".rstrip()
        for item in row.items:
            yield f"{indent}  - {_line(item.text)}"
            if item.code:
                yield ""
                yield from (f"{indent}        {escape(line)}" for line in item.code)
                yield ""
        yield from _list(row.rows, depth + 1)


def _line(text: str) -> str:
    """Prose where a line begins, and ``1.`` would begin a list, ``=`` a headline."""
    first, _, rest = text.partition(" ")
    return f"{code_span(first)} {prose(rest)}" if _BLOCK.match(first) else prose(text)
