"""The store of runs, for reading."""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from bandit_runner.errors import StoreUnusable, UsageError
from bandit_runner.model import Attempt, BalancedRequest
from bandit_runner.runs.opening import connect_to_read, explaining, no_runs, still_named
from bandit_runner.runs.records import Run, RunStart, Session, StoredRequest
from bandit_runner.runs.tally import OUTCOMES, Tally

T = TypeVar("T")


def default_path() -> Path:
    """Where runs are kept unless a command names another file; ``BANDIT_RUNNER_STORE`` overrides it."""
    import platformdirs  # commands that name a file need not load it

    named = os.environ.get("BANDIT_RUNNER_STORE")
    return Path(named) if named else Path(platformdirs.user_data_dir("binsafe")) / "runs.sqlite"


class Store:
    """An open store, for reading; a context manager."""

    def __init__(self, connection: sqlite3.Connection, path: Path, file: os.stat_result) -> None:
        self.path = path
        self._connection = connection
        self._file = file

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing store for reading.

        Raises:
            StoreUnusable: there is none, or it is damaged, another program's, or a newer version's.
        """
        if not path.is_file():
            raise no_runs(path)
        with explaining(path):
            file = path.stat()
            return cls(connect_to_read(path), path, file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def is_current(self) -> bool:
        """Whether it is what its path leads to still."""
        return still_named(self.path, self._file)

    def sessions(self, *, most: int = -1) -> list[Session]:
        """The latest first, at most so many (-1: all)."""
        rows = self._rows("SELECT document FROM sessions ORDER BY started DESC, id DESC LIMIT ?", (most,))
        return [_decoded(row[0], Session, self.path) for row in rows]

    def heard(self, *, most: int) -> dict[str, tuple[int, float | None]]:
        """Of each session, the latest first, at most so many: how many runs it has, and when one last changed."""
        rows = self._rows(
            "SELECT id, count(number), max(heard) FROM (SELECT id, started FROM sessions ORDER BY started DESC, id DESC"
            " LIMIT ?) AS latest LEFT JOIN runs ON session = id GROUP BY id ORDER BY latest.started DESC, id DESC",
            (most,),
        )
        return {name: (runs, heard) for name, runs, heard in rows}

    def session(self, name: str) -> Session:
        """One session.

        Raises:
            UsageError: there is no such session.
        """
        rows = self._rows("SELECT document FROM sessions WHERE id = ?", (name,))
        if not rows:
            raise UsageError(f"there is no session {name!r}", hint="bandit_runner compare --sessions lists them")
        return _decoded(rows[0][0], Session, self.path)

    def version(self) -> int:
        """A number that changes whenever another connection has written."""
        found: int = self._rows("PRAGMA data_version")[0][0]
        return found

    def runs(self, session: str | None = None) -> list[Run]:
        """The runs of one session, or all, in the order in which they began."""
        if session is None:
            rows = self._rows("SELECT number, ended, heard, document, tally FROM runs ORDER BY number")
        else:
            query = "SELECT number, ended, heard, document, tally FROM runs WHERE session = ? ORDER BY number"
            rows = self._rows(query, (session,))
        return [self._run(row) for row in rows]

    def run(self, number: int) -> Run:
        """One run.

        Raises:
            UsageError: there is no such run.
        """
        rows = self._rows("SELECT number, ended, heard, document, tally FROM runs WHERE number = ?", (number,))
        if not rows:
            raise UsageError(f"there is no run {number}", hint="bandit_runner compare lists them")
        return self._run(rows[0])

    def requests(self, run: Run, *, after: int = 0, most: int = -1) -> list[StoredRequest]:
        """The ids of a run that were done with after the ``after``-th, in order, at most so many (-1: all)."""
        found = self._rows(
            "SELECT number, id, accepted, latency FROM requests WHERE run = ? AND number > ? ORDER BY number LIMIT ?",
            (run.number, after, most),
        )
        if not found:
            return []
        trials: dict[int, list[Attempt]] = {row[0]: [] for row in found}
        names = {row[0]: row[1] for row in found}
        for request, number, arm, outcome, started, latency, retry_after in self._rows(
            "SELECT request, number, arm, outcome, started, latency, retry_after FROM attempts"
            " WHERE run = ? AND request BETWEEN ? AND ? ORDER BY request, number",
            (run.number, found[0][0], found[-1][0]),
        ):
            trials[request].append(
                Attempt(
                    id=names[request],
                    number=number,
                    arm=arm,
                    outcome=OUTCOMES[outcome],
                    started=started,
                    latency=latency,
                    retry_after=retry_after,
                )
            )
        return [_request(run, row, tuple(trials[row[0]])) for row in found]

    def state(self, run: Run) -> tuple[int, dict[str, Any]] | None:
        """The strategy's last saved state, and after how many ids it was taken; None where none was saved."""
        rows = self._rows("SELECT requests, document FROM states WHERE run = ?", (run.number,))
        return (rows[0][0], _decoded(rows[0][1], dict[str, Any], self.path)) if rows else None

    def violations(self, session: str, *, after: float = 0.0) -> list[dict[str, Any]]:
        """``binsafe.violation/1`` records of a session since ``after`` (epoch seconds), in order."""
        rows = self._rows(
            "SELECT document FROM violations WHERE session = ? AND time > ? ORDER BY time", (session, after)
        )
        return [_decoded(row[0], dict[str, Any], self.path) for row in rows]

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with explaining(self.path):
            return self._connection.execute(query, values).fetchall()

    def _run(self, row: Sequence[Any]) -> Run:
        number, ended, heard, document, tally = row
        return Run(
            number=number,
            start=_decoded(document, RunStart, self.path),
            ended=ended,
            heard=heard,
            tally=_decoded(tally, Tally, self.path),
        )


def _decoded(text: str, kind: type[T], path: Path) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UsageError) as error:
        hint = "move it away to begin anew"
        raise StoreUnusable(f"{path} is damaged: {error}", hint=hint) from error


def _request(run: Run, row: Sequence[Any], trials: tuple[Attempt, ...]) -> StoredRequest:
    number, id_, accepted, latency = row
    return StoredRequest(
        number=number,
        request=BalancedRequest(
            id=id_,
            accepted=bool(accepted),
            attempts=len(trials),
            latency=latency,
            outcomes=tuple(trial.outcome for trial in trials),
            tier=run.start.tier,
            strategy=run.start.strategy,
            trials=trials,
        ),
    )
