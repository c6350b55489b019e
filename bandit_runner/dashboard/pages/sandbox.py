"""The sandbox panel: what was inspected, what holds it, what it may do, and what it tried all the same."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from nicegui import ui

from bandit_runner.dashboard.pages import frame
from bandit_runner.runs import Session
from binsafe import escape

MAX_ROWS: Final = 200


class SandboxPanel:
    """Made once, filled when a session is shown."""

    def __init__(self) -> None:
        with ui.element("div").classes("board"):
            with frame.panel("Sandbox", explained="What was inspected, and what holds it."):
                self._facts = ui.element("div")
            with frame.panel("Violations", explained="What the servers were denied, the latest first."):
                self._violations = ui.element("div").classes("scrolled").props('role="log" aria-live="polite"')
        with frame.panel("Grants in force", explained="Everything else is denied."):
            self._grants = ui.element("div")
        self._shown: tuple[Any, ...] | None = None
        self._told = -1

    def show(self, session: Session, violations: Sequence[Mapping[str, Any]]) -> None:
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
        with ui.expansion(f"{len(grants)} grants").style("width: 100%"):
            rows = [(g.get("kind"), f"{g.get('object')} {g.get('access', '')}", g.get("reason")) for g in grants]
            _table(("kind", "object", "reason"), rows[:MAX_ROWS])
        with ui.expansion(f"{len(denied)} things it could do and may not").style("width: 100%"):
            _table(("capability", "reason"), [(d.get("capability"), d.get("reason")) for d in denied][:MAX_ROWS])


def _violations(box: ui.element, violations: Sequence[Mapping[str, Any]]) -> None:
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


def _table(heads: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    frame.table(heads, [tuple(escape(str(cell)) for cell in row) for row in rows])
