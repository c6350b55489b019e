"""binsafe inspect: what a file is, who signed it, what it can do."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from binsafe.cli.entry import complain, note

if TYPE_CHECKING:
    from binsafe.model import Report

NOT_ANALYSED = 3
FINDINGS = 1
_SEVERITIES = ("none", "low", "medium", "high", "critical")


@click.command(
    "inspect",
    epilog="""\b
Examples:
  binsafe inspect flakyservers
  binsafe inspect ./server --json > report.json
  binsafe inspect ls -v
  binsafe inspect ./download --fail-on medium   (exit 1 when something is found)""",
)
@click.argument("file")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--json", "format_", flag_value="json", help="The same as --format json.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to standard output.")
@click.option("--fail-on", type=click.Choice(_SEVERITIES), default="none", help="Exit 1 on findings this severe.")
@click.option("--arch", help="Show this slice of a universal file only.")
@click.option("--no-syscalls", is_flag=True, help="Skip the system-call analysis.")
@click.option("--timing", is_flag=True, help="Say how long it took.")
@click.option("-v", "--verbose", count=True, help="Show more; twice for all.")
def command(
    *,
    file: str,
    format_: str,
    output: Path | None,
    fail_on: str,
    arch: str | None,
    no_syscalls: bool,
    timing: bool,
    verbose: int,
) -> int:
    """Look at FILE without running it: a path, a command, or the name of a known artifact.

    Exit status: 0 done; 1 findings at or above --fail-on; 3 could not be analysed (do not run it); 127 not found.
    """
    from binsafe.reports import REPORTERS

    started = time.perf_counter()
    report = _only(arch, _inspect(file, syscalls=not no_syscalls))
    if format_ == "text" and not report.slices:
        complain("binsafe inspect", f"{report.artifact.path}: {report.findings[0].detail}", report.verdict.advice)
        return NOT_ANALYSED
    text = REPORTERS[format_](report, verbose=verbose)
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        output.write_text(text, encoding="utf-8")
    if timing:
        note(f"inspected {report.artifact.size:,} bytes in {time.perf_counter() - started:.2f} s")
    if not report.analysed:
        return NOT_ANALYSED
    worst = max((finding.severity.rank for finding in report.findings), default=0)
    return FINDINGS if fail_on != "none" and worst >= _SEVERITIES.index(fail_on) else 0


def _inspect(file: str, *, syscalls: bool) -> "Report":
    from binsafe.errors import NotAnalysable
    from binsafe.intake import Snapshot, find, inspect, not_analysed

    found = find(file, progress=note)
    try:
        with Snapshot.take(found) as snapshot:
            return inspect(snapshot, syscalls=syscalls)
    except NotAnalysable as error:
        return not_analysed(found, error)


def _only(arch: str | None, report: "Report") -> "Report":
    """The report with one slice's facts and findings, or all of it."""
    if arch is None:
        return report
    import msgspec

    from binsafe.errors import UsageError

    index = next((number for number, part in enumerate(report.slices) if part.arch == arch), None)
    if index is None:
        have = ", ".join(part.arch for part in report.slices) or "none"
        raise UsageError(f"{report.artifact.name} has no slice for {arch}", hint=f"it has: {have}")
    findings = tuple(
        msgspec.structs.replace(finding, slice=None if finding.slice is None else 0)
        for finding in report.findings
        if finding.slice in (None, index)
    )
    return msgspec.structs.replace(report, slices=(report.slices[index],), findings=findings)
