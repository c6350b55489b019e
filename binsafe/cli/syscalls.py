"""binsafe syscalls: what a program asks of the kernel."""

from pathlib import Path

import click

from binsafe.cli.calls import show


@click.command(
    "syscalls",
    short_help="List the system calls that FILE and its libraries can make.",
    epilog="""\b
Examples:
  binsafe syscalls ls
  binsafe syscalls nginx --with /usr/lib/nginx/modules/ngx_stream_module.so
  binsafe syscalls ./server --root ./rootfs --json
  binsafe syscalls curl --explain connect   (how it comes to the call)""",
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

    Exit status: 0 done; 3 could not be analysed, or is no program for Linux or macOS; 127 not found.
    """
    return show(file, as_json=as_json, root=root, loaded=loaded, explain=explain)
