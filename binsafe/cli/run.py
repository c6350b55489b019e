"""binsafe run: inspect, derive, enforce, run. Its options, which ``plain`` reads too; ``running`` does the work."""

from typing import Any

import click

from binsafe.cli.options import Seconds, grants


@click.command(
    "run",
    short_help="Run FILE in a sandbox, with the least that it needs.",
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  binsafe run --ports 30 flakyservers
  binsafe run --ports :8080 --env LOG=debug ./server --listen 127.0.0.1:8080
  binsafe run --policy server.policy.json --report denied.jsonl ./server
  binsafe run --dry-run ./server""",
)
@click.argument("file")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
@grants
@click.option("--env", multiple=True, metavar="NAME[=VALUE]", help="Give it a variable; it gets no other but PATH.")
@click.option(
    "--scratch",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="A folder for its temporary files (TMPDIR), which stay; else it gets one that goes with it.",
)
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Enforce this policy (binsafe profile --for policy), without an inspection.",
)
@click.option("--backend", metavar="NAME", help="The mechanism; see binsafe doctor.")
@click.option("--allow-partial", is_flag=True, help="Go on without grants that this machine cannot give; name each.")
@click.option("--dry-run", is_flag=True, help="Say what would be granted and denied; start nothing.")
@click.option("--report", type=click.Path(dir_okay=False), help="Write violations there, as JSON lines.")
@click.option("--timeout", type=Seconds(), metavar="SECONDS", help="Stop it after so many seconds (124).")
@click.option("--yes", is_flag=True, help="Run it although the verdict is danger.")
def command(**options: Any) -> int:
    """Run FILE with ARGS under the least it needs; everything after FILE belongs to the program.

    Exit status: the program's own, 128+N after signal N; 124 timeout, 125 refused or not enforceable here, 126 not a
    program of this machine's, 127 not found.
    """
    from binsafe.cli.running import run

    return run(**options)
