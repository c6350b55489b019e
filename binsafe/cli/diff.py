"""binsafe diff: what the new version can do that the old one could not."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from binsafe.cli.entry import note
from binsafe.cli.writing import write

if TYPE_CHECKING:
    from binsafe.model import Report

NOT_ANALYSED = 3
FINDINGS = 1
_SEVERITIES = ("info", "low", "medium", "high", "critical")
_MAX_SAVED_BYTES = 64 * 1024**2


class _Reason(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A severity, or the id of a change; checked when it is used, so that --help loads nothing."""

    name = "severity|change"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The same word, if it is one."""
        from binsafe.difference import IDS

        if value not in IDS and value not in _SEVERITIES:
            self.fail(f"{value!r} is none of: {', '.join((*_SEVERITIES, *IDS))}", param, ctx)
        return value


@click.command(
    "diff",
    epilog="""\b
Examples:
  binsafe diff tool-1.0 tool-1.1
  binsafe diff old.report.json ./tool --fail-on gained-network --fail-on lost-signature
  binsafe diff old.whl new.whl --format markdown --output comment.md

\b
--fail-on takes a severity (info low medium high critical) or one of:
  gained-network gained-listen gained-connect gained-resolve gained-send gained-receive gained-accept gained-raw
  gained-exec gained-persistence gained-keychain gained-screen gained-camera gained-microphone gained-debug
  gained-load-library gained-modify-code gained-packed gained-syscall gained-library gained-entitlement
  gained-string gained-slice gained-member lost-signature lost-hardening changed-signer changed-dependency
  changed-build worse-verdict""",
)
@click.argument("old")
@click.argument("new")
@click.option("--format", "format_", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.option("--json", "format_", flag_value="json", help="The same as --format json.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to standard output.")
@click.option("--fail-on", multiple=True, type=_Reason(), help="Exit 1 on such a change; repeatable.")
@click.option("--no-syscalls", is_flag=True, help="Skip the system-call analysis.")
def command(
    *, old: str, new: str, format_: str, output: Path | None, fail_on: tuple[str, ...], no_syscalls: bool
) -> int:
    """Say what NEW can do that OLD could not. Each is a file as for inspect, or a report that was saved as JSON.

    Exit status: 0 done; 1 a change that --fail-on names; 2 usage; 3 one of them could not be analysed, so that nothing
    is known about what changed; 127 not found.
    """
    from binsafe.difference import compare, matches
    from binsafe.reports.changes import CHANGES

    difference = compare(_report(old, syscalls=not no_syscalls), _report(new, syscalls=not no_syscalls))
    write(CHANGES[format_](difference), output)
    if not difference.analysed:
        note("one of them could not be analysed as a whole: what is not shown may have changed, too")
        return NOT_ANALYSED
    failed = any(matches(change, wanted) for change in difference.changes for wanted in fail_on)
    return FINDINGS if failed else 0


def _report(name: str, *, syscalls: bool) -> "Report":
    """The report in a file, or the report on it."""
    return _saved(name) or _inspected(name, syscalls=syscalls)


def _inspected(name: str, *, syscalls: bool) -> "Report":
    from binsafe.cli.inspect import inspect_named

    return inspect_named(name, syscalls=syscalls, listings=False)


def _saved(name: str) -> "Report | None":
    """A report that was saved as JSON, known by its content; None for everything else.

    Raises:
        UsageError: it says that it is a report and is none.
    """
    import msgspec

    from binsafe.errors import UsageError
    from binsafe.model import Report
    from binsafe.model.report import REPORT_SCHEMA

    path = Path(name)
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        head = stream.read(200)
        if not head.lstrip().startswith(b"{") or f'"{REPORT_SCHEMA}"'.encode() not in head:
            return None
        data = head + stream.read(_MAX_SAVED_BYTES)
    try:
        return msgspec.json.decode(data, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{name} is no whole report: {error}", hint="save it again: binsafe inspect FILE --json --output PATH"
        ) from error
