"""The SQLite file: its tables, opening it, reading it.

Write-ahead logging: readers never wait for the writer, and a process that is killed in the middle of a transaction
leaves the last whole one (https://www.sqlite.org/wal.html). Only `recorder` and `csvs` write.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec

from bandit_runner.errors import StoreUnusable, UsageError
from bandit_runner.model import Attempt, BalancedRequest
from bandit_runner.runs.records import Run, RunStart, Session, StoredRequest
from bandit_runner.runs.tally import OUTCOMES, Tally

APPLICATION_ID: Final = 0x62_61_6E_64
"""In the file's header, so that another program's database is never taken for ours."""

VERSION: Final = 1
BUSY_MS: Final = 5_000

_TABLES: Final = """
CREATE TABLE sessions (id TEXT PRIMARY KEY, started REAL NOT NULL, document TEXT NOT NULL);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions (id), name TEXT NOT NULL,
    started REAL NOT NULL, ended REAL, heard REAL NOT NULL, document TEXT NOT NULL, tally TEXT NOT NULL
);
CREATE INDEX runs_of_session ON runs (session);
CREATE INDEX runs_by_name ON runs (name);
CREATE TABLE requests (
    run INTEGER NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, accepted INTEGER NOT NULL, latency REAL NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE TABLE attempts (
    run INTEGER NOT NULL, request INTEGER NOT NULL, number INTEGER NOT NULL, arm INTEGER NOT NULL,
    outcome INTEGER NOT NULL, started REAL NOT NULL, latency REAL NOT NULL, retry_after REAL,
    PRIMARY KEY (run, request, number)
) WITHOUT ROWID;
CREATE TABLE states (run INTEGER PRIMARY KEY, requests INTEGER NOT NULL, document TEXT NOT NULL);
CREATE TABLE violations (session TEXT NOT NULL, time REAL NOT NULL, document TEXT NOT NULL);
"""

T = TypeVar("T")


def default_path() -> Path:
    """Where runs are kept unless a command names another file; ``BANDIT_RUNNER_STORE`` overrides it."""
    import platformdirs  # commands that name a file need not load it

    named = os.environ.get("BANDIT_RUNNER_STORE")
    return Path(named) if named else Path(platformdirs.user_data_dir("binsafe")) / "runs.sqlite"


class Store:
    """An open store, for reading; a context manager."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing store for reading.

        Raises:
            StoreUnusable: there is none, or it is damaged, another program's, or a newer version's.
        """
        if not path.is_file():
            raise _no_runs(path)
        with explaining(path):
            return cls(_connect_to_read(path), path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

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


def _no_runs(path: Path) -> StoreUnusable:
    hint = "bandit_runner start records one; bandit_runner import reads the original's CSV files"
    return StoreUnusable(f"there are no runs at {path}", hint=hint)


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open a store for writing, made if there is none; transactions are the caller's.

    Raises:
        StoreUnusable: it cannot be made, written or understood.
    """
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
        try:
            _check(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into one error that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        is_held = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        means = "wait for the program that holds it" if is_held else "make room on the disk, make the file readable"
        hint = f"{means}, or name another with --store"
        raise StoreUnusable(f"{path} cannot be used: {error}", hint=hint) from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            hint = "name another with --store, or move it away to begin anew"
            raise StoreUnusable(f"{path} is not a store of runs: {error}", hint=hint) from error
        hint = f"move it away to begin anew; `sqlite3 {path} .recover` gets back what can be had"
        raise StoreUnusable(f"{path} is damaged: {error}", hint=hint) from error
    except OSError as error:
        raise StoreUnusable(f"{path} cannot be used: {error.strerror}", hint="name another with --store") from error


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Read-only; where even the log's own files cannot be made (a read-only disk), as a file that nobody changes."""
    uri = path.absolute().as_uri()
    for mode in ("mode=ro", "immutable=1"):
        connection = sqlite3.connect(f"{uri}?{mode}", uri=True, timeout=BUSY_MS / 1000, check_same_thread=False)
        try:
            _check(connection, path, make=False)
        except sqlite3.OperationalError:
            connection.close()
            if mode == "immutable=1" or os.access(path.parent, os.W_OK):
                raise
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise AssertionError("one of the two modes returned or raised")


def _check(connection: sqlite3.Connection, path: Path, *, make: bool = True) -> None:
    """See that the file is a store of a version that we know; an empty one, as it is for a moment, becomes one."""
    application, version, tables = _header(connection)
    if not tables and not application:
        if not make:
            raise _no_runs(path)
        _make(connection)
        application, version, tables = _header(connection)
    if application != APPLICATION_ID:
        raise StoreUnusable(f"{path} is not a store of runs", hint="name another with --store")
    if version != VERSION:
        raise StoreUnusable(f"{path} has version {version}, not {VERSION}", hint="use the program that wrote it")


def _header(connection: sqlite3.Connection) -> tuple[int, int, int]:
    queries = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema")
    application, version, tables = (connection.execute(query).fetchone()[0] for query in queries)
    return application, version, tables


def _make(connection: sqlite3.Connection) -> None:
    """Lay out an empty file, unless another process has just done so."""
    connection.execute("BEGIN IMMEDIATE")
    with contextlib.closing(connection.cursor()) as cursor:
        if not _header(connection)[2]:
            for statement in _TABLES.split(";"):
                cursor.execute(statement)
            cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            cursor.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


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
