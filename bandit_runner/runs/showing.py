"""The comparison as text, as JSON, and as one HTML file that opens without a network."""

import html
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from bandit_runner.model import RESULTS_SCHEMA
from bandit_runner.runs.comparison import ComparedRow, verdict
from bandit_runner.tables import Column, number, table


def _interval(row: ComparedRow) -> str:
    found = row.per_100
    return "-" if found.low is None or found.high is None else f"{found.low:.1f} .. {found.high:.1f}"


def _mark(row: ComparedRow) -> str:
    return "best" if row.best else "worst" if row.worst else ""


COLUMNS: Final[tuple[Column[ComparedRow], ...]] = (
    Column("tier", lambda row: row.tier, is_text=True),
    Column("strategy", lambda row: row.strategy, is_text=True),
    Column("runs", lambda row: f"{row.runs:,}", spare=1),
    Column("ids", lambda row: f"{row.requests:,}", spare=2),
    Column("score/100", lambda row: number(row.per_100.mean, 1)),
    Column("95% interval", _interval),
    Column("accepted", lambda row: f"{100 * row.success_rate:.1f}%"),
    Column("within 3", lambda row: f"{100 * row.accepted_within_3 / row.requests:.1f}%"),
    Column("extra", lambda row: f"{row.extra_attempts:,}"),
    Column("429s", lambda row: number(row.rate_limited, 0)),
    Column("balancer p50 ms", lambda row: number(row.p50_ms, 2), spare=5),
    Column("balancer p99 ms", lambda row: number(row.p99_ms, 2), spare=4),
    Column("", _mark, is_text=True),
    Column("against the best", lambda row: "" if row.best else verdict(row), is_text=True, spare=3),
)


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """``binsafe.results/1`` with what comparing adds to each row."""

    schema: str = RESULTS_SCHEMA
    rows: tuple[ComparedRow, ...]


class _Chart(NamedTuple):
    """One of the original's four: bars of a value per strategy, with an interval where there is one."""

    title: str
    value: Callable[[ComparedRow], float]
    ends: Callable[[ComparedRow], tuple[float | None, float | None]] = lambda _: (None, None)
    unit: str = ""


def _known(value: float | str) -> float:
    return 0.0 if isinstance(value, str) else value


_CHARTS: Final = (
    _Chart("Score per 100 ids", lambda row: row.per_100.mean, lambda row: (row.per_100.low, row.per_100.high)),
    _Chart("Accepted", lambda row: 100 * row.success_rate, unit="%"),
    _Chart("Latency p99", lambda row: _known(row.p99_ms), lambda row: (_known(row.p50_ms), _known(row.p99_ms)), " ms"),
    _Chart("Extra attempts per 100 ids", lambda row: 100 * row.extra_attempts / row.requests),
)


def to_text(rows: Sequence[ComparedRow], *, room: int | None = None) -> str:
    """A plain, aligned table; names from the store are shown as they are, so escape it for a terminal."""
    return table(COLUMNS, rows, room=room)


def to_json(rows: Sequence[ComparedRow]) -> str:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(Document(rows=tuple(rows)))).decode() + "\n"


def to_html(rows: Sequence[ComparedRow]) -> str:
    """One page: the table, and for each tier four charts. No script, nothing that is fetched."""
    head = "".join(f"<th scope=col>{html.escape(column.title)}</th>" for column in COLUMNS)
    body = "".join(_table_row(row) for row in rows)
    tiers = dict.fromkeys(row.tier for row in rows)
    charts = "".join(_tier_charts(tier, [row for row in rows if row.tier == tier]) for tier in tiers)
    return _PAGE.format(head=head, body=body, charts=charts)


SHOWN: Final[Mapping[str, Callable[[Sequence[ComparedRow]], str]]] = MappingProxyType(
    {"text": to_text, "json": to_json, "html": to_html}
)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Strategies compared</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --bar: #3b7dd8; --end: #888; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }}
th.text, td.text {{ text-align: left; }}
tr.best td {{ font-weight: 600; }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1.5rem; }}
svg {{ width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: currentColor; }}
.scroll {{ overflow-x: auto; }}
</style>
</head>
<body>
<h1>Strategies compared</h1>
<p>Scores are per 100 ids, with 95% intervals.
Strategies of one session met the same servers and are compared there.</p>
<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>
{charts}
</body>
</html>
"""


def _table_row(row: ComparedRow) -> str:
    kind = f' class="{_mark(row)}"' if _mark(row) else ""
    cells = (f"<td{' class=text' if column.is_text else ''}>{html.escape(column.cell(row))}</td>" for column in COLUMNS)
    return f"<tr{kind}>{''.join(cells)}</tr>\n"


def _tier_charts(tier: str, rows: Sequence[ComparedRow]) -> str:
    drawn = "".join(f"<figure>{_svg(chart, rows)}</figure>" for chart in _CHARTS)
    return f'<h2>{html.escape(tier)}</h2><div class="charts">{drawn}</div>\n'


_LABEL, _WIDTH, _ROW, _TOP = 130, 300, 22, 30


def _svg(chart: _Chart, rows: Sequence[ComparedRow]) -> str:
    """Horizontal bars from 0, or from the lowest value where that is below 0; the interval as a line over its bar."""
    values = [chart.value(row) for row in rows]
    ends = [end for row in rows for end in chart.ends(row) if end is not None]
    low, high = min(0.0, *values, *ends), max(*values, *ends, 1e-9)
    high = high if high > low else low + 1

    def x(value: float) -> float:
        return _LABEL + _WIDTH * (value - low) / (high - low)

    parts = []
    for position, row in enumerate(rows):
        top, value = _TOP + position * _ROW, values[position]
        start, width = min(x(0), x(value)), abs(x(value) - x(0))
        name = html.escape(row.strategy)
        parts.append(f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">{name}</text>')
        parts.append(
            f'<rect x="{start:.1f}" y="{top + 3}" width="{width:.1f}" height="{_ROW - 8}" fill="var(--bar)">'
            f"<title>{name}: {value:.2f}{chart.unit}</title></rect>"
        )
        left, right = chart.ends(row)
        if left is not None and right is not None:
            middle = top + _ROW / 2 - 1
            parts.append(
                f'<line x1="{x(left):.1f}" x2="{x(right):.1f}" y1="{middle}" y2="{middle}" stroke="var(--end)"'
                ' stroke-width="3"/>'
            )
        parts.append(f'<text x="{_LABEL + _WIDTH + 8}" y="{top + 14}">{value:.1f}{chart.unit}</text>')
    title = html.escape(chart.title)
    size = f"0 0 {_LABEL + _WIDTH + 70} {_TOP + len(rows) * _ROW + 4}"
    return (
        f'<svg viewBox="{size}" role="img" aria-label="{title}"><text x="0" y="16" font-weight="600">{title}</text>'
        f"{''.join(parts)}</svg>"
    )
