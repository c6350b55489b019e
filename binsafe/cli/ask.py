"""binsafe ask: would a profile allow this?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from binsafe.cli.options import prelude_option
from binsafe.errors import UsageError

if TYPE_CHECKING:
    from binsafe.seatbelt import Answer

_OF_JSON = (
    "write one with binsafe profile FILE --for macos; what a policy grants says binsafe run --dry-run --policy FILE"
)
STATUS = {"allowed": 0, "denied": 1, "unknown": 3}


@click.command(
    "ask",
    short_help="Say whether an SBPL profile would allow an operation.",
    epilog="""\b
Examples:
  binsafe ask server.sb network-outbound 192.0.2.7:443
  binsafe ask server.sb network-bind 127.0.0.1:4000
  binsafe ask server.sb file-read-data /etc/passwd -D BINARY=/opt/server
  binsafe ask server.sb process-fork
  binsafe ask server.sb mach-lookup com.apple.trustd.agent""",
)
@click.argument("profile", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.argument("operation")
@click.argument("subject", metavar="[OBJECT]", required=False)
@click.option("-D", "defined", multiple=True, metavar="NAME=VALUE", help="A parameter, as for sandbox-exec.")
@prelude_option
@click.option(
    "--imports", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder with imported profiles."
)
def command(
    *,
    profile: Path,
    operation: str,
    subject: str | None,
    defined: tuple[str, ...],
    prelude: tuple[Path, ...],
    imports: Path | None,
) -> int:
    """Say whether an SBPL PROFILE would allow OPERATION on OBJECT, and which rule decides.

    OBJECT is a path, HOST:PORT (or "udp HOST:PORT"), a service's or a variable's name, or self.

    Exit status: 0 allowed; 1 denied; 2 usage; 3 unknown (what decides is not here: it is named).
    """
    from binsafe.cli.profiletext import parameters, read_profile
    from binsafe.reports.escape import escape
    from binsafe.seatbelt import ask, evaluate, read

    text, locate = read_profile(profile, prelude)
    if text.lstrip().startswith("{"):
        raise UsageError(f"{profile} is JSON, and this is about profiles for macOS", hint=_OF_JSON)
    program = evaluate(read(text, str(profile)), parameters(defined), lambda name: _imported(imports, name))
    answer = ask(program, operation, subject)
    click.echo(f"{answer.verdict}: {escape(answer.reason)}")
    if answer.rule is not None:
        place = answer.filter.place if answer.filter is not None else answer.rule.place
        click.echo(escape(f"  {locate(place)}: {_shown(answer)}"))
    for note in answer.notes:
        click.echo(escape(f"  note: {note}"))
    return STATUS[answer.verdict]


def _shown(answer: "Answer") -> str:
    """The deciding rule with the part of it that matched; the rest of a long one says nothing."""
    rule = answer.rule
    if rule is None:
        return ""
    words = [rule.action, *(operation.name for operation in rule.operations)]
    words += [] if answer.filter is None else [str(answer.filter)]
    return f"({' '.join(words)}{' ...' if len(rule.filters) > 1 else ''})"


def _imported(folder: Path | None, name: str) -> str | None:
    """An import's text from the folder that the user named: a profile never chooses what is opened."""
    from binsafe.cli.profiletext import read_profile

    if folder is None or "/" in name or name.startswith("."):
        return None
    path = folder / name
    return read_profile(path)[0] if path.is_file() else None
