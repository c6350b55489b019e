"""Tables for people: rows of anything, columns that say how a cell reads.

Plain and aligned, one line a row, the same on a terminal and in a pipe: on a narrow terminal lines wrap, and no
number is cut short.
"""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from bandit_runner.model import Unknown

Row = TypeVar("Row")


class Column(NamedTuple, Generic[Row]):
    """A heading, and how a row's cell reads; texts are aligned to the left, numbers to the right."""

    title: str
    cell: Callable[[Row], str]
    is_text: bool = False


def number(value: float | Unknown | None, digits: int) -> str:
    """With so many digits after the point; what is unknown reads "-"."""
    return "-" if value is None or isinstance(value, str) else f"{value:.{digits}f}"


def table(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> str:
    """The headings, then the rows in their order, each line with its end."""
    lines = [[column.title for column in columns], *([column.cell(row) for column in columns] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "".join("  ".join(map(_pad, columns, line, widths)).rstrip() + "\n" for line in lines)


def _pad(column: Column[Row], cell: str, width: int) -> str:
    return cell.ljust(width) if column.is_text else cell.rjust(width)
