"""The SQLite file: its tables, and opening it.

Write-ahead logging: readers never wait for the writer, and a process that is killed in the middle of a transaction
leaves the last whole one (https://www.sqlite.org/wal.html). Only `recorder` and `transfer` write.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bandit_runner.errors import StoreUnusable

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


def no_runs(path: Path) -> StoreUnusable:
    """What to say where there is no store."""
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
            connection.execute("BEGIN IMMEDIATE")  # which only who may write can do
            connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
    return connection


def still_named(path: Path, file: os.stat_result) -> bool:
    """Whether the path leads to that file still: one that was deleted can be read and written all the same."""
    try:
        return os.path.samestat(path.stat(), file)
    except FileNotFoundError:
        return False
    except OSError:  # it cannot be looked at now, which says nothing
        return True


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


def connect_to_read(path: Path) -> sqlite3.Connection:
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
            raise no_runs(path)
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
