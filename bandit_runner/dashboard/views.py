"""The store -> what pages and the API show. One `Board` per process; everything it hands out is plain data."""

import time
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from bandit_runner.dashboard.progress import Frame, Progress, frame_of, time_after
from bandit_runner.dashboard.truths import attainable, games, rates
from bandit_runner.errors import StoreUnusable, UsageError
from bandit_runner.model import LimitEstimate, Scoring, Unknown
from bandit_runner.runs import Run, Session, Store, Tally
from bandit_runner.runs.comparison import ComparedRow, compare
from bandit_runner.strategies import create

MAX_SESSIONS: Final = 200
"""Sessions that a selector lists; the comparison takes all."""

MAX_CACHED: Final = 64
"""Runs whose frames are kept."""

Status = Literal["running", "done", "interrupted"]


class StoreState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether there is anything to show, and what to do where there is not."""

    kind: Literal["ok", "none", "unusable"]
    message: str = ""
    hint: str = ""


NO_RUNS: Final = StoreState(
    kind="none",
    message="No runs yet",
    hint="bandit_runner start plays some; bandit_runner import reads the original's CSV files",
)


class SessionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A session in a list."""

    id: str
    started: float
    source: str
    status: Status
    strategies: tuple[str, ...]
    tiers: tuple[str, ...]
    runs: int
    requests: int
    attempts: int
    seconds: float


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """One run as it stands, from what the store keeps of it: none of its ids is read."""

    number: int
    session: str
    strategy: str
    tier: str
    ports: tuple[int, ...]
    started: float
    status: Status
    planned: int | None
    latest: Frame | None
    tally: Tally


