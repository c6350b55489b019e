"""bandit_runner import: the original project's logs into the store."""

from pathlib import Path

import click

from bandit_runner.cli.options import File
from bandit_runner.cli.storing import chosen, store_option
from bandit_runner.tables import counted
from binsafe.cli.entry import note


@click.command(
    "import",
    short_help="Read the original project's CSV files into the store.",
    epilog="""\b
Examples:
  bandit_runner import runs/*.csv
  bandit_runner import old/*.csv --store old.sqlite
  bandit_runner compare --store old.sqlite           (what they say)""",
)
@click.argument("files", nargs=-1, required=True, metavar="CSV...", type=File())
@store_option
def command(*, files: tuple[Path, ...], store: Path | None) -> None:
    """Read the original project's CSV files, of any of its four generations (10 to 13 columns), into the store.

    A file that is there already is left out, so that importing twice does no harm.
    """
    from bandit_runner.runs.transfer import import_runs

    target = chosen(store)
    new = 0
    for imported in import_runs(target, files):
        new += imported.new
        if not imported.new:
            note(f"{imported.path}: there already")
        elif imported.unfinished:
            note(f"{imported.path}: its last attempt was cut off, or its last id not done with; that is left out")
    click.echo(f"{new} of {counted(len(files), 'run')} imported into {target}")
