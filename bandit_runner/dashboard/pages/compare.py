"""The comparison page: stored runs side by side, by tier and by strategy, with what tells them apart."""

from collections.abc import Sequence
from typing import Any, Final

from nicegui import events, ui

from bandit_runner.dashboard import charts
from bandit_runner.dashboard.pages import frame
from bandit_runner.dashboard.pages.choosing import described
from bandit_runner.dashboard.views import Board
from bandit_runner.model import SCORINGS, Unknown
from bandit_runner.runs.comparison import ComparedRow
from bandit_runner.runs.showing import COLUMNS
from binsafe import escape

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
        with ui.element("div").classes("bar"):
            options = {ALL: ALL, **{line.id: described(line) for line in board.sessions()}}
            ui.select(options, value=ALL, on_change=self._chose).props('dense outlined aria-label="Session"').classes(
                "session"
            )
            ui.select(sorted(SCORINGS), value="statement", on_change=self._scored).props(
                'dense outlined aria-label="Scoring"'
            )
            turns = ui.toggle({"tier": "by tier", "strategy": "by strategy"}, value="tier", on_change=self._turned)
            turns.props('dense padding="2px 10px"')
        ui.label(
            "Scores per 100 ids with 95% intervals. Strategies of one session met the same servers,"
            " and are compared there."
        ).classes("soft")
        self._content = ui.element("div").classes("page").style("padding: 0")
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
                with ui.element("section").classes("panel empty"):
                    ui.label("No run here has a finished id yet").classes("title")
                    ui.label("bandit_runner start plays some").classes("soft")
                return
            by_tier = self._by == "tier"
            groups: dict[str, list[ComparedRow]] = {}
            for row in rows:
                groups.setdefault(row.tier if by_tier else row.strategy, []).append(row)
            for name in sorted(groups):
                _group(name, groups[name], by_tier=by_tier)


def _group(name: str, rows: Sequence[ComparedRow], *, by_tier: bool) -> None:
    with frame.panel(escape(name), wide=True):
        _table(escape(name), rows)
    names = [escape(row.strategy if by_tier else row.tier) for row in rows]
    interval = [(row.per_100.mean, row.per_100.low, row.per_100.high) for row in rows]
    accepted = {"accepted": [100 * row.success_rate for row in rows]}
    latency = {"p50": [_known(row.p50_ms) for row in rows], "p99": [_known(row.p99_ms) for row in rows]}
    attempts = {
        "all retries": [100 * (row.attempts - row.requests) / row.requests for row in rows],
        "those that cost": [100 * row.extra_attempts / row.requests for row in rows],
    }
    with ui.element("div").classes("board quarters"):
        for title, options in (
            ("Score", charts.scored(names, interval)),
            ("Accepted", charts.compared(names, accepted, unit="%")),
            ("Latency", charts.compared(names, latency, unit="ms", logarithmic=True)),
            ("Retries per 100 ids", charts.compared(names, attempts, unit="")),
        ):
            with frame.panel(f"{escape(name)}: {title}"):
                ui.echart(options).classes("chart")


def _table(name: str, rows: Sequence[ComparedRow]) -> None:
    """The same columns as `bandit_runner compare` prints."""
    cells = [[escape(column.cell(row)) for column in COLUMNS] for row in rows]
    numbers = {number for number, column in enumerate(COLUMNS) if not column.is_text}
    with ui.element("div").classes("across").props('tabindex="0" role="region"') as box:
        box.props["aria-label"] = f"{name}: table"
        frame.table(
            [column.title for column in COLUMNS],
            cells,
            numbers=numbers,
            strong={number for number, row in enumerate(rows) if row.best},
        )


def _known(value: float | Unknown) -> float | None:
    return None if isinstance(value, str) else value
