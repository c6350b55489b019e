"""Writing runs without ever making a request wait: a queue, and a thread that commits twice a second.

A killed process loses what it heard of since the last commit, less than a second. A disk that is full or a file that is
locked costs nothing as long as it comes back: what could not be written is kept, up to :data:`MAX_WAITING` ids, and
tried again; what had to be given up is counted and told. So is what goes with a file that was deleted meanwhile, which
the system lets us write to all the same.
"""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeAlias

from bandit_runner.errors import UsageError
from bandit_runner.model import BalancedRequest
from bandit_runner.runs.opening import connect_to_write, explaining, still_named
from bandit_runner.runs.records import Run, RunStart, Session
from bandit_runner.runs.rows import add_requests, document, insert_run, insert_session
from bandit_runner.runs.tally import Tally
from bandit_runner.tables import counted

INTERVAL: Final = 0.5
"""Seconds between commits."""

MAX_WAITING: Final = 200_000
"""Ids kept in memory while the file cannot be written: about 100 MB."""


class _Begin(NamedTuple):
    run: RunStart


class _Resume(NamedTuple):
    run: Run


class _Request(NamedTuple):
    request: BalancedRequest


class _State(NamedTuple):
    tier: str
    document: str


class _End(NamedTuple):
    tier: str
    at: float


class _Describe(NamedTuple):
    session: Session


class _Violation(NamedTuple):
    time: float
    document: Mapping[str, Any]


_Event: TypeAlias = _Begin | _Resume | _Request | _State | _End | _Violation | _Describe


class _Active(NamedTuple):
    """A run that is being written."""

    number: int
    start: RunStart
    tally: Tally


