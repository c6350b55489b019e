"""How a run went: a frame after every few ids, so that charts and replay cost the same for a hundred ids or a million.

When there are too many frames every second one is let go and the step doubles.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from bandit_runner.model import BalancedRequest, Outcome, Scoring, Unknown
from bandit_runner.runs.records import StoredRequest
from bandit_runner.runs.tally import Tally

MAX_FRAMES: Final = 512

FRAMES_PER_MARK: Final = 16
"""So many frames apart is the whole tally kept: of a long run, every moment is a sixteenth of it away at most."""


class ServerCount(msgspec.Struct, frozen=True, array_like=True):
    """One server so far: attempts that it accepted, attempts in all, attempts that it answered 429."""

    ok: int
    attempts: int
    limited: int


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What was known after ``requests`` ids; ``time`` is seconds since the epoch."""

    requests: int
    time: float
    accepted: int
    attempts: int
    extra: int
    limited: int
    p50_ms: float | Unknown
    p99_ms: float | Unknown
    servers: tuple[ServerCount, ...]

    @property
    def success_rate(self) -> float:
        """The share of ids that were accepted."""
        return self.accepted / self.requests if self.requests else 0.0

    def score(self, scoring: Scoring) -> float:
        """Points so far."""
        return scoring.score(self.accepted, self.extra)


class Progress:
    """The frames of one run, grown as its ids come in."""

    def __init__(self, scoring: Scoring, *, limits_known: bool = True) -> None:
        self.tally = Tally(limits_known=limits_known)
        self.frames: list[Frame] = []
        self._scoring = scoring
        self._step = 1
        self._time = 0.0
        self._marks = [(self.tally, self._time)]

    @property
    def seen(self) -> int:
        """Ids so far."""
        return self.tally.requests

    def add(self, requests: Sequence[StoredRequest]) -> None:
        """More ids of the run, in their order."""
        waiting: list[BalancedRequest] = []
        for stored in requests:
            waiting.append(stored.request)
            if stored.number % self._step == 0:
                self._take(waiting)
                self.frames.append(self._frame())
                if stored.number % (self._step * FRAMES_PER_MARK) == 0:
                    self._marks.append((self.tally, self._time))
                self._thin()
        self._take(waiting)

    def before(self, requests: int) -> tuple[Tally, float]:
        """The tally of the last mark up to so many ids, and the time then."""
        return next(mark for mark in reversed(self._marks) if mark[0].requests <= requests)

    def _take(self, waiting: list[BalancedRequest]) -> None:
        self.tally = self.tally.adding(waiting)
        self._time = time_after(self._time, waiting)
        waiting.clear()

    def _thin(self) -> None:
        if len(self.frames) > MAX_FRAMES:
            self._step *= 2
            self.frames = [frame for frame in self.frames if frame.requests % self._step == 0]
            self._marks = [mark for mark in self._marks if mark[0].requests % (self._step * FRAMES_PER_MARK) == 0]

    def _frame(self) -> Frame:
        return frame_of(self.tally, self._scoring, self._time)


def time_after(time: float, requests: Iterable[BalancedRequest]) -> float:
    """When the last attempt of these ids ended, or ``time`` where that is later."""
    ends = (request.trials[-1].started + request.trials[-1].latency for request in requests if request.trials)
    return max(time, max(ends, default=time))


def frame_of(tally: Tally, scoring: Scoring, time: float) -> Frame:
    """The frame of a tally."""
    ok, limited = tuple(Outcome).index(Outcome.OK), tuple(Outcome).index(Outcome.RATE_LIMITED)
    return Frame(
        requests=tally.requests,
        time=time,
        accepted=sum(tally.accepted),
        attempts=tally.attempts,
        extra=tally.extra_attempts(scoring),
        limited=sum(counts[limited] for counts in tally.servers),
        p50_ms=tally.quantile_ms(50),
        p99_ms=tally.quantile_ms(99),
        servers=tuple(ServerCount(counts[ok], sum(counts), counts[limited]) for counts in tally.servers),
    )
