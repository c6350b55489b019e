"""What all pages share: the header, the look, and what is shown where there is nothing to show."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from nicegui import app, ui

from bandit_runner.dashboard.views import StoreState

PAGES: Final = (("/", "Live"), ("/compare", "Compare"), ("/learn", "Learn"))

_STYLE: Final = """
:root { --ink: #1b1f24; --soft: #5b6673; --line: #d9dee5; --paper: #ffffff; --ground: #f5f7fa; }
.body--dark { --ink: #e8ebef; --soft: #9aa6b4; --line: #303741; --paper: #1b2027; --ground: #12161b; }
body { background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
.panel { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px;
  width: 100%; min-width: 0; }
.panel h2 { font-size: 14px; font-weight: 600; line-height: 1.4; margin: 0 0 4px; letter-spacing: 0; }
.soft { color: var(--soft); font-size: 13px; }
.figure { font-size: 28px; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
.board { display: grid; gap: 14px; width: 100%;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); }
.quarters { grid-template-columns: repeat(auto-fill, minmax(min(100%, 290px), 1fr)); }
.figures { display: grid; gap: 14px; width: 100%; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.chart { width: 100%; height: 270px; }
.tall { height: 420px; }
table.plain { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13px; }
table.plain th, table.plain td { border-bottom: 1px solid var(--line); padding: 4px 8px; text-align: left; }
table.plain td.number, table.plain th.number { text-align: right; }
.q-header { background: var(--paper) !important; color: var(--ink) !important; border-bottom: 1px solid var(--line); }
.mono { font-family: ui-monospace, monospace; font-size: 12px; overflow-wrap: anywhere; }
"""


@contextmanager
def page(title: str) -> Iterator[None]:
    """A page's frame; its content is made inside the block."""
    ui.page_title(f"{title} - bandit_runner")
    ui.add_css(_STYLE)
    dark = ui.dark_mode(app.storage.user.get("dark"))
    with ui.header().classes("items-center gap-6 px-6 py-2"):
        ui.label("bandit_runner").classes("font-semibold text-lg")
        with ui.element("nav").props('aria-label="Pages"').classes("flex gap-4"):
            for path, name in PAGES:
                link = ui.link(name, path).classes("no-underline")
                link.style("color: var(--ink)" if name == title else "color: var(--soft)")
                if name == title:
                    link.props('aria-current="page"').classes("font-semibold")
        ui.space()
        button = ui.button(icon="contrast", on_click=lambda: _toggle(dark)).props("flat round dense color=grey-7")
        button.props('aria-label="Light or dark"').tooltip("Light or dark (D)")
    with ui.column().classes("w-full max-w-screen-2xl mx-auto px-4 py-4 gap-4"):
        yield
    ui.keyboard(on_key=lambda event: _toggle(dark) if event.action.keydown and event.key == "d" else None)


def _toggle(dark: ui.dark_mode) -> None:
    dark.set_value(not dark.value)
    app.storage.user["dark"] = dark.value


@contextmanager
def panel(title: str, *, explained: str = "", wide: bool = False) -> Iterator[None]:
    """A box with a heading."""
    box = ui.element("section").classes("panel").props(f'aria-label="{title}"')
    if wide:
        box.style("grid-column: 1 / -1")
    with box:
        ui.element("h2").add_slot("default", title)
        if explained:
            ui.label(explained).classes("soft")
        yield


def nothing(state: StoreState) -> None:
    """Where there is nothing to show: why, and what to do."""
    with ui.element("section").classes("panel text-center py-16"):
        ui.icon("inbox" if state.kind == "none" else "report_problem", size="48px").classes("soft")
        ui.label(state.message).classes("text-lg font-semibold")
        ui.label(state.hint).classes("soft")
