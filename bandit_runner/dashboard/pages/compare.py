"""The comparison page: stored runs side by side, by tier and by strategy, with what tells them apart."""

from collections.abc import Sequence
from typing import Any, Final

from nicegui import events, ui

from bandit_runner.dashboard import charts
from bandit_runner.dashboard.pages import frame
from bandit_runner.dashboard.pages.choosing import described
from bandit_runner.dashboard.views import Board
from bandit_runner.model import SCORINGS
from bandit_runner.runs.comparison import ComparedRow
from bandit_runner.runs.showing import COLUMNS
from binsafe.reports.escape import escape

ALL: Final = "all sessions"


def build(board: Board) -> None:
    """The page for one visitor."""
    with frame.page("Compare"):
        state = board.state()
        if state.kind != "ok":
            frame.nothing(state)
            return
        ComparePage(board)


class ComparePage:
    """Widgets, and what they were set to."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._sessions: tuple[str, ...] = ()
        self._scoring = "statement"
        self._by = "tier"
        with ui.element("div").classes("flex items-center gap-4 w-full"):
            options = {ALL: ALL, **{line.id: described(line) for line in board.sessions()}}
            ui.select(options, value=ALL, on_change=self._chose).props('dense outlined aria-label="Session"').classes(
                "min-w-96 grow max-w-3xl"
            )
            ui.select(sorted(SCORINGS), value="statement", on_change=self._scored).props(
                'dense outlined aria-label="Scoring"'
            )
            turns = ui.toggle({"tier": "by tier", "strategy": "by strategy"}, value="tier", on_change=self._turned)
            turns.props("dense")
        ui.label(
            "Scores per 100 ids with 95% intervals. Strategies of one session met the same servers,"
            " and are compared there."
        ).classes("soft")
        self._content = ui.element("div").classes("w-full flex flex-col gap-4")
        self._show()

    def _chose(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._sessions = () if event.value == ALL else (event.value,)
        self._show()

    def _scored(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._scoring = event.value
        self._show()

    def _turned(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._by = event.value
        self._show()

    def _show(self) -> None:
        rows = self._board.comparison(SCORINGS[self._scoring], self._sessions)
        self._content.clear()
        with self._content:
            if not rows:
                with ui.element("section").classes("panel text-center py-16"):
                    ui.label("No run here has a finished id yet").classes("text-lg font-semibold")
                    ui.label("bandit_runner start plays some").classes("soft")
                return
            key = _tier if self._by == "tier" else _strategy
            for name in sorted({key(row) for row in rows}):
                _group(name, [row for row in rows if key(row) == name], by_tier=self._by == "tier")


def _group(name: str, rows: Sequence[ComparedRow], *, by_tier: bool) -> None:
    with frame.panel(escape(name), wide=True):
        _table(rows)
    names = [escape(_strategy(row) if by_tier else _tier(row)) for row in rows]
    with ui.element("div").classes("board quarters"):
        for title, values, unit, colour in (
            ("Score per 100 ids", [row.per_100.mean for row in rows], "points", "#0072B2"),
            ("Accepted", [100 * row.success_rate for row in rows], "%", "#009E73"),
            ("Latency p99", [None if isinstance(row.p99_ms, str) else row.p99_ms for row in rows], "ms", "#56B4E9"),
            ("Extra attempts per 100 ids", [100 * row.extra_attempts / row.requests for row in rows], "", "#D55E00"),
        ):
            with frame.panel(f"{name}: {title}"):
                ui.echart(charts.compared(names, values, unit=unit, colour=colour)).classes("chart")


def _table(rows: Sequence[ComparedRow]) -> None:
    """The same columns as `bandit_runner compare` prints."""
    with ui.element("div").classes("overflow-x-auto"), ui.element("table").classes("plain"):
        with ui.element("thead"), ui.element("tr"):
            for column in COLUMNS:
                with ui.element("th").props('scope="col"').classes("" if column.is_text else "number"):
                    ui.label(column.title)
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr").classes("font-semibold" if row.best else ""):
                    for column in COLUMNS:
                        with ui.element("td").classes("" if column.is_text else "number"):
                            ui.label(escape(column.cell(row)))


def _tier(row: ComparedRow) -> str:
    return row.tier if isinstance(row.tier, str) else "-"


def _strategy(row: ComparedRow) -> str:
    return row.strategy
