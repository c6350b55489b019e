"""A bar on standard error while people watch; silence otherwise."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """What is told how far it is; without a terminal it tells nobody."""

    def __init__(self, drawn: "Progress | None" = None, task: "TaskID | None" = None) -> None:
        self._drawn = drawn
        self._task = task

    def advance(self, steps: int = 1) -> None:
        """So many more steps are done."""
        if self._drawn is not None and self._task is not None:
            self._drawn.advance(self._task, steps)

    def describe(self, what: str) -> None:
        """Say what is being done now."""
        if self._drawn is not None and self._task is not None:
            self._drawn.update(self._task, description=what)


@contextlib.contextmanager
def progress(total: int) -> Iterator[Bar]:
    """A bar of ``total`` steps; 0 draws nothing. What is written to `sys.stderr` meanwhile appears above it."""
    if not total or not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    # the names last, in what room is left: so nothing moves when they change, and a narrow terminal keeps the rest
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    columns = (
        BarColumn(10),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False, table_column=rest),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as drawn:
        yield Bar(drawn, drawn.add_task("playing", total=total))
