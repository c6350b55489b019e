"""The sandbox panel: what was inspected, what holds it, what it may do, and what it tried all the same."""

import time
from typing import Any, Final

from nicegui import ui

from bandit_runner.dashboard.pages import frame
from bandit_runner.runs import Session
from binsafe.reports.escape import escape

MAX_ROWS: Final = 200


class SandboxPanel:
    """Made once, filled when a session is shown."""

    def __init__(self) -> None:
        with ui.element("div").classes("board"):
            with frame.panel("Sandbox"):
                self._facts = ui.element("div")
            with frame.panel("Violations", explained="What the servers were denied, the latest first."):
                self._violations = ui.element("div").props('role="log" aria-live="polite"')
            with frame.panel("Grants in force", wide=True):
                self._grants = ui.element("div")
        self._shown: tuple[Any, ...] | None = None
        self._told = -1

    def show(self, session: Session, violations: list[dict[str, Any]]) -> None:
        """Fill the panel; what has not changed is left alone."""
        key = (session.id, session.sandbox is None)
        if key != self._shown:
            self._shown, self._told = key, -1
            _facts(self._facts, session.sandbox)
            _grants(self._grants, session.sandbox)
        if len(violations) != self._told:
            self._told = len(violations)
            _violations(self._violations, violations)


def _facts(box: ui.element, sandbox: dict[str, Any] | None) -> None:
    box.clear()
    with box:
        if sandbox is None:
            ui.label("Nothing is known of the servers' sandbox: they were not started here.").classes("soft")
            return
        artifact, verdict = sandbox.get("artifact", {}), sandbox.get("verdict", {})
        signatures = ", ".join(
            f"{s.get('arch')}: {s.get('kind')} ({s.get('status')})" for s in sandbox.get("signature", ())
        )
        rows = (
            ("program", artifact.get("name")),
            ("sha256", artifact.get("sha256")),
            ("signature", signatures),
            ("verdict", f"{verdict.get('level')}: {verdict.get('advice')}"),
            ("backend", sandbox.get("backend")),
            ("enforcement", sandbox.get("enforcement")),
            ("pid", sandbox.get("pid")),
        )
        _table(("", ""), rows)


def _grants(box: ui.element, sandbox: dict[str, Any] | None) -> None:
    box.clear()
    with box:
        if sandbox is None:
            return
        grants = sandbox.get("grants", ())
        denied = sandbox.get("denied", ())
        with ui.expansion(f"{len(grants)} grants, all else is denied").classes("w-full"):
            rows = [(g.get("kind"), f"{g.get('object')} {g.get('access', '')}", g.get("reason")) for g in grants]
            _table(("kind", "object", "reason"), rows[:MAX_ROWS])
        with ui.expansion(f"{len(denied)} things it could do and may not").classes("w-full"):
            _table(("capability", "reason"), [(d.get("capability"), d.get("reason")) for d in denied][:MAX_ROWS])


def _violations(box: ui.element, violations: list[dict[str, Any]]) -> None:
    box.clear()
    with box:
        told = [each for each in violations if not each.get("expected")]
        if not told:
            ui.label("None.").classes("soft")
            return
        rows = [
            (
                time.strftime("%H:%M:%S", time.localtime(each.get("time", 0))),
                f"{each.get('operation')} {each.get('object')}",
                each.get("result"),
                each.get("grant") or "-",
            )
            for each in reversed(told[-MAX_ROWS:])
        ]
        _table(("time", "tried", "answer", "would allow it"), rows)


def _table(heads: tuple[str, ...], rows: Any) -> None:
    """A plain table; every cell is text, whatever it holds."""
    with ui.element("table").classes("plain"):
        if any(heads):
            with ui.element("thead"), ui.element("tr"):
                for head in heads:
                    with ui.element("th").props('scope="col"'):
                        ui.label(head)
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for cell in row:
                        with ui.element("td").classes("mono" if len(str(cell)) > 40 else ""):  # noqa: PLR2004
                            ui.label(escape(str(cell)))
