"""Tables for people: rows of anything, columns that say how a cell reads."""

import io
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from bandit_runner.model import Unknown

Row = TypeVar("Row")


class Column(NamedTuple, Generic[Row]):
    """A heading, and how a row's cell reads."""

    title: str
    cell: Callable[[Row], str]
    is_text: bool = False


def number(value: float | Unknown | None, digits: int) -> str:
    """With so many digits after the point; what is unknown reads "-"."""
    return "-" if value is None or isinstance(value, str) else f"{value:.{digits}f}"


def table(
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    *,
    terminal: bool = False,
    colour: bool = False,
    width: int = 120,
) -> str:
    """The rows in their order.

    Args:
        columns: what is shown of each.
        rows: any number of them.
        terminal: draw it for a person at a terminal of ``width`` columns; else plain, aligned, one line a row.
        colour: the terminal shows colours and the user wants them.
        width: of the terminal.
    """
    cells = [[column.cell(row) for column in columns] for row in rows]
    return _drawn(columns, cells, colour=colour, width=width) if terminal else _aligned(columns, cells)


def _aligned(columns: Sequence[Column[Row]], cells: Sequence[Sequence[str]]) -> str:
    lines = [[column.title for column in columns], *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "".join("  ".join(map(_pad, columns, line, widths)).rstrip() + "\n" for line in lines)


def _pad(column: Column[Row], cell: str, width: int) -> str:
    return cell.ljust(width) if column.is_text else cell.rjust(width)


def _drawn(columns: Sequence[Column[Row]], cells: Sequence[Sequence[str]], *, colour: bool, width: int) -> str:
    from rich import box, console, table, text  # a tenth of a second that --json need not pay

    drawn = table.Table(box=box.SIMPLE_HEAD)
    for column in columns:
        drawn.add_column(column.title, justify="left" if column.is_text else "right", no_wrap=column.is_text)
    for line in cells:
        drawn.add_row(*(text.Text(cell) for cell in line))  # Text: no cell is taken for markup
    out = io.StringIO()
    console.Console(file=out, force_terminal=colour, no_color=not colour, width=width, highlight=False).print(drawn)
    return out.getvalue()
