"""Runs of the original project's CSV files into the store, and stored runs into such files."""

import csv
import io
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bandit_runner.errors import UsageError
from bandit_runner.model import SECONDS_TO_MS, TIERS, BalancedRequest, Outcome
from bandit_runner.runs.csvs import COLUMNS, CsvRun, read_csv, requests_of
from bandit_runner.runs.opening import connect_to_write, explaining
from bandit_runner.runs.records import Run, RunStart, Session
from bandit_runner.runs.rows import add_requests, insert_run, insert_session
from bandit_runner.runs.store import Store
from bandit_runner.runs.tally import Tally


class Imported(NamedTuple):
    """What became of a file: whether it was new, and what a killed program had left unfinished in it."""

    path: Path
    new: bool
    unfinished: bool


def import_runs(store: Path, files: Sequence[Path]) -> Iterator[Imported]:
    """Add files to a store, one after another; a run that is there is never stored twice, whatever its file is called.

    Raises:
        UsageError: a file is none of these; files before it are stored, it and those after it are not.
    """
    connection = connect_to_write(store)
    try:
        for path in files:
            run = read_csv(path)
            requests = requests_of(run)
            if not requests:
                raise UsageError(f"{path} holds no id that was done with", hint="leave it out")
            with explaining(store):
                connection.execute("BEGIN IMMEDIATE")
                known = _is_known(connection, run, requests[0].id)
                if not known:
                    _insert(connection, run, requests)
                connection.execute("COMMIT")
            yield Imported(path, not known, run.torn or run.unfinished is not None)
    finally:
        connection.close()


def exported(store: Store, run: Run) -> str:
    """A stored run as a thirteen-column file. Ids without an attempt have no line in it."""
    file = io.StringIO(newline="")
    out = csv.writer(file, lineterminator="\n")
    out.writerow(COLUMNS)
    for stored in store.requests(run):
        request = stored.request
        for trial in request.trials:
            last = trial is request.trials[-1]
            out.writerow(
                (
                    run.start.session,
                    run.start.tier,
                    stored.number,
                    trial.number + 1,
                    request.id,
                    run.start.strategy,
                    repr(trial.started),
                    run.start.ports[trial.arm],
                    trial.outcome is Outcome.OK,
                    trial.outcome is Outcome.RATE_LIMITED if run.tally.limits_known else "",
                    repr(trial.latency * SECONDS_TO_MS),
                    last,
                    last and request.accepted,
                )
            )
    return file.getvalue()


def _is_known(connection: sqlite3.Connection, run: CsvRun, id_: str) -> bool:
    """Whether that strategy has played this id on that tier in that session: so it has where a run was exported."""
    starts = connection.execute(
        "SELECT document FROM runs JOIN requests ON run = runs.number WHERE session = ? AND id = ?",
        (run.session_id, id_),
    )
    decoded = (msgspec.json.decode(document, type=RunStart) for (document,) in starts)
    first = run.lines[0]
    return any((start.strategy, start.tier) == (first.strategy, first.tier) for start in decoded)


def _insert(connection: sqlite3.Connection, run: CsvRun, requests: Sequence[BalancedRequest]) -> None:
    first = run.lines[0]
    ended = max(line.timestamp + line.latency_ms / SECONDS_TO_MS for line in run.lines)
    session = Session(id=run.session_id, started=min(line.timestamp for line in run.lines), source="import")
    start = RunStart(
        session=session.id,
        name=run.name,
        strategy=first.strategy,
        tier=first.tier,
        ports=tuple(TIERS[first.tier].ports),
        started=session.started,
        planned=len(requests),
    )
    limits_known = first.rate_limited is not None
    tally = Tally(limits_known=limits_known).adding(requests)
    insert_session(connection, session)
    number = insert_run(connection, start, tally, heard=ended, ended=ended)
    add_requests(connection, number, 0, requests, zero=0.0)
