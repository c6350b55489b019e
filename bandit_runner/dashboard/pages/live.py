"""The live page: what runs now, or how a stored run went, moment by moment. Widgets; what they show is in `viewing`."""

from collections.abc import Callable
from typing import Any, Final

from nicegui import events, ui

from bandit_runner.dashboard.pages import frame
from bandit_runner.dashboard.pages.choosing import SPEEDS
from bandit_runner.dashboard.pages.exporting import PNG
from bandit_runner.dashboard.pages.panels import CHARTS, FIGURES, LIMIT_HEADS, LIMIT_NUMBERS
from bandit_runner.dashboard.pages.sandbox import SandboxPanel
from bandit_runner.dashboard.pages.viewing import Picture, Viewer
from bandit_runner.dashboard.views import Board

LOOK_SECONDS: Final = 0.5
FRAME_SECONDS: Final = 0.25
"""Between two moments of a replay at 1x."""
EMPTY_SECONDS: Final = 2.0
"""Between two looks for a store that is not there yet."""

_BADGES: Final = {
    "Live": "positive",
    "Viewing history": "primary",
    "Interrupted": "warning",
    "Done": "grey-7",
    "Disconnected": "negative",
}


def build(board: Board) -> None:
    """The page for one visitor."""
    with frame.page("Live"):
        state = board.state()
        if state.kind != "ok":
            frame.nothing(state)
            ui.timer(EMPTY_SECONDS, lambda: ui.navigate.reload() if board.state().kind == "ok" else None)
            return
        LivePage(Viewer(board))


