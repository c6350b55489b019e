"""bandit_runner export: stored runs as the original project's CSV files."""

from pathlib import Path

import click

from bandit_runner.cli.options import File
from bandit_runner.cli.storing import chosen, store_option
from bandit_runner.tables import counted
from binsafe.cli.entry import note


@click.command(
    "export",
    short_help="Write stored runs as such CSV files.",
    epilog="""\b
Examples:
  bandit_runner export --output runs/          (every run, one file each)
  bandit_runner export --session 2026-11-26_10-15-00_c8e7""",
)
@click.option("--session", metavar="ID", help="Only the runs of this session.")
@click.option(
    "--output",
    type=File(file_okay=False),
    default=Path(),
    help="Folder to write to; by default the current one.",
)
@store_option
def command(*, session: str | None, output: Path, store: Path | None) -> None:
    """Write stored runs as CSV files with the original project's thirteen columns."""
    from bandit_runner.errors import UsageError
    from bandit_runner.runs import Store
    from bandit_runner.runs.transfer import exported
    from binsafe.cli.writing import write

    with Store.open(chosen(store)) as opened:
        runs = opened.runs(session)
        if not runs:
            raise UsageError("there is nothing to export", hint="bandit_runner compare lists the sessions")
        output.mkdir(parents=True, exist_ok=True)
        for run in runs:
            path = output / f"{run.number:05d}-{_file_name(run.start.strategy)}-{_file_name(run.start.tier)}.csv"
            write(exported(opened, run), path)
            click.echo(path)
    if lacking := sum(sum(run.tally.failed[:1]) for run in runs):
        note(f"left out: {counted(lacking, 'id')} of which no server was asked: the files have a line for each attempt")


def _file_name(name: str) -> str:
    """A name from the store as part of a file's: letters, digits, dots and dashes."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)[:60]
