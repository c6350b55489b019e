"""The live page: what runs now, or how a stored run went, moment by moment."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from nicegui import events, ui

from bandit_runner.dashboard import charts
from bandit_runner.dashboard.charts import Shown
from bandit_runner.dashboard.pages import frame
from bandit_runner.dashboard.pages.choosing import SPEEDS, Choice, Figures, described, figures
from bandit_runner.dashboard.pages.sandbox import SandboxPanel
from bandit_runner.dashboard.views import Board
from bandit_runner.errors import StoreUnusable, UsageError
from bandit_runner.model import UNKNOWN, Scoring, Unknown
from bandit_runner.runs import Tally

LOOK_SECONDS: Final = 0.5
FRAME_SECONDS: Final = 0.25
"""Between two moments of a replay at 1x."""

_BADGES: Final = {"Live": "positive", "Viewing history": "primary", "Interrupted": "warning", "Done": "grey-7"}

_PNG: Final = """
(() => {
  const panels = [...document.querySelectorAll('section.panel')].filter(p => p.querySelector('canvas'));
  const scale = 2, gap = 16, columns = 2, width = 640, height = 320;
  const canvas = document.createElement('canvas');
  canvas.width = scale * (columns * (width + gap) + gap);
  canvas.height = scale * (Math.ceil(panels.length / columns) * (height + gap) + gap);
  const pen = canvas.getContext('2d'), style = getComputedStyle(document.body);
  pen.scale(scale, scale);
  pen.fillStyle = style.backgroundColor; pen.fillRect(0, 0, canvas.width, canvas.height);
  panels.forEach((panel, i) => {
    const x = gap + (i % columns) * (width + gap), y = gap + Math.floor(i / columns) * (height + gap);
    pen.fillStyle = style.color; pen.font = '600 14px system-ui';
    pen.fillText(panel.getAttribute('aria-label') || '', x, y + 14);
    panel.querySelectorAll('canvas').forEach(c => {
      const fit = Math.min(width / c.width, (height - 24) / c.height);
      pen.drawImage(c, x, y + 24, c.width * fit, c.height * fit);
    });
  });
  const link = document.createElement('a');
  link.href = canvas.toDataURL('image/png'); link.download = 'bandit_runner.png'; link.click();
})()
"""


def build(board: Board) -> None:
    """The page for one visitor."""
    with frame.page("Live"):
        state = board.state()
        if state.kind != "ok":
            frame.nothing(state)
            ui.timer(2.0, lambda: ui.navigate.reload() if board.state().kind == "ok" else None)
            return
        LivePage(board)


class LivePage:
    """Widgets, and the choice that they show."""

    def __init__(self, board: Board) -> None:
        self._choice = Choice(board)
        self._version = -1
        self._known: str | None = None
        self._speed = 1
        self._charts: list[tuple[ui.echart, Callable[[list[Shown], Tally, Scoring], charts.Options]]] = []
        self._trouble = ui.element("section").classes("panel").props('role="alert"')
        self._trouble.set_visibility(False)
        self._header()
        self._figures = frame_figures()
        self._controls()
        self._board()
        self._sandbox = SandboxPanel()
        ui.keyboard(on_key=self._key)
        ui.timer(LOOK_SECONDS, self._look)
        self._player = ui.timer(FRAME_SECONDS, self._step, active=False)
        self._look()

    # made once

    def _header(self) -> None:
        with ui.element("div").classes("flex items-center gap-3 w-full"):
            self._badge = ui.badge("").props('role="status" aria-live="polite"').classes("text-sm px-3 py-1")
            self._sessions = ui.select({}, on_change=self._chose_session).props('dense outlined aria-label="Session"')
            self._sessions.classes("min-w-96 grow max-w-3xl")
            self._strategies = ui.select([], on_change=self._chose_strategy)
            self._strategies.props('dense outlined aria-label="Strategy"').classes("min-w-40")
            ui.button(icon="image", on_click=lambda: ui.run_javascript(_PNG)).props('flat aria-label="Save as PNG"')
            ui.button(icon="data_object", on_click=self._export).props('flat aria-label="Save as JSON"')
        self._banner = ui.element("div").classes("panel flex items-center gap-4").props('role="status"')
        with self._banner:
            ui.label("A new session has started.")
            ui.button("Join live", on_click=self._go_live).props("dense unelevated")
        self._banner.set_visibility(False)

    def _controls(self) -> None:
        with ui.element("section").classes("panel flex items-center gap-4").props('aria-label="Filter and replay"'):
            for tier in ("T1", "T2", "T3"):
                box = ui.checkbox(tier, value=True, on_change=lambda event, t=tier: self._filter(t, event.value))
                box.props("dense")
            ui.switch("overall", on_change=lambda event: self._overall(event.value)).props("dense")
            ui.element("div").classes("grow")
            for icon, name, moved in (
                ("first_page", "First", lambda: self._seek(1)),
                ("chevron_left", "Back", lambda: self._move(-1)),
                ("play_arrow", "Play or pause", self._toggle_play),
                ("chevron_right", "Forward", lambda: self._move(1)),
                ("last_page", "Last", lambda: self._seek(self._choice.length())),
            ):
                button = ui.button(icon=icon, on_click=moved).props(f'flat round dense aria-label="{name}"')
                if icon == "play_arrow":
                    self._play = button
            self._slider = ui.slider(min=1, max=1, value=1, on_change=self._slid).classes("w-64")
            self._slider.props('label aria-label="Ids shown"')
            ui.toggle({speed: f"{speed}x" for speed in SPEEDS}, value=1, on_change=self._sped).props("dense flat")
            ui.button("Go live", on_click=self._go_live).props("flat dense")

    def _board(self) -> None:
        with ui.element("div").classes("board"):
            self._chart("Success over time", lambda s, _, __: charts.success(s, overall=self._choice.overall))
            self._chart("Cumulative regret", lambda s, _, scoring: charts.regret(s, scoring))
            self._chart("Servers: accepted attempts", lambda s, _, __: charts.servers(s))
            self._chart(
                "Servers: what the counts say",
                lambda s, _, __: charts.beliefs(s),
                "Beta posterior of each success rate: mean and 95%; 429s say nothing of it.",
            )
            self._chart("Latency", lambda _, tally, __: charts.latency(tally))
            self._chart("Attempts per id", lambda _, tally, __: charts.attempts(tally))
            self._chart("429s per server over the run", lambda s, _, __: charts.limited(s), tall=True)

    def _chart(
        self,
        title: str,
        options: Callable[[list[Shown], Tally, Scoring], charts.Options],
        explained: str = "",
        *,
        tall: bool = False,
    ) -> None:
        with frame.panel(title, explained=explained, wide=tall):
            made = ui.echart({}).classes("chart tall" if tall else "chart")
        self._charts.append((made, options))

    # again and again

    def _look(self) -> None:
        """See whether the store has changed, and show it."""
        choice = self._choice
        try:
            version = choice.board.version()
            if version == self._version and choice.view is not None and choice.view.status != "running":
                return
            changed, self._version = version != self._version, version
            choice.refresh()
            if changed:
                self._list()
        except (StoreUnusable, UsageError) as error:
            self._in_trouble(error)
            return
        self._trouble.set_visibility(False)
        self._show()

    def _list(self) -> None:
        lines = self._choice.board.sessions()
        options = {line.id: described(line) for line in lines}
        latest = lines[0].id if lines else None
        if self._known is not None and latest != self._known and self._choice.session is not None:
            self._banner.set_visibility(True)
        self._known = latest
        self._sessions.set_options(options, value=self._choice.session or latest)
        self._strategies.set_options(self._choice.strategies(), value=self._choice.chosen_strategy)

    def _show(self) -> None:
        choice = self._choice
        status = choice.status()
        self._badge.set_text(status)
        self._badge.props(f"color={_BADGES.get(status, 'grey-7')}")
        if choice.view is None:
            return
        shown = choice.shown()
        scoring = choice.view.session.scoring
        length = choice.length()
        self._slider._props["max"] = max(1, length)  # noqa: SLF001 - a slider's end has no setter
        if choice.moment is None:
            self._slider.set_value(max(1, length))
        self._slider.update()
        show_figures(self._figures, figures(shown, scoring))
        whole = Tally.sum([each.tally for each in shown])
        for chart, options in self._charts:
            chart.options.clear()
            chart.options.update(options(shown, whole, scoring))
            chart.update()
        self._sandbox.show(choice.view.session, choice.board.violations(choice.view.session.id))

    def _in_trouble(self, error: UsageError) -> None:
        self._badge.set_text("Disconnected")
        self._badge.props("color=negative")
        self._trouble.clear()
        with self._trouble:
            ui.label(str(error)).classes("font-semibold")
            ui.label(error.hint).classes("soft")
        self._trouble.set_visibility(True)

    # what a visitor does

    def _chose_session(self, event: events.ValueChangeEventArguments[Any]) -> None:
        if event.value and event.value != (self._choice.session or self._known):
            self._choice.session = None if event.value == self._known else event.value
            self._choice.strategy, self._choice.moment = None, None
            self._refresh_now()

    def _chose_strategy(self, event: events.ValueChangeEventArguments[Any]) -> None:
        if event.value and event.value != self._choice.chosen_strategy:
            self._choice.strategy, self._choice.moment = event.value, None
            self._refresh_now()

    def _refresh_now(self) -> None:
        self._version = -1
        self._look()

    def _filter(self, tier: str, on: bool) -> None:
        (self._choice.tiers.add if on else self._choice.tiers.discard)(tier)
        self._show()

    def _overall(self, on: bool) -> None:
        self._choice.overall = on
        self._show()

    def _seek(self, moment: int) -> None:
        self._choice.moment = max(1, min(moment, self._choice.length()))
        self._slider.set_value(self._choice.moment)
        self._show()

    def _move(self, ids: int) -> None:
        self._seek((self._choice.moment or self._choice.length()) + ids)

    def _slid(self, event: events.ValueChangeEventArguments[Any]) -> None:
        at_end = self._choice.moment is None and event.value >= self._choice.length()
        if event.value and event.value != self._choice.moment and not at_end:
            self._choice.moment = int(event.value)
            self._show()

    def _sped(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._speed = int(event.value)

    def _toggle_play(self) -> None:
        playing = not self._player.active
        if playing and (self._choice.moment or self._choice.length()) >= self._choice.length():
            self._seek(1)
        self._player.active = playing
        self._play.props(f"icon={'pause' if playing else 'play_arrow'}")

    def _step(self) -> None:
        """One moment of a replay; the whole run takes a hundred."""
        stride = max(1, self._choice.length() // 100) * self._speed
        before = self._choice.moment or 0
        self._seek(before + stride)
        if (self._choice.moment or 0) >= self._choice.length():
            self._toggle_play()

    def _go_live(self) -> None:
        if self._player.active:
            self._toggle_play()
        self._choice.session = self._choice.strategy = self._choice.moment = None
        self._banner.set_visibility(False)
        self._refresh_now()

    def _export(self) -> None:
        view = self._choice.view
        if view is not None:
            document = {"session": view.session, "runs": self._choice.runs()}
            ui.download.content(msgspec.json.format(msgspec.json.encode(document)), "bandit_runner.json")

    def _key(self, event: events.KeyEventArguments) -> None:
        if not event.action.keydown:
            return
        if event.key == " ":
            self._toggle_play()
        elif event.key.arrow_left:
            self._move(-1)
        elif event.key.arrow_right:
            self._move(1)
        elif event.key == "l":
            self._go_live()


def frame_figures() -> dict[str, tuple[ui.label, ui.label]]:
    """The row of five figures: for each its value and the line below."""
    found = {}
    with ui.element("div").classes("figures").props('role="group" aria-label="Figures"'):
        for name in ("Ids", "Accepted", "Score", "p50", "p99"):
            with ui.element("section").classes("panel").props(f'aria-label="{name}"'):
                ui.label(name).classes("soft")
                found[name] = (ui.label("-").classes("figure"), ui.label("").classes("soft"))
    return found


def show_figures(widgets: dict[str, tuple[ui.label, ui.label]], found: Figures | None) -> None:
    """Write the figures."""
    if found is None:
        for value, below in widgets.values():
            value.set_text("-")
            below.set_text("")
        return
    limited = "429s not recorded" if found.limited == UNKNOWN else f"{found.limited:,} answers 429"
    texts = {
        "Ids": (f"{found.requests:,}", f"{found.attempts - found.requests:+,} retries, {limited}"),
        "Accepted": (f"{100 * found.success_rate:.1f}%", f"{round(found.success_rate * found.requests):,} ids"),
        "Score": (f"{found.score:,.1f}", f"{found.extra:,} attempts too many"),
        "p50": (_ms(found.p50_ms), "half of all ids"),
        "p99": (_ms(found.p99_ms), "99 of 100 ids"),
    }
    for name, (value, below) in widgets.items():
        value.set_text(texts[name][0])
        below.set_text(texts[name][1])


def _ms(value: float | Unknown) -> str:
    return "-" if isinstance(value, str) else f"{value:.2f} ms"
