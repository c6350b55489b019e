"""binsafe profile: the policy of a file, written for a mechanism."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from binsafe.cli.asked import Asked, found_on_path, options
from binsafe.cli.deriving import derive_policy
from binsafe.cli.entry import note, progress
from binsafe.cli.options import grants
from binsafe.cli.proposing import propose
from binsafe.cli.writing import write

if TYPE_CHECKING:
    from binsafe.model import Policy

MECHANISMS = ("macos", "linux", "seatbelt", "seccomp", "landlock", "bwrap", "systemd", "policy")


@click.command(
    "profile",
    short_help="Write the least that FILE needs as a sandbox profile.",
    epilog="""\b
Examples:
  binsafe profile --ports 30                (flakyservers with its 30 ports)
  binsafe profile ./server --ports :8080 --for policy --output server.json
  binsafe profile ./tool --read /data --for bwrap --output tool.sh
  binsafe profile flakyservers --for policy --explain
  binsafe profile ./server --from-violations denied.jsonl""",
)
@click.argument("file", default="flakyservers")
@grants
@click.option(
    "--for",
    "mechanism",
    type=click.Choice(MECHANISMS),
    help="Language of the profile; by default that of FILE's own system.",
)
@click.option("--allow-partial", is_flag=True, help="Render the nearest wider rule where a mechanism has no words.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to standard output.")
@click.option("--explain", is_flag=True, help="Say on standard error what each system enforces of it, and why.")
@click.option(
    "--from-violations",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Propose the grants that a report of `binsafe run --report` asks for, one by one.",
)
def command(
    *,
    file: str,
    mechanism: str | None,
    allow_partial: bool,
    output: Path | None,
    explain: bool,
    from_violations: Path | None,
    **asked: Any,
) -> None:
    """Write the least that FILE needs as a profile, each rule with its reason. FILE defaults to flakyservers.

    Exit status: 0 done; 2 a grant that cannot be or that the mechanism has no words for; 3 FILE could not be analysed.
    """
    from binsafe.intake import Snapshot, find, inspect
    from binsafe.renderers import RENDERERS, render

    wanted = found_on_path(Asked(**asked))
    if from_violations is not None:
        wanted = propose(from_violations, wanted)
    with Snapshot.take(find(file, progress=note)) as snapshot:
        policy = derive_policy(inspect(snapshot, progress=progress()), wanted)
        path = snapshot.artifact.path
    system = policy.artifact.system
    mechanism = mechanism or (system if system in RENDERERS else "policy")  # none of Windows is written yet
    taken_away = mechanism in ("macos", "seatbelt") and sys.platform != "darwin"
    binary = None if taken_away else path  # where it will lie on the Mac is not known here: the profile asks for it
    profile = render(policy, mechanism, binary=binary, allow_partial=allow_partial)
    write(profile.text, output)
    if explain:
        _explain(policy)
    for gap in profile.gaps:
        note(f"not enforced by {mechanism}: {gap.reason}")
    saved = str(output) if output else None
    if mechanism in ("macos", "seatbelt"):
        note(_how_to_use_on_macos(policy, binary, saved))
    else:
        note(_how_to_use(mechanism, path, saved, options(wanted)))


def _explain(policy: "Policy") -> None:
    """What each system enforces of every line, and the line's reason, as wide as the terminal: see `explaining`."""
    import shutil
    import textwrap

    from binsafe.renderers.explaining import explain

    width = max(40, shutil.get_terminal_size().columns - 1)
    note("What macOS, Linux and its fallback (no user namespaces) make of each line:")
    for row in explain(policy):
        note(row.what)
        systems: dict[str, list[str]] = {}
        for system, held in (("macOS", row.macos), ("Linux", row.linux), ("fallback", row.fallback)):
            systems.setdefault(held, []).append(system)
        for held, alike in systems.items():
            note(f"    {', '.join(alike):<24}{held}")
        for line in textwrap.wrap(row.reason, width - 4):
            note(f"    {line}")


def _how_to_use_on_macos(policy: "Policy", path: str | None, output: str | None) -> str:
    """The exact command line that uses the result, but for what only the Mac knows: where things lie there."""
    from binsafe.policy.libraries import placed_by_the_mac
    from binsafe.reports.escape import escape, shell_word

    words, asked = ["sandbox-exec"], []
    if path is None:
        words.append("-D BINARY=PATH")
        asked.append("PATH: where the program lies there")
    if beside := placed_by_the_mac(policy):
        words.append("-D LIBRARIES=FOLDER")
        more = f" and {len(beside) - 1} more lie" if len(beside) > 1 else " lies"
        asked.append(f"FOLDER: where {escape(beside[0])}{more}")
    words += "-f", shell_word(output or "profile.sb"), "PATH" if path is None else shell_word(path)
    where = f"   ({'; '.join(asked)}, without links)" if asked else ""
    return f"use it on {'the Mac' if path is None else 'macOS'}: {' '.join(words)}{where}"


def _how_to_use(mechanism: str, path: str, output: str | None, asked: list[str]) -> str:
    """The exact command line that uses the result; ``asked`` are the words that asked for its grants."""
    from binsafe.reports.escape import shell_word

    program = shell_word(path)
    if mechanism == "systemd":
        unit = shell_word(output or "server.service")
        return f"use it: systemctl link {unit if '/' in unit else '$PWD/' + unit}, then systemctl start its name"
    commands = {
        "policy": f"binsafe run --policy {shell_word(output or 'policy.json')} {program}",
        "bwrap": f"sh {shell_word(output or 'profile.sh')}",
        "seccomp": f"docker run --security-opt seccomp={shell_word(output or 'profile.json')} IMAGE   (podman alike)",
    }
    if mechanism in commands:
        return f"use it: {commands[mechanism]}"
    words = " ".join((*map(shell_word, asked), program))
    return f"use it: binsafe run {words}   (derives and enforces the same; save one with --for policy)"