class Recorder:
    """Takes what happens in a session and stores it; every method but `close` returns at once.

    Raises:
        StoreUnusable: the file cannot be made or written.
    """

    def __init__(
        self,
        path: Path,
        session: Session,
        *,
        note: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.session = session
        self.lost = 0
        """Ids that could not be stored."""
        self.path = path
        self._note = note
        self._clock = clock
        self._queue: queue.SimpleQueue[_Event | threading.Event] = queue.SimpleQueue()
        self._active: dict[str, _Active] = {}
        self._waiting: list[_Event] = []
        self._complained = False
        self._stored = 0
        self._is_gone = False
        self._stopping = threading.Event()
        self._connection = connect_to_write(path)
        with explaining(path):
            self._file = path.stat()
        self._thread = threading.Thread(target=self._work, name="run-recorder", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self, session: Session) -> None:
        """More is known of the session now."""
        self.session = session
        self._queue.put(_Describe(session))

    def begin(self, run: RunStart) -> None:
        """From here on the ids of ``run.tier`` belong to this run."""
        self._queue.put(_Begin(run))

    def resume(self, run: Run) -> None:
        """From here on the ids of its tier are added to a run that was interrupted."""
        if run.ended is not None:
            raise UsageError(f"run {run.number} has ended", hint="begin a new one")
        self._queue.put(_Resume(run))

    def record(self, request: BalancedRequest) -> None:
        """One id is done with."""
        self._queue.put(_Request(request))

    def state(self, tier: str, state: dict[str, Any]) -> None:
        """The strategy's snapshot after the last id that was recorded."""
        self._queue.put(_State(tier, document(state)))  # here, where who gave what is no JSON hears of it

    def end(self, tier: str) -> None:
        """The tier's run is complete."""
        self._queue.put(_End(tier, self._clock()))

    def violation(self, document: Mapping[str, Any]) -> None:
        """A ``binsafe.violation/1`` record of the servers."""
        self._queue.put(_Violation(float(document["time"]), document))

    def flush(self) -> bool:
        """Wait until what was recorded so far has been tried to be written; False if that took too long."""
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout=10.0)

    def close(self) -> None:
        """Write what is left, tell what was lost, let go of the file."""
        self._stopping.set()
        try:
            self.flush()
        finally:  # also when it is Ctrl-C that ends the wait
            self._thread.join(timeout=10.0)
        self.lost += sum(isinstance(event, _Request) for event in self._waiting) + self._is_gone * self._stored
        if self.lost:
            self._note(f"{counted(self.lost, 'request')} could not be stored in {self.path}")
        self._connection.close()

    # the thread

    def _work(self) -> None:
        while not (self._stopping.is_set() and self._queue.empty()):
            flushed = self._gather()
            self._write()
            for done in flushed:
                done.set()

    def _gather(self) -> list[threading.Event]:
        """Take what comes within one interval; a flush, or the end, cuts it short."""
        until = time.monotonic() + INTERVAL
        flushed: list[threading.Event] = []
        while not flushed:
            try:
                event = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(event, threading.Event):
                flushed.append(event)
            else:
                self._waiting.append(event)
        return flushed

    def _write(self) -> None:
        """Commit what waits, or keep it for the next time."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            active = dict(self._active)
            for events in _grouped(self._waiting):
                self._store(active, events)
            now = self._clock()
            for run in active.values():
                self._connection.execute("UPDATE runs SET heard = ? WHERE number = ?", (now, run.number))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._keep(error)
        else:
            self._active = active
            self._stored += sum(isinstance(event, _Request) for event in self._waiting)
            self._waiting = []
            self._complained = False
        if not self._is_gone and not still_named(self.path, self._file):
            self._is_gone = True
            self._note(f"{self.path} was deleted or replaced: the run goes on, and nothing of it will be kept")

    def _keep(self, error: sqlite3.Error) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if not self._complained:
            self._note(f"{self.path} cannot be written now ({error}); the run goes on and is kept in memory")
            self._complained = True
        surplus = len(self._waiting) - MAX_WAITING
        if surplus > 0:  # the beginnings and ends of runs stay
            given_up = [event for event in self._waiting if isinstance(event, _Request)][:surplus]
            self.lost += len(given_up)
            gone = set(map(id, given_up))
            self._waiting = [event for event in self._waiting if id(event) not in gone]

    def _store(self, active: dict[str, _Active], events: Sequence[_Event]) -> None:
        """Write events of one kind, all of one tier."""
        first = events[0]
        if isinstance(first, _Begin):
            active[first.run.tier] = self._begin(first.run)
        elif isinstance(first, _Resume):
            active[first.run.start.tier] = _Active(first.run.number, first.run.start, first.run.tally)
        elif isinstance(first, _Violation):
            row = (self.session.id, first.time, document(first.document))
            self._connection.execute("INSERT INTO violations VALUES (?, ?, ?)", row)
        elif isinstance(first, _Describe):
            values = (document(first.session), first.session.id)
            self._connection.execute("UPDATE sessions SET document = ? WHERE id = ?", values)
        elif isinstance(first, _Request):
            if first.request.tier in active:
                requests = [event.request for event in events if isinstance(event, _Request)]
                active[first.request.tier] = self._add(active[first.request.tier], requests)
        elif first.tier in active:
            self._mark(active, first)

    def _mark(self, active: dict[str, _Active], event: _State | _End) -> None:
        run = active[event.tier]
        if isinstance(event, _State):
            state = (run.number, run.tally.requests, event.document)
            self._connection.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", state)
        else:
            ended = (event.at, event.at, run.number)
            self._connection.execute("UPDATE runs SET ended = ?, heard = ? WHERE number = ?", ended)
            del active[event.tier]

    def _begin(self, run: RunStart) -> _Active:
        tally = Tally()
        insert_session(self._connection, self.session)  # not before, for one that does not start has nothing to show
        number = insert_run(self._connection, run, tally, heard=self._clock())
        return _Active(number, run, tally)

    def _add(self, run: _Active, requests: Sequence[BalancedRequest]) -> _Active:
        add_requests(self._connection, run.number, run.tally.requests, requests, zero=run.start.clock_zero)
        tally = run.tally.adding(requests)
        self._connection.execute("UPDATE runs SET tally = ? WHERE number = ?", (document(tally), run.number))
        return run._replace(tally=tally)


def _grouped(events: Sequence[_Event]) -> list[list[_Event]]:
    """Neighbours that can be written together: ids of one tier."""
    groups: list[list[_Event]] = []
    last: object = None
    for event in events:
        key = event.request.tier if isinstance(event, _Request) else None
        if key is not None and key == last:
            groups[-1].append(event)
        else:
            groups.append([event])
        last = key
    return groups
