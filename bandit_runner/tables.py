"""Tables for people: rows of anything, columns that say how a cell reads.

Plain and aligned, one line a row. Where a terminal is too narrow for a line, whole columns are left out, and said; no
number is cut short. A pipe gets all of them.
"""

from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from bandit_runner.model import Unknown

Row = TypeVar("Row")

_GAP: Final = "  "


class Column(NamedTuple, Generic[Row]):
    """A heading, and how a row's cell reads; texts are aligned to the left, numbers to the right."""

    title: str
    cell: Callable[[Row], str]
    is_text: bool = False
    spare: int = 0
    """Where there is not room for all, the largest is left out first; 0 never."""


def number(value: float | Unknown | None, digits: int) -> str:
    """With so many digits after the point; what is unknown reads "-"."""
    return "-" if value is None or isinstance(value, str) else f"{value:z.{digits}f}"


def counted(count: int, what: str) -> str:
    """So many of it, in English.

    >>> counted(1, "run"), counted(1234, "run")
    ('1 run', '1,234 runs')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def table(columns: Sequence[Column[Row]], rows: Sequence[Row], *, room: int | None = None) -> str:
    """The headings, then the rows in their order, each line with its end, and what had no ``room`` (letters a line)."""
    filled = [(column, [column.title, *map(column.cell, rows)]) for column in columns]
    widths = {column: max(map(len, cells)) for column, cells in filled}
    left_out: list[Column[Row]] = []
    while room is not None and sum(widths.values()) + len(_GAP) * (len(widths) - 1) > room:
        column = max(widths, key=lambda each: each.spare)
        if not column.spare:
            break
        left_out.append(column)
        del widths[column]
    shown = [[_pad(column, cell, widths[column]) for cell in cells] for column, cells in filled if column in widths]
    lines = [_GAP.join(cells).rstrip() for cells in zip(*shown, strict=True)]
    if left_out:
        lines.append(f"(no room for: {', '.join(column.title for column in columns if column in left_out)})")
    return "".join(f"{line}\n" for line in lines)


def _pad(column: Column[Row], cell: str, width: int) -> str:
    return cell.ljust(width) if column.is_text else cell.rjust(width)
