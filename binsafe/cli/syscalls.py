"""binsafe syscalls: what a program asks of the kernel."""

from pathlib import Path

import click

from binsafe.cli.entry import note


@click.command(
    "syscalls",
    short_help="List the system calls that FILE and its libraries can make.",
    epilog="""\b
Examples:
  binsafe syscalls ls
  binsafe syscalls nginx --with /usr/lib/nginx/modules/ngx_stream_module.so
  binsafe syscalls ./server --root ./rootfs --json
  binsafe syscalls curl --explain connect   (the way from its start to the call)""",
)
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report's `syscalls` object.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Look its libraries up in the tree below this folder.",
)
@click.option(
    "--with",
    "loaded",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A library that it will load at run time. Repeatable.",
)
@click.option("--explain", metavar="NAME", help="Show how this call is reached.")
def command(*, file: str, as_json: bool, root: Path | None, loaded: tuple[Path, ...], explain: str | None) -> int:
    """List the system calls that FILE can make, its libraries included, one a line.

    Exit status: 0 done; 3 could not be analysed, or is no Linux program; 127 not found.
    """
    from binsafe.intake import Snapshot, find, system_calls
    from binsafe.reports.escape import escape

    with Snapshot.take(find(file, progress=note)) as snapshot:
        calls = system_calls(snapshot, root=root, loaded=loaded, explain=explain)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(calls), indent=2))
    elif explain is not None:
        return _explain(explain, calls.chain, calls.required)
    else:
        for name in calls.required:
            click.echo(escape(name))
    if not calls.complete:
        note(f"the list is not complete: {_reasons(len(calls.unresolved), calls.open_set)}")
    return 0


def _explain(name: str, chain: tuple[str, ...], required: tuple[str, ...]) -> int:
    from binsafe.errors import UsageError
    from binsafe.reports.escape import escape

    if name not in required:
        raise UsageError(f"it never makes the call {name!r}", hint="without --explain the command lists those it makes")
    for line in chain or ("made by the kernel or its vDSO on the program's behalf",):
        click.echo(escape(line))
    return 0


def _reasons(unresolved: int, open_set: tuple[str, ...]) -> str:
    places = [f"{unresolved} places make a call whose number could not be told"] if unresolved else []
    return "; ".join([*places, *open_set])
