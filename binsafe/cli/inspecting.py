"""The policy of a program that is to run and that nobody has looked at yet."""

import sys
from typing import TYPE_CHECKING

import click

from binsafe.cli.asked import Asked
from binsafe.cli.deriving import derive_policy
from binsafe.cli.entry import note
from binsafe.cli.remembered import keep
from binsafe.errors import NotEnforceable, NotExecutable
from binsafe.intake import Snapshot, inspect
from binsafe.sandbox.launching import check_native

if TYPE_CHECKING:
    from binsafe.model import Policy, Report


def inspected(snapshot: Snapshot, asked: Asked, *, yes: bool, key: str | None) -> "Policy":
    """Inspect and derive; kept for the next start, unless somebody has to be asked each time."""
    report = inspect(snapshot)
    _refuse_unknown(report)
    check_native(report.slices[0].system, "+".join(part.arch for part in report.slices), report.artifact.name)
    if report.verdict.level == "danger" and not yes:
        _ask(report)
    policy = derive_policy(report, asked)
    if report.verdict.level != "danger" and key is not None:
        keep(key, policy)
    return policy


def _refuse_unknown(report: "Report") -> None:
    if report.analysed:
        return
    detail = f"{report.artifact.path}: {report.findings[0].detail}"
    if report.format in ("script", "archive"):
        raise NotExecutable(detail, hint="name the interpreter or unpack the archive, and inspect what is in it")
    raise NotEnforceable(detail, hint=report.verdict.advice)


def _ask(report: "Report") -> None:
    """A dangerous file runs only when somebody says so."""
    note(f"danger: {report.verdict.advice}")
    if not sys.stdin.isatty():
        raise NotEnforceable("the verdict is danger and nobody is there to ask", hint="read the report; then --yes")
    try:
        agreed = click.confirm("Run it all the same, inside the sandbox?", default=False, err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise NotEnforceable("not started", hint="binsafe inspect shows what was found")
