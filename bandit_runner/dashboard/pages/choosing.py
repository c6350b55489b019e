"""What a live page looks at: which session and strategy, which tiers, now or a moment of replay. No widgets."""

import time
from typing import Final

import msgspec

from bandit_runner.dashboard.charts import Shown
from bandit_runner.dashboard.progress import Frame
from bandit_runner.dashboard.views import Board, RunLine, RunView, SessionLine, SessionView
from bandit_runner.model import UNKNOWN, Scoring, Unknown
from bandit_runner.runs import Tally

SPEEDS: Final = (1, 2, 4)

NAMED: Final = 3
"""Strategies of a session that its description names."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The five figures at the top."""

    requests: int
    attempts: int
    limited: int | Unknown
    success_rate: float
    score: float
    extra: int
    p50_ms: float | Unknown
    p99_ms: float | Unknown


class Choice:
    """One visitor's choice; the latest session is followed until another is chosen."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.session: str | None = None
        """None follows the latest."""
        self.strategy: str | None = None
        """None follows the one that plays, or played last."""
        self.tiers: set[str] = {"T1", "T2", "T3"}
        self.overall = False
        self.moment: int | None = None
        """Replay: how many ids of each run are shown; None is now."""
        self.view: SessionView | None = None

    def refresh(self) -> None:
        """Read the chosen session anew."""
        self.view = self.board.session(self.session)

    @property
    def chosen_strategy(self) -> str | None:
        """The strategy that is shown."""
        runs = self.view.runs if self.view else ()
        if self.strategy in {run.strategy for run in runs}:
            return self.strategy
        playing = [run for run in runs if run.status == "running"]
        latest = max(playing or runs, key=lambda run: run.started, default=None)
        return latest.strategy if latest else None

    def strategies(self) -> list[str]:
        """Those of the session."""
        return list(dict.fromkeys(run.strategy for run in self.view.runs)) if self.view else []

    def runs(self) -> list[RunLine]:
        """The runs that are shown, tier by tier."""
        if self.view is None:
            return []
        name = self.chosen_strategy
        found = [run for run in self.view.runs if run.strategy == name and run.tier in self.tiers]
        return sorted(found, key=lambda run: run.tier)

    def length(self) -> int:
        """Ids of the longest run that is shown."""
        return max((run.tally.requests for run in self.runs()), default=0)

    def shown(self) -> list[Shown]:
        """The runs up to the chosen moment, with the way they went."""
        return [self._until(self.board.run(run.number)) for run in self.runs()]

    def status(self) -> str:
        """One word for the badge."""
        if self.view is None:
            return "Offline"
        if self.moment is not None or (self.session is not None and not self.is_latest()):
            return "Viewing history"
        return {"running": "Live", "done": "Done", "interrupted": "Interrupted"}[self.view.status]

    def is_latest(self) -> bool:
        """Whether the chosen session is the latest one."""
        return self.session is None or self.session == self.latest()

    def latest(self) -> str | None:
        """The latest session's id."""
        lines = self.board.latest()
        return lines.id if lines else None

    def _until(self, run: RunView) -> Shown:
        if self.moment is None or self.moment >= run.tally.requests:
            return Shown(run=run, frames=_ending(run.frames, run.latest), latest=run.latest, tally=run.tally)
        latest, tally = self.board.moment(run.number, self.moment)
        frames = tuple(frame for frame in run.frames if frame.requests <= self.moment)
        return Shown(run=run, frames=_ending(frames, latest), latest=latest, tally=tally)


def figures(shown: list[Shown], scoring: Scoring) -> Figures | None:
    """The figures over all runs that are shown; None before the first id."""
    whole = Tally.sum([each.tally for each in shown])
    if not whole.requests:
        return None
    return Figures(
        requests=whole.requests,
        attempts=whole.attempts,
        limited=whole.rate_limited if whole.limits_known else UNKNOWN,
        success_rate=sum(whole.accepted) / whole.requests,
        score=whole.score(scoring),
        extra=whole.extra_attempts(scoring),
        p50_ms=whole.quantile_ms(50),
        p99_ms=whole.quantile_ms(99),
    )


def described(line: SessionLine) -> str:
    """A session in a selector, when it began in local time."""
    when = time.strftime("%d %b %H:%M", time.localtime(line.started))
    live = "LIVE - " if line.status == "running" else ""
    names = ", ".join(line.strategies[:NAMED]) + (" ..." if len(line.strategies) > NAMED else "")
    return f"{live}{when} - {names} - {line.requests:,} ids, {line.attempts:,} attempts, {line.seconds:.0f} s"


def _ending(frames: tuple[Frame, ...], latest: Frame | None) -> tuple[Frame, ...]:
    """The frames up to and with the latest."""
    if latest is None or (frames and frames[-1].requests >= latest.requests):
        return frames
    return (*frames, latest)
