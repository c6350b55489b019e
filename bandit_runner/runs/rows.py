"""Structs -> rows of the store: what the recorder and the import of CSV files write in the same way."""

import sqlite3
from collections.abc import Sequence

import msgspec

from bandit_runner.model import BalancedRequest
from bandit_runner.runs.records import RunStart, Session
from bandit_runner.runs.tally import OUTCOMES, Tally


def document(value: object) -> str:
    """A struct as the JSON that the store holds of it."""
    return msgspec.json.encode(value).decode()


def insert_session(connection: sqlite3.Connection, session: Session) -> None:
    """Insert a session where it is not there yet."""
    connection.execute(
        "INSERT INTO sessions VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (session.id, session.started, document(session)),
    )


def insert_run(
    connection: sqlite3.Connection, run: RunStart, tally: Tally, *, heard: float, ended: float | None = None
) -> int:
    """Insert a run and return its number; ``heard`` and ``ended`` are seconds since the epoch."""
    connection.execute(
        "INSERT INTO runs (session, name, started, ended, heard, document, tally) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (run.session, run.name, run.started, ended, heard, document(run), document(tally)),
    )
    (number,) = connection.execute("SELECT last_insert_rowid()").fetchone()
    return int(number)


def add_requests(
    connection: sqlite3.Connection, run: int, before: int, requests: Sequence[BalancedRequest], *, zero: float
) -> None:
    """Insert ids into a run that has ``before`` of them; ``zero`` is added to the attempts' clock."""
    numbered = list(enumerate(requests, start=before + 1))
    connection.executemany(
        "INSERT INTO requests VALUES (?, ?, ?, ?, ?)",
        [(run, number, each.id, each.accepted, each.latency) for number, each in numbered],
    )
    connection.executemany(
        "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                run,
                number,
                trial.number,
                trial.arm,
                OUTCOMES.index(trial.outcome),
                trial.started + zero,
                trial.latency,
                trial.retry_after,
            )
            for number, each in numbered
            for trial in each.trials
        ],
    )
