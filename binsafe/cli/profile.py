"""binsafe profile: the policy of a file, written for a mechanism."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from binsafe.cli.entry import note
from binsafe.cli.options import Asked, derive_policy, grants

if TYPE_CHECKING:
    from binsafe.model import Policy

MECHANISMS = ("macos", "linux", "seatbelt", "seccomp", "landlock", "bwrap", "systemd", "policy")


@click.command(
    "profile",
    epilog="""\b
Examples:
  binsafe profile --ports 30                        (flakyservers, its 30 ports)
  binsafe profile ./server --ports :8080 --output server.policy.json --for policy
  binsafe profile flakyservers --for policy --explain""",
)
@click.argument("file", default="flakyservers")
@grants
@click.option("--for", "mechanism", type=click.Choice(MECHANISMS), help="Default: the file's own system.")
@click.option("--allow-partial", is_flag=True, help="Render the nearest wider rule where a mechanism has no words.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to standard output.")
@click.option("--explain", is_flag=True, help="Say on standard error what is granted and what is denied, and why.")
def command(
    *, file: str, mechanism: str | None, allow_partial: bool, output: Path | None, explain: bool, **asked: Any
) -> None:
    """Write the least that FILE needs as a profile, each rule with its reason. FILE defaults to flakyservers.

    Exit status: 0 done; 2 a grant that cannot be or that the mechanism has no words for; 3 FILE could not be analysed.
    """
    from binsafe.intake import Snapshot, find, inspect
    from binsafe.renderers import RENDERERS, render

    with Snapshot.take(find(file, progress=note)) as snapshot:
        policy = derive_policy(inspect(snapshot), Asked(**asked))
        path = snapshot.artifact.path
    system = policy.artifact.system
    mechanism = mechanism or (system if system in RENDERERS else "policy")  # none of Windows is written yet
    profile = render(policy, mechanism, binary=path, allow_partial=allow_partial)
    if output is None:
        click.echo(profile.text, nl=not profile.text.endswith("\n"))
    else:
        output.write_text(profile.text, encoding="utf-8")
    if explain:
        _explain(policy)
    for gap in profile.gaps:
        note(f"not enforced by {mechanism}: {gap.reason}")
    note(_how_to_use(mechanism, path, str(output) if output else None))


def _explain(policy: "Policy") -> None:
    from binsafe.reports.escape import escape

    for grant in policy.grants:
        note(
            f"granted  {grant.kind} {escape(grant.object)} {escape(grant.access)}".rstrip()
            + f": {escape(grant.reason)}"
        )
    for denial in policy.denied:
        places = ", ".join(evidence.address or evidence.symbol or "" for evidence in denial.evidence[:3])
        note(
            f"denied   {escape(denial.capability)}: {escape(denial.reason)}"
            + (f" ({escape(places)})" if places else "")
        )


def _how_to_use(mechanism: str, path: str, output: str | None) -> str:
    """The exact command line that uses the result."""
    program = shlex.quote(path)
    saved = shlex.quote(output or "profile.sb")
    if mechanism in ("macos", "seatbelt"):
        return f"use it on macOS: sandbox-exec -f {saved} {program}"
    if mechanism == "policy":
        return f"use it: binsafe run --policy {shlex.quote(output or 'policy.json')} {program}"
    return f"use it: binsafe run {program}   (derives and enforces the same; save one with --for policy)"
