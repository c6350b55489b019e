"""Rows of results -> a table for people, or ``binsafe.results/1`` for programs."""

import io
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from bandit_runner.model import ResultRow, Results, Unknown


class Column(NamedTuple):
    """A heading, and how a row's cell reads."""

    title: str
    cell: Callable[[ResultRow], str]
    is_text: bool = False


def _number(value: float | Unknown, digits: int) -> str:
    return "-" if isinstance(value, str) else f"{value:.{digits}f}"


def _where(row: ResultRow) -> str:
    return row.scenario if isinstance(row.scenario, str) else row.tier if isinstance(row.tier, str) else "-"


def _interval(row: ResultRow) -> str:
    if isinstance(row.ci_low, str) or isinstance(row.ci_high, str):
        return "-"
    return f"{row.ci_low:.1f} .. {row.ci_high:.1f}"


COLUMNS: Final = (
    Column("strategy", lambda row: row.strategy, is_text=True),
    Column("tier", _where, is_text=True),
    Column("requests", lambda row: str(row.requests)),
    Column("accepted", lambda row: str(row.accepted)),
    Column("within 3", lambda row: str(row.accepted_within_3)),
    Column("extra", lambda row: str(row.extra_attempts)),
    Column("429s", lambda row: _number(row.rate_limited, 0)),
    Column("score", lambda row: _number(row.score, 1)),
    Column("95% interval", _interval),
    Column("p50 ms", lambda row: _number(row.p50_ms, 2)),
    Column("p99 ms", lambda row: _number(row.p99_ms, 2)),
)
"""What is unknown reads "-"."""

REGRET: Final = Column("regret", lambda row: _number(row.regret, 1))


def to_json(rows: Sequence[ResultRow]) -> str:
    """The document ``{"schema": "binsafe.results/1", "rows": [...]}``, indented."""
    return msgspec.json.format(msgspec.json.encode(Results(rows=tuple(rows)))).decode()


def to_text(rows: Sequence[ResultRow], *, terminal: bool = False, colour: bool = False, width: int = 120) -> str:
    """The rows as a table, in their order; a column for regret only where some row knows it.

    Args:
        rows: any number of them.
        terminal: draw it for a person at a terminal of ``width`` columns; else plain, aligned, one line a row.
        colour: the terminal shows colours and the user wants them.
        width: of the terminal.
    """
    columns = (*COLUMNS, REGRET) if any(not isinstance(row.regret, str) for row in rows) else COLUMNS
    cells = [[column.cell(row) for column in columns] for row in rows]
    return _drawn(columns, cells, colour=colour, width=width) if terminal else _aligned(columns, cells)


def _aligned(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> str:
    lines = [[column.title for column in columns], *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "".join("  ".join(map(_pad, columns, line, widths)).rstrip() + "\n" for line in lines)


def _pad(column: Column, cell: str, width: int) -> str:
    return cell.ljust(width) if column.is_text else cell.rjust(width)


def _drawn(columns: Sequence[Column], cells: Sequence[Sequence[str]], *, colour: bool, width: int) -> str:
    from rich import box, console, table, text  # noqa: PLC0415  a tenth of a second that --json need not pay

    drawn = table.Table(box=box.SIMPLE_HEAD)
    for column in columns:
        drawn.add_column(column.title, justify="left" if column.is_text else "right", no_wrap=column.is_text)
    for line in cells:
        drawn.add_row(*(text.Text(cell) for cell in line))  # Text: no cell is taken for markup
    out = io.StringIO()
    console.Console(file=out, force_terminal=colour, no_color=not colour, width=width, highlight=False).print(drawn)
    return out.getvalue()
