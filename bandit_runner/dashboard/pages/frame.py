"""What all pages share: the header, the look, and what is shown where there is nothing to show."""

import html
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from nicegui import events, ui
from nicegui.elements.mixins.text_element import TextElement

from bandit_runner.dashboard.views import StoreState

PAGES: Final = (("/", "Live"), ("/compare", "Compare"), ("/learn", "Learn"))

_STYLE: Final = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
_OPENING: Final = '<div class="opening" role="status"><b>bandit_runner</b><span>opening {title} ...</span></div>'
"""Painted before the scripts have come: a page is there at once, its content a moment later."""
_COOKIE: Final = "bandit_runner_dark"
_THEME_SECONDS: Final = 0.1
"""After which the browser has changed its colours, which the charts are then drawn in."""
_ANSWER_SECONDS: Final = 30.0
"""Until which a browser that is busy may say what it shows; NiceGUI's one second made clicks come to nothing."""
_LONG: Final = 40
"""Letters of a word in a cell from which on it is a hash or a path."""


@contextmanager
def page(title: str) -> Iterator[None]:
    """A page's frame; its content is made inside the block."""
    ui.page_title(f"{title} - bandit_runner")
    ui.add_css(_STYLE)
    ui.add_body_html(_OPENING.format(title=title))
    dark = ui.dark_mode(_chosen(ui.context.client.request))
    with ui.header():
        ui.element("b").add_slot("default", "bandit_runner")
        with ui.element("nav").props('aria-label="Pages"'):
            for path, name in PAGES:
                link = ui.link(name, path)
                if name == title:
                    link.props('aria-current="page"')
        ui.element("div").classes("grow")
        button = ui.button(icon="contrast", on_click=lambda: _toggle(dark)).props("flat round dense color=grey-7")
        button.props('aria-label="Light or dark"').tooltip("Light or dark (D)")
    with ui.element("div").classes("page"):  # in NiceGUI's own <main>
        yield
    keyboard(lambda event: _toggle(dark) if event.key == "d" else None)


def keyboard(pressed: Callable[[events.KeyEventArguments], object]) -> None:
    """Keys of the whole page, pressed while no control has the focus: a checkbox or slider takes its own."""
    # Quasar makes checkboxes and sliders of divs, which NiceGUI takes here too, but does not name in its type
    controls: list[Any] = ["input", "select", "button", "textarea", "div"]
    ui.keyboard(lambda event: pressed(event) if event.action.keydown else None, ignore=controls)


def _chosen(request: Request) -> bool | None:
    """Light or dark as the visitor has chosen before; None is as the visitor's system has it."""
    return {"1": True, "0": False}.get(request.cookies.get(_COOKIE, ""))


async def _toggle(dark: ui.dark_mode) -> None:
    """The other one of the two, and the browser remembers it: nothing is kept here."""
    is_dark = await ui.run_javascript("document.body.classList.contains('body--dark')", timeout=_ANSWER_SECONDS)
    dark.set_value(not is_dark)
    ui.run_javascript(f"document.cookie = '{_COOKIE}={int(not is_dark)}; path=/; max-age=31536000; SameSite=Strict'")
    ui.timer(_THEME_SECONDS, _redraw, once=True)


def _redraw() -> None:
    for element in ui.context.client.elements.values():
        if isinstance(element, ui.echart):
            element.update()


async def caught_up() -> None:
    """Come back once the browser has taken what it was sent.

    One that draws more slowly than pictures come would have a queue of them before it, and behind that the next click.
    """
    with suppress(TimeoutError):  # it is gone, or busy with something else
        await ui.run_javascript("0", timeout=_ANSWER_SECONDS)


@contextmanager
def panel(title: str, *, explained: str = "", wide: bool = False) -> Iterator[None]:
    """A box with a heading, which may be a name from the store: as a slot it would be a template, and run."""
    box = ui.element("section").classes("panel wide" if wide else "panel")
    box.props["aria-label"] = title
    with box:
        TextElement(tag="h2", text=title)
        if explained:
            ui.label(explained).classes("soft")
        yield


def nothing(state: StoreState) -> None:
    """Where there is nothing to show: why, and what to do."""
    with ui.element("section").classes("panel empty").props('role="status"'):
        ui.icon("inbox" if state.kind == "none" else "report_problem", size="48px").classes("soft")
        ui.label(state.message).classes("title")
        ui.label(state.hint).classes("soft")


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Container[int] = frozenset(),
    strong: Container[int] = frozenset(),
) -> None:
    """A plain table; every cell is text, whatever it holds. ``numbers`` are the columns that are set to the right.

    As one element: a thousand cells as elements of their own took a second to make, and nobody else was served then.
    """
    head = "".join(_cell("th scope=col", each, "number" if n in numbers else "") for n, each in enumerate(heads))
    body = "".join(
        f"<tr{' class=strong' if row in strong else ''}>{''.join(_cells(cells, numbers))}</tr>"
        for row, cells in enumerate(rows)
    )
    shown = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    ui.html(f'<table class="plain">{shown}<tbody>{body}</tbody></table>')


def _cells(cells: Sequence[str], numbers: Container[int]) -> Iterator[str]:
    for column, cell in enumerate(cells):
        yield _cell("td", cell, "number" if column in numbers else "mono" if _is_long(cell) else "")


def _is_long(cell: str) -> bool:
    return len(cell) > _LONG and max(map(len, cell.split(" "))) > _LONG


def _cell(tag: str, text: str, look: str) -> str:
    return f"<{tag}{f' class={look}' if look else ''}>{html.escape(text)}</{tag.partition(' ')[0]}>"
