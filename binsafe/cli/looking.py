"""What `binsafe inspect` does, without click: where it is asked for text or JSON alone, nothing loads that."""

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from binsafe.cli.entry import complain, note, progress
from binsafe.cli.statuses import FINDINGS, NOT_ANALYSED, reaches
from binsafe.cli.writing import write

if TYPE_CHECKING:
    from binsafe.model import Report

_WIDEST = 120


def look(  # noqa: PLR0913 - one for each option
    file: str,
    *,
    format_: str = "text",
    output: Path | None = None,
    fail_on: str = "none",
    arch: str | None = None,
    spoiler_free: bool = False,
    no_syscalls: bool = False,
    timing: bool = False,
    verbose: int = 0,
) -> int:
    """Print or write the report on a file; returns the status that the process is to end with."""
    started = time.perf_counter()
    report = _only(arch, _inspect(file, syscalls=not no_syscalls, listings=verbose > 1 and not spoiler_free))
    if spoiler_free:
        from binsafe.reports import without_spoilers

        report = without_spoilers(report)
    if format_ == "text" and not report.slices and not report.members:
        path, why = report.artifact.path, report.findings[0].detail
        complain("binsafe inspect", why if why.startswith(path) else f"{path}: {why}", report.verdict.advice)
        return NOT_ANALYSED
    write(_rendered(report, format_, verbose, terminal=output is None and sys.stdout.isatty()), output)
    if timing:
        note(f"inspected {report.artifact.size:,} bytes in {time.perf_counter() - started:.2f} s")
    if not report.analysed:
        return NOT_ANALYSED
    return FINDINGS if reaches(report.worst, fail_on) else 0


def _rendered(report: "Report", format_: str, verbose: int, *, terminal: bool) -> str:
    """The output; of bounded size unless more is asked for, in colours and as wide as the terminal where there is one.

    https://no-color.org: no colours where NO_COLOR is set to anything, nor on a terminal that has none.
    """
    from binsafe.reports import REPORTERS, fitted

    render: Callable[[Report], str] = functools.partial(REPORTERS[format_], verbose=verbose)
    if format_ == "text" and terminal:
        import shutil  # it loads compressors

        from binsafe.reports import text
        from binsafe.reports.style import ansi, plain

        style = plain if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else ansi
        width = min(shutil.get_terminal_size().columns, _WIDEST)
        render = functools.partial(text.render, verbose=verbose, width=width, style=style)
    elif format_ == "sarif":
        from binsafe.reports import sarif

        render = functools.partial(sarif.render, verbose=verbose, base=str(Path.cwd()))
    return render(report) if verbose else fitted(render, report)


def _inspect(file: str, *, syscalls: bool, listings: bool) -> "Report":
    """The report on what a person named; also on what could not be analysed."""
    from binsafe.errors import NotAnalysable
    from binsafe.intake import Found, Snapshot, find, inspect, inspect_folder, not_analysed
    from binsafe.intake.finding import readable

    try:
        found = find(file, progress=note)
    except NotAnalysable as error:  # links that lead to each other
        return not_analysed(Found(file, Path(file)), error)
    try:
        if found.path.is_dir():
            return inspect_folder(found, syscalls=syscalls, listings=listings)
        named = Found(readable(found.name), found.path)
        with Snapshot.take(named, known_as=readable(str(found.path))) as snapshot:
            return inspect(snapshot, syscalls=syscalls, listings=listings, progress=progress())
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
