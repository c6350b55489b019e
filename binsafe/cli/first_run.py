"""The policy of a program that is to be run and was not inspected before."""

import sys
from typing import TYPE_CHECKING

import click

from binsafe.cli.asked import Asked
from binsafe.cli.deriving import derive_policy, runner, starts
from binsafe.cli.entry import note, progress
from binsafe.cli.remembered import keep
from binsafe.errors import NotEnforceable, NotExecutable
from binsafe.intake import Snapshot, inspect
from binsafe.sandbox.launching import check_native

if TYPE_CHECKING:
    from binsafe.model import Policy, Report


def inspected(snapshot: Snapshot, asked: Asked, *, yes: bool, key: str | None) -> "Policy":
    """Inspect and derive; remembered for the next start, unless the user has to confirm each time."""
    report = inspect(snapshot, progress=progress())
    _refuse_others(report, snapshot)
    check_native(report.slices[0].system, "+".join(part.arch for part in report.slices), report.artifact.name)
    if report.verdict.level == "danger" and not yes:
        _ask(report)
    policy = derive_policy(report, asked)
    if report.verdict.level != "danger" and key is not None:
        keep(key, policy)
    return policy


def _refuse_others(report: "Report", snapshot: Snapshot) -> None:
    """What is no program, or was not understood, is not run."""
    if report.slices and report.analysed:
        return
    why = "It is an archive, not a program." if report.analysed else report.findings[0].detail
    detail = f"{report.artifact.path}: {why}"
    if report.format == "script":
        from binsafe.reports.escape import shell_word

        words, path = runner(snapshot.descriptor), shell_word(report.artifact.path)
        by_name = words[1:] if words and words[0].endswith("/env") else words  # env looks it up on PATH, as we do
        reader = shell_word(by_name[0]) if by_name else "INTERPRETER"
        hint = f"run what reads it: binsafe run --read {path} {reader} {path}"
        if started := starts(snapshot.descriptor):
            hint = f"run what it starts: binsafe run {started}"
        raise NotExecutable(detail, hint=hint)
    if report.format == "archive":
        raise NotExecutable(detail, hint="unpack it, and inspect what is in it")
    raise NotEnforceable(detail, hint=report.verdict.advice)


def _ask(report: "Report") -> None:
    """A dangerous file runs only when the user confirms it."""
    note(f"danger: {report.verdict.advice}")
    if not sys.stdin.isatty():
        raise NotEnforceable("the verdict is danger and nobody is there to ask", hint="read the report; then --yes")
    try:
        agreed = click.confirm("Run it all the same, inside the sandbox?", default=False, err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise NotEnforceable("not started", hint="binsafe inspect shows what was found")
