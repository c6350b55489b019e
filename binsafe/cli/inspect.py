"""binsafe inspect: what a file is, who signed it, what it can do. Its options; ``looking`` does the work."""

from typing import Any

import click

from binsafe.cli.looking import look
from binsafe.cli.options import fail_on_option, outputs

_FORMATS = ("text", "json", "markdown", "html", "sarif")


@click.command(
    "inspect",
    short_help="Say what FILE is, who signed it and what it can do.",
    epilog="""\b
Examples:
  binsafe inspect flakyservers
  binsafe inspect ./server --json > report.json
  binsafe inspect ls -v                         (all evidence; -vv: with code)
  binsafe inspect ./download.zip --format html --output report.html
  binsafe inspect ./tool --format sarif --output tool.sarif
  binsafe inspect ./puzzle --spoiler-free       (not how it works)
  binsafe inspect ./download --fail-on medium   (exit 1 where there is such)""",
)
@click.argument("file")
@outputs(*_FORMATS)
@fail_on_option
@click.option("--arch", metavar="NAME", help="Show this slice of a universal file only.")
@click.option("--spoiler-free", is_flag=True, help="Leave out strings, code and names of its own functions.")
@click.option("--no-syscalls", is_flag=True, help="Skip the system-call analysis.")
@click.option("--timing", is_flag=True, help="Say how long it took.")
@click.option("-v", "--verbose", count=True, help="Show more; twice for all, with the code.")
def command(file: str, **options: Any) -> int:
    """Look at FILE without running it: a path, a command, or the name of a known artifact.

    Exit status: 0 done; 1 findings at or above --fail-on; 3 could not be analysed (do not run it); 127 not found.
    """
    return look(file, **options)
