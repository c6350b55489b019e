"""bandit_runner compare: stored runs side by side."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bandit_runner.cli.storing import chosen, safe, store_option
from bandit_runner.model import SCORINGS, TIERS
from binsafe.cli.entry import note
from binsafe.cli.options import outputs

if TYPE_CHECKING:
    from bandit_runner.model import Scoring
    from bandit_runner.runs import Run, Store


@click.command(
    "compare",
    short_help="Compare the strategies of stored runs.",
    epilog="""\b
Examples:
  bandit_runner compare
  bandit_runner compare --tier T2 --scoring blog
  bandit_runner compare --format html --output comparison.html
  bandit_runner compare --sessions        (which there are)""",
)
@click.option("--session", "sessions", multiple=True, metavar="ID", help="Only this session; repeatable.")
@click.option("--tier", type=click.Choice(list(TIERS)), help="Only this tier.")
@click.option(
    "--scoring",
    type=click.Choice(sorted(SCORINGS)),
    help="What attempts cost: by the task's statement, the original code or the blog."
    "  [default: as they were played, or statement where that differs]",
)
@outputs("text", "json", "html")
@click.option("--sessions", "list_sessions", is_flag=True, help="List the sessions instead.")
@store_option
def command(
    *,
    sessions: tuple[str, ...],
    tier: str | None,
    scoring: str | None,
    format_: str,
    output: Path | None,
    list_sessions: bool,
    store: Path | None,
) -> None:
    """Compare the strategies of all stored runs, tier by tier, the best first.

    Scores are per 100 ids with 95% intervals. Strategies that met the same servers (one session) are compared there;
    where that does not tell one from the best, the table says how many more runs probably would. The balancer's p50 and
    p99 are its own time for an id; what start prints is what the client saw, from the moment that an id was due.
    """
    from bandit_runner.errors import UsageError
    from bandit_runner.runs import Store
    from bandit_runner.runs.comparison import compare
    from bandit_runner.runs.showing import SHOWN, to_text
    from binsafe.cli.writing import write

    with Store.open(chosen(store)) as opened:
        if list_sessions:
            click.echo(_sessions(opened))
            return
        runs = _chosen_runs(opened, sessions, tier)
        rule = SCORINGS[scoring] if scoring else _played_by(opened, runs)
    rows = compare(runs, rule)
    if not rows:
        raise UsageError("no stored run has a finished id", hint="bandit_runner start plays some")
    if format_ == "text" and output is None:
        room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        write(safe(to_text(rows, room=room)), None)
    else:
        write(SHOWN[format_](rows), output)


def _chosen_runs(store: "Store", sessions: tuple[str, ...], tier: str | None) -> "list[Run]":
    from bandit_runner.errors import UsageError

    known = {session.id for session in store.sessions()}
    named = dict.fromkeys(sessions)
    for name in named:
        if name not in known:
            raise UsageError(f"there is no session {name!r}", hint="bandit_runner compare --sessions lists them")
    runs = [run for name in named for run in store.runs(name)] if named else store.runs()
    return [run for run in runs if tier in (None, run.start.tier)]


def _played_by(store: "Store", runs: "Sequence[Run]") -> "Scoring":
    """The scoring of all of these runs, so that they score here what `start` said; the default where they differ."""
    import msgspec

    names, default = {run.start.session for run in runs}, SCORINGS["statement"]
    played = [session.scoring for session in store.sessions() if session.id in names]
    # how often an id may be tried says nothing of what its attempts cost
    found = {msgspec.structs.replace(each, max_attempts=default.max_attempts) for each in played}
    if len(found) > 1:
        note("they were played under several scorings: these scores are the statement's")
    return found.pop() if len(found) == 1 else default


def _sessions(store: "Store") -> str:
    import time

    lines = []
    now = time.time()
    for session in store.sessions():
        runs = store.runs(session.id)
        states = ", ".join(sorted({run.status(now) for run in runs})) or "empty"
        strategies = ", ".join(dict.fromkeys(run.start.strategy for run in runs))
        requests = sum(run.tally.requests for run in runs)
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(session.started))
        lines.append(f"{session.id}  {when}  {len(runs)} runs, {requests:,} ids, {states}: {strategies}")
    return safe("\n".join(lines)) or "no sessions yet"
