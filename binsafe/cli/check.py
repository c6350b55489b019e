"""binsafe check: find errors in a profile or policy."""

from pathlib import Path

import click

from binsafe.cli.options import prelude_option
from binsafe.cli.statuses import FINDINGS

_LEVELS = ("note", "warning", "error")


@click.command(
    "check",
    short_help="Find what is wrong with a profile, policy or baseline.",
    epilog="""\b
Examples:
  binsafe check server.sb
  binsafe check server.sb --macos 12 --fail-on error
  binsafe check --prelude common.sb network.sb    (two files, read as one)
  binsafe check seccomp.json
  binsafe check server.policy.json""",
)
@click.argument("profile", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--for",
    "kind",
    type=click.Choice(("seatbelt", "seccomp", "policy", "linux", "baseline")),
    help="Kind of the text; by default told from what it holds.",
)
@prelude_option
@click.option("--macos", metavar="VERSION", help="The oldest macOS that an SBPL profile must load on, as 12 or 10.15.")
@click.option(
    "--fail-on",
    type=click.Choice(_LEVELS),
    default="warning",
    show_default=True,
    help="Exit 1 on findings this severe.",
)
def command(*, profile: Path, kind: str | None, prelude: tuple[Path, ...], macos: str | None, fail_on: str) -> int:
    """Read a PROFILE strictly: SBPL, seccomp as OCI runtimes take it, a policy or a baseline.

    Each finding is FILE:LINE:COLUMN: LEVEL: what is wrong: what was expected. Errors do not compile or mean nothing;
    warnings open more than they seem to; notes are worth a look.

    Exit status: 0 fine; 1 findings at or above --fail-on; 2 usage.
    """
    from binsafe import baselines
    from binsafe.checks import check_text, kind_of
    from binsafe.cli.profiletext import read_profile, release
    from binsafe.reports.escape import escape

    text, locate = read_profile(profile, prelude)
    findings = check_text(text, kind or kind_of(text, profile.name), release=release(macos), extended=baselines.load)
    for finding in findings:
        where = locate(finding.place)
        click.echo(escape(f"{where}: {finding.level}: {finding.message}: {finding.expected}"))
    counted = {level: sum(finding.level == level for finding in findings) for level in reversed(_LEVELS)}
    summed = ", ".join(f"{count} {level}{'s' * (count != 1)}" for level, count in counted.items())
    click.echo(escape(f"{profile}: {summed}"))
    worst = max((_LEVELS.index(finding.level) for finding in findings), default=-1)
    return FINDINGS if worst >= _LEVELS.index(fail_on) else 0
