"""binsafe run: inspect, derive, enforce, run. What it does is in ``running``."""

from typing import Any

import click

from binsafe.cli.options import RUN, declared
from binsafe.cli.running import run


@click.command(
    "run",
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  binsafe run --ports 30 flakyservers
  binsafe run --ports :8080 --env LOG=debug ./server --listen 127.0.0.1:8080
  binsafe run --policy server.policy.json --report denied.jsonl ./server
  binsafe run --dry-run ./server""",
)
@click.argument("file")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@declared(RUN)
def command(**given: Any) -> int:
    """Run FILE with ARGS under the least it needs; everything after FILE belongs to the program.

    Exit status: the program's own, 128+N after signal N; 124 timeout, 125 refused or not enforceable here, 126 not a
    program of this machine's, 127 not found.
    """
    return run(**given)
