"""binsafe diff: what the new version can do that the old one could not."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from binsafe.cli.entry import complain, note, progress
from binsafe.cli.options import outputs
from binsafe.cli.statuses import FINDINGS, NOT_ANALYSED, SEVERITIES
from binsafe.cli.writing import write

if TYPE_CHECKING:
    from binsafe.intake import Found, Worker
    from binsafe.model import Report
    from binsafe.model.difference import Difference


class _Reason(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in newer versions of click alone
    """A severity, or the id of a change; checked when it is used, so that --help loads nothing."""

    name = "severity|change"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The same word, if it is one."""
        from binsafe.difference import IDS

        if value not in IDS and value not in SEVERITIES:
            self.fail(f"{value!r} is none of: {', '.join((*SEVERITIES, *IDS))}", param, ctx)
        return value


@click.command(
    "diff",
    short_help="Say what NEW can do that OLD could not.",
    epilog="""\b
Examples:
  binsafe diff tool-1.0 tool-1.1
  binsafe diff tool.report.json ./tool --fail-on gained-network
  binsafe diff old.whl new.whl --format markdown --output comment.md

\b
--fail-on takes a severity (info low medium high critical) or one of:
  gained-network gained-listen gained-connect gained-resolve gained-send
  gained-receive gained-accept gained-raw gained-exec gained-persistence
  gained-keychain gained-screen gained-camera gained-microphone gained-debug
  gained-load-library gained-modify-code gained-packed gained-syscall
  gained-library gained-entitlement gained-rpath gained-rights
  gained-attribute gained-finding gained-string gained-slice gained-member
  lost-signature lost-hardening changed-signer changed-interpreter
  changed-format changed-dependency changed-build worse-verdict
What could not be compared counts, too: it cannot be ruled out.""",
)
@click.argument("old")
@click.argument("new")
@outputs("text", "json", "markdown")
@click.option("--fail-on", multiple=True, type=_Reason(), help="Exit 1 on such a change; repeatable.")
@click.option("--no-syscalls", is_flag=True, help="Skip the system-call analysis.")
@click.option("-v", "--verbose", count=True, help="Show each change, with all its evidence.")
def command(
    *, old: str, new: str, format_: str, output: Path | None, fail_on: tuple[str, ...], no_syscalls: bool, verbose: int
) -> int:
    """Say what NEW can do that OLD could not. Each is a file as for inspect, or a report that was saved as JSON.

    Exit status: 0 done; 1 a change that --fail-on names; 2 usage; 3 one of them could not be analysed, so that nothing
    is known about what changed, which outranks 1; 127 not found.
    """
    from binsafe.difference import compare
    from binsafe.reports.changes import CHANGES

    before, after = _reports(old, new, syscalls=not no_syscalls)
    unread = [report for report in (before, after) if not report.analysed and not report.slices and not report.members]
    if format_ == "text" and unread:
        for report in unread:
            why = next((finding.detail for finding in report.findings), "it could not be analysed")
            complain("binsafe diff", f"{report.artifact.path}: {why}", report.verdict.advice)
        return NOT_ANALYSED
    difference = compare(before, after)
    write(CHANGES[format_](difference, verbose=verbose), output)
    failed = [wanted for wanted in dict.fromkeys(fail_on) if _fails(difference, wanted)]
    if not difference.analysed:
        note("one of them could not be analysed as a whole: what is not shown may have changed, too")
        return NOT_ANALYSED
    return FINDINGS if failed else 0


def _fails(difference: "Difference", wanted: str) -> bool:
    """Whether there is such a change, or may be; a line on standard error says which is the first."""
    from binsafe.difference import matches, undecided

    first = next((change for change in difference.changes if matches(change, wanted)), None)
    if first is not None:
        note(f"binsafe diff: --fail-on {wanted}: {first.id}: {first.item} {first.where}".rstrip())
    elif undecided(difference, wanted):
        note(f"binsafe diff: --fail-on {wanted}: it could not be compared, so that it cannot be ruled out")
    else:
        return False
    return True


def _reports(old: str, new: str, *, syscalls: bool) -> "tuple[Report, Report]":
    """One process parses both; what a name means is found before, so that a wrong one costs no time."""
    from binsafe.intake import Worker, find

    before, after = find(old, progress=note), find(new, progress=note)
    with Worker(progress()) as worker:
        return _report(before, worker, syscalls=syscalls), _report(after, worker, syscalls=syscalls)


def _report(found: "Found", worker: "Worker", *, syscalls: bool) -> "Report":
    """The report that the file is, or the report on it."""
    from binsafe.errors import NotAnalysable
    from binsafe.intake import Snapshot, inspect_folder, is_saved, not_analysed, read_saved

    try:
        if found.path.is_dir():
            return inspect_folder(found, syscalls=syscalls)
        with Snapshot.take(found) as snapshot:
            return read_saved(snapshot) if is_saved(snapshot) else worker.inspect(snapshot, syscalls=syscalls)
    except NotAnalysable as error:
        return not_analysed(found, error)