class RunView(RunLine, frozen=True, kw_only=True):
    """One run with the way it went. ``attainable`` is what a clairvoyant would have scored of one id."""

    frames: tuple[Frame, ...]
    attainable: float | Unknown
    rates: tuple[float | Unknown, ...]
    """Each server's true success rate, where the stand-in told it."""


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session with all of its runs."""

    session: Session
    status: Status
    runs: tuple[RunLine, ...]


class Board:
    """Reads the store, and remembers the frames of the runs that were looked at last. It is for one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store: Store | None = None
        self._openings = 0
        self._progress: dict[int, Progress] = {}
        self._attainable: dict[tuple[int, bool], float | Unknown] = {}
        self._lines: dict[str, tuple[object, SessionLine]] = {}
        self._limits: dict[int, tuple[int, tuple[LimitEstimate, ...]]] = {}
        self._compared: tuple[object, tuple[ComparedRow, ...]] | None = None

    def close(self) -> None:
        """Let go of the file, and of what was found in it: another's runs have the same numbers."""
        self._compared = None
        for found in (self._progress, self._attainable, self._lines, self._limits):
            found.clear()
        if self._store is not None:
            self._store.close()
            self._store = None

    def state(self) -> StoreState:
        """Try the store."""
        try:
            if self.path.exists() and self._opened().sessions(most=1):
                return StoreState(kind="ok")
        except StoreUnusable as error:
            self.close()
            return StoreState(kind="unusable", message=str(error), hint=error.hint)
        if not self.path.exists():
            self.close()
        return NO_RUNS

    def version(self) -> tuple[int, int]:
        """Changes when the store did, or another took its place: SQLite's numbers are those of one connection."""
        now = self._opened().version()
        return self._openings, now

    def sessions(self) -> tuple[SessionLine, ...]:
        """The latest first; of those that nobody has written to since, what was found before."""
        store, lines = self._opened(), dict[str, tuple[object, SessionLine]]()
        for name, heard in store.heard(most=MAX_SESSIONS).items():
            known = self._lines.get(name)
            if known is None or known[0] != heard or known[1].status == "running":
                known = heard, self._line(store.session(name), store.runs(name))
            lines[name] = known
        self._lines = lines
        return tuple(line for _, line in lines.values())

    def latest(self) -> Session | None:
        """The session that began last."""
        return next(iter(self._opened().sessions(most=1)), None)

    def session(self, name: str | None = None) -> SessionView | None:
        """One session with its runs, the latest where none is named; None where there is none at all."""
        store = self._opened()
        latest = store.sessions(most=1)
        if name is None and not latest:
            return None
        session = latest[0] if name is None else store.session(name)
        runs = store.runs(session.id)
        lines = tuple(_line(session, run) for run in runs)
        return SessionView(session=session, status=self._status(session, runs), runs=lines)

    def run(self, number: int) -> RunView:
        """One run with its frames."""
        store = self._opened()
        run = store.run(number)
        return self._view(store.session(run.start.session), run)

    def requests(self, number: int, *, after: int, most: int) -> list[dict[str, Any]]:
        """Ids of a run as plain data."""
        store = self._opened()
        found = store.requests(store.run(number), after=after, most=most)
        return [{"number": each.number, **msgspec.to_builtins(each.request)} for each in found]

    def violations(self, session: str, *, after: float = 0.0) -> list[dict[str, Any]]:
        """What the servers of a session were denied."""
        return self._opened().violations(session, after=after)

    def limits(self, number: int) -> tuple[LimitEstimate, ...]:
        """What the strategy believed of each server's rate limiter when it last saved its state; empty for nothing."""
        store = self._opened()
        run = store.run(number)
        saved = store.state(run)
        if saved is None:
            return ()
        after, state = saved
        if self._limits.get(number, (-1, ()))[0] != after:
            self._limits[number] = after, _limits(run, state)
        return self._limits[number][1]

    def moment(self, number: int, requests: int) -> tuple[Frame, Tally]:
        """The run as it stood after so many ids."""
        store = self._opened()
        run = store.run(number)
        session = store.session(run.start.session)
        before, time_before = self._grown(session, run).before(requests)
        stored = store.requests(run, after=before.requests, most=requests - before.requests)
        since = [each.request for each in stored]
        tally = before.adding(since)
        return frame_of(tally, session.scoring, time_after(time_before, since)), tally

    def comparison(self, scoring: Scoring, sessions: tuple[str, ...] = ()) -> tuple[ComparedRow, ...]:
        """All runs, or those of some sessions, compared; what was asked last is kept while nobody writes."""
        store = self._opened()
        asked = store.version(), scoring, sessions
        if self._compared is None or self._compared[0] != asked:
            runs = [run for name in dict.fromkeys(sessions) for run in store.runs(name)] if sessions else store.runs()
            self._compared = asked, compare(runs, scoring)
        return self._compared[1]

    def _opened(self) -> Store:
        if self._store is not None and not self._store.is_current():
            self.close()
        if self._store is None:
            self._store = Store.open(self.path)
            self._openings += 1
        return self._store

    def _line(self, session: Session, runs: list[Run]) -> SessionLine:
        ended = [run.ended if run.ended is not None else run.heard for run in runs]
        return SessionLine(
            id=session.id,
            started=session.started,
            source=session.source,
            status=self._status(session, runs),
            strategies=tuple(dict.fromkeys(run.start.strategy for run in runs)),
            tiers=tuple(dict.fromkeys(run.start.tier for run in runs)),
            runs=len(runs),
            requests=sum(run.tally.requests for run in runs),
            attempts=sum(run.tally.attempts for run in runs),
            seconds=max(ended, default=session.started) - session.started,
        )

    def _status(self, session: Session, runs: list[Run]) -> Status:
        """Of the whole session: between two of its runs it still runs."""
        now = time.time()
        states = {run.status(now) for run in runs}
        pausing = len(runs) < games(session) and any(run.is_heard(now) for run in runs)
        if pausing:
            return "running"
        return "running" if "running" in states else "interrupted" if "interrupted" in states else "done"

    def _view(self, session: Session, run: Run) -> RunView:
        progress = self._grown(session, run)
        return RunView(
            **msgspec.structs.asdict(_line(session, run)),
            frames=tuple(progress.frames),
            attainable=self._attained(session, run),
            rates=rates(session, run),
        )

    def _grown(self, session: Session, run: Run) -> Progress:
        """The run's frames, with what came since they were last looked at."""
        progress = self._progress.pop(run.number, None)
        progress = progress or Progress(session.scoring, limits_known=run.tally.limits_known)
        self._progress[run.number] = progress  # the one looked at last stands last
        while len(self._progress) > MAX_CACHED:
            self._progress.pop(next(iter(self._progress)))
        if progress.seen < run.tally.requests:
            progress.add(self._opened().requests(run, after=progress.seen))
        return progress

    def _attained(self, session: Session, run: Run) -> float | Unknown:
        asked = run.number, run.ended is None  # it is known then at which pace it went
        if asked not in self._attainable:
            self._attainable[asked] = attainable(session, run)
        return self._attainable[asked]


def _line(session: Session, run: Run) -> RunLine:
    start, tally = run.start, run.tally
    return RunLine(
        number=run.number,
        session=session.id,
        strategy=start.strategy,
        tier=start.tier,
        ports=start.ports,
        started=start.started,
        status=run.status(time.time()),
        planned=start.planned,
        latest=frame_of(tally, session.scoring, run.heard) if tally.requests else None,
        tally=tally,
    )


def _limits(run: Run, state: dict[str, Any]) -> tuple[LimitEstimate, ...]:
    """Asked of a strategy that is brought to that state; nothing where another version saved it."""
    try:
        strategy = create(run.start.strategy, arms=len(run.start.ports))
        strategy.restore(state)
    except UsageError:
        return ()
    return strategy.estimates()