class LivePage:
    """Widgets around a viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._limits: tuple[tuple[str, ...], ...] | None = None
        self._trouble = ui.element("section").classes("panel alarm").props('role="alert"')
        self._header()
        self._figures()
        self._controls()
        self._charts()
        with frame.panel("Rate limits: what the strategy believes", explained="As it last saved what it knows."):
            self._beliefs = ui.element("div").classes("scrolled").props('tabindex="0" role="region"')
            self._beliefs.props('aria-label="Estimates of rate limits"')
        self._sandbox = SandboxPanel()
        frame.keyboard(self._key)
        ui.timer(LOOK_SECONDS, self._look)
        self._player = ui.timer(FRAME_SECONDS, self._step, active=False)

    # made once

    def _header(self) -> None:
        viewer = self._viewer
        with ui.element("div").classes("bar"):
            self._badge = ui.badge("").props('role="status" aria-live="polite"').classes("status")
            self._sessions = ui.select({}, on_change=self._set(viewer.choose_session))
            self._sessions.props('dense outlined aria-label="Session"').classes("session")
            self._strategies = ui.select([], on_change=self._set(viewer.choose_strategy))
            self._strategies.props('dense outlined aria-label="Strategy"').classes("choice")
            ui.element("div").classes("grow")
            ui.button("PNG", icon="image", on_click=lambda: ui.run_javascript(PNG)).props(
                'flat dense aria-label="Save as PNG"'
            )
            ui.button("JSON", icon="data_object", on_click=self._export).props('flat dense aria-label="Save as JSON"')
        self._banner = ui.element("div").classes("panel bar").props('role="status"')
        with self._banner:
            ui.label("A new session has started.")
            ui.button("Join live", on_click=lambda: self._show(viewer.go_live())).props("dense unelevated")

    def _figures(self) -> None:
        self._texts = {}
        with ui.element("div").classes("figures").props('role="group" aria-label="Figures"'):
            for name in FIGURES:
                with ui.element("section").classes("panel").props(f'aria-label="{name}"'):
                    ui.label(name).classes("soft")
                    self._texts[name] = (ui.label("-").classes("figure"), ui.label("").classes("soft"))

    def _controls(self) -> None:
        viewer = self._viewer
        with ui.element("section").classes("panel bar").props('aria-label="Filter and replay"'):
            for tier in ("T1", "T2", "T3"):
                box = ui.checkbox(tier, value=True, on_change=self._set(lambda on, t=tier: viewer.filter(t, on=on)))
                box.props("dense")
            ui.switch("overall", on_change=self._set(lambda on: viewer.sum_up(overall=on))).props("dense")
            ui.element("div").classes("grow")
            self._button("first_page", "First", lambda: viewer.seek(1))
            self._button("chevron_left", "Back", lambda: viewer.move(-1))
            self._play = self._button("play_arrow", "Play or pause", viewer.toggle)
            self._button("chevron_right", "Forward", lambda: viewer.move(1))
            self._button("last_page", "Last", lambda: viewer.seek(viewer.choice.length()))
            self._slider = ui.slider(min=1, max=1, value=1, on_change=self._set(lambda at: viewer.slide(int(at))))
            self._slider.props('label aria-label="Ids shown"').classes("moment")
            speeds = ui.toggle({speed: f"{speed}x" for speed in SPEEDS}, value=1, on_change=self._sped)
            speeds.props('dense flat aria-label="Speed of the replay"')
            ui.button("Go live", on_click=lambda: self._show(viewer.go_live())).props("flat dense")

    def _button(self, icon: str, name: str, act: Callable[[], Picture | None]) -> ui.button:
        button = ui.button(icon=icon, on_click=lambda: self._show(act()))
        return button.props(f'flat round dense aria-label="{name}"').tooltip(name)

    def _charts(self) -> None:
        self._drawn = []
        with ui.element("div").classes("board sixth"):
            for chart in CHARTS:
                with frame.panel(chart.title, explained=chart.explained, wide=chart.wide):
                    self._drawn.append(ui.echart({}).classes("chart tall" if chart.wide else "chart"))

    # again and again

    async def _look(self) -> None:
        await self._draw(self._viewer.look())

    async def _step(self) -> None:
        await self._draw(self._viewer.step())

    async def _draw(self, picture: Picture | None) -> None:
        self._show(picture)
        if picture is not None:
            await frame.caught_up()

    def _show(self, picture: Picture | None) -> None:
        viewer = self._viewer
        self._in_trouble()
        self._banner.set_visibility(viewer.has_news)
        self._player.active = viewer.playing
        self._play.props(f"icon={'pause' if viewer.playing else 'play_arrow'}")
        if picture is None:
            return
        self._badge.set_text(picture.status)
        self._badge.props(f"color={_BADGES.get(picture.status, 'grey-7')}")
        self._sessions.set_options(dict(picture.sessions), value=picture.session.id)
        self._strategies.set_options(list(picture.strategies), value=picture.strategy)
        self._slider.props(f"max={picture.length}")
        self._slider.set_value(picture.moment)
        for name, (value, below) in picture.figures.items():
            self._texts[name][0].set_text(value)
            self._texts[name][1].set_text(below)
        for drawn, options in zip(self._drawn, picture.charts, strict=True):
            drawn.options.clear()
            drawn.options.update(options)
            drawn.update()
        self._believed(picture.limits)
        self._sandbox.show(picture.session, picture.violations)

    def _believed(self, rows: tuple[tuple[str, ...], ...]) -> None:
        if rows == self._limits:
            return
        self._limits = rows
        self._beliefs.clear()
        with self._beliefs:
            if rows:
                frame.table(LIMIT_HEADS, list(rows), numbers=LIMIT_NUMBERS)
            else:
                ui.label("This strategy keeps no estimate of rate limits, or has saved none yet.").classes("soft")

    def _in_trouble(self) -> None:
        trouble = self._viewer.trouble
        self._trouble.set_visibility(trouble is not None)
        if trouble is None:
            return
        self._badge.set_text("Disconnected")
        self._badge.props(f"color={_BADGES['Disconnected']}")
        self._trouble.clear()
        with self._trouble:
            ui.label(trouble.message).classes("strong")
            ui.label(trouble.hint).classes("soft")

    # what a visitor does

    def _set(self, act: Callable[..., Picture | None]) -> "Callable[[events.ValueChangeEventArguments[Any]], None]":
        """What a widget calls when its value has changed; a selector that was emptied says nothing."""

        def changed(event: "events.ValueChangeEventArguments[Any]") -> None:
            if event.value is not None:
                self._show(act(event.value))

        return changed

    def _sped(self, event: "events.ValueChangeEventArguments[int]") -> None:
        self._viewer.speed = event.value

    def _export(self) -> None:
        document = self._viewer.export()
        if document is not None:
            ui.download.content(document, "bandit_runner.json")

    def _key(self, event: events.KeyEventArguments) -> None:
        if event.key == " ":
            self._show(self._viewer.toggle())
        elif event.key.arrow_left:
            self._show(self._viewer.move(-1))
        elif event.key.arrow_right:
            self._show(self._viewer.move(1))
        elif event.key == "l":
            self._show(self._viewer.go_live())
