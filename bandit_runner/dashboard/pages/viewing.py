"""The live page without its widgets: what one visitor has set, and the picture that follows from it and the store."""

from collections.abc import Mapping
from typing import Final

import msgspec

from bandit_runner.dashboard.drawing import Options
from bandit_runner.dashboard.pages.choosing import Choice, described, figures
from bandit_runner.dashboard.pages.panels import CHARTS, Scene, figure_texts, limit_rows
from bandit_runner.dashboard.views import Board
from bandit_runner.errors import StoreUnusable, UsageError
from bandit_runner.runs import Session, Tally

REPLAY_STEPS: Final = 100
"""Moments of a whole replay at 1x."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why the store cannot be shown just now, and what to do."""

    message: str
    hint: str


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """All that the page shows of a session at a moment."""

    status: str
    session: Session
    sessions: Mapping[str, str]
    """Id -> how a selector describes it, the latest first."""
    strategies: tuple[str, ...]
    strategy: str | None
    moment: int
    """Ids of each run that are shown, of ``length``."""
    length: int
    figures: Mapping[str, tuple[str, str]]
    charts: tuple[Options, ...]
    """In the order of ``CHARTS``."""
    limits: tuple[tuple[str, ...], ...]
    violations: tuple[dict[str, object], ...]


class Viewer:
    """One visitor. Every method that returns a picture may return None: there is nothing to show, or nothing new."""

    def __init__(self, board: Board) -> None:
        self.choice = Choice(board)
        self.trouble: Trouble | None = None
        self.has_news = False
        """A session has begun since, and another one is looked at."""
        self.playing = False
        self.speed = 1
        self._version: tuple[int, int] | None = None
        self._latest: str | None = None
        self._sessions: Mapping[str, str] = {}

    def look(self) -> Picture | None:
        """See whether the store has changed."""
        choice = self.choice
        try:
            version = choice.board.version()
            if version == self._version and choice.view is not None and choice.view.status != "running":
                return None
            changed, self._version = version != self._version, version
            choice.refresh()
            if changed:
                self._list()
            self.trouble = None
            return self.picture()
        except (StoreUnusable, UsageError) as error:
            self.trouble, self._version = Trouble(message=str(error), hint=error.hint), None
            return None

    def picture(self) -> Picture | None:
        """What is to be seen now."""
        choice = self.choice
        if choice.view is None:
            return None
        shown, scoring, session = tuple(choice.shown()), choice.view.session.scoring, choice.view.session
        whole = Tally.sum([each.tally for each in shown])
        scene = Scene(shown=shown, whole=whole, scoring=scoring, overall=choice.overall)
        limits = [limit_rows(run.tier, run.ports, choice.board.limits(run.number)) for run in choice.runs()]
        length = choice.length()
        return Picture(
            status=choice.status(),
            session=session,
            sessions=self._sessions,
            strategies=tuple(choice.strategies()),
            strategy=choice.chosen_strategy,
            moment=max(1, length if choice.moment is None else choice.moment),
            length=max(1, length),
            figures=figure_texts(figures(list(shown), scoring)),
            charts=tuple(chart.options(scene) for chart in CHARTS),
            limits=tuple(row for rows in limits for row in rows),
            violations=tuple(choice.board.violations(session.id)),
        )

    def choose_session(self, name: str) -> Picture | None:
        """Look at that session; the latest one is followed on to the next."""
        if name == (self.choice.session or self._latest):
            return None
        self.choice.session = None if name == self._latest else name
        self.choice.strategy = self.choice.moment = None
        return self._anew()

    def choose_strategy(self, name: str) -> Picture | None:
        """Look at that strategy's runs."""
        if name == self.choice.chosen_strategy:
            return None
        self.choice.strategy, self.choice.moment = name, None
        return self._anew()

    def filter(self, tier: str, *, on: bool) -> Picture | None:
        """Show a tier's runs, or do not."""
        (self.choice.tiers.add if on else self.choice.tiers.discard)(tier)
        return self.picture()

    def sum_up(self, *, overall: bool) -> Picture | None:
        """One line for all tiers, or one each."""
        self.choice.overall = overall
        return self.picture()

    def seek(self, moment: int) -> Picture | None:
        """Show each run as it stood after so many ids."""
        self.choice.moment = max(1, min(moment, self.choice.length()))
        return self.picture()

    def move(self, ids: int) -> Picture | None:
        """So many ids forward, or back."""
        return self.seek((self.choice.moment or self.choice.length()) + ids)

    def slide(self, moment: int) -> Picture | None:
        """As `seek`; the end of what is followed anyway is no moment of a replay."""
        at_end = self.choice.moment is None and moment >= self.choice.length()
        return None if moment in {0, self.choice.moment} or at_end else self.seek(moment)

    def toggle(self) -> Picture | None:
        """Play or pause; from the beginning where it stands at the end."""
        self.playing = not self.playing
        at_end = (self.choice.moment or self.choice.length()) >= self.choice.length()
        return self.seek(1) if self.playing and at_end else None

    def step(self) -> Picture | None:
        """One moment of a replay, which ends at the end; a clock that ticks once more after that moves nothing."""
        if not self.playing:
            return None
        stride = max(1, self.choice.length() // REPLAY_STEPS) * self.speed
        picture = self.seek((self.choice.moment or 0) + stride)
        self.playing = (self.choice.moment or 0) < self.choice.length()
        return picture

    def go_live(self) -> Picture | None:
        """Follow the latest session, now."""
        self.playing = self.has_news = False
        self.choice.session = self.choice.strategy = self.choice.moment = None
        return self._anew()

    def export(self) -> bytes | None:
        """The session and the runs that are shown, with their frames, as JSON."""
        view = self.choice.view
        if view is None:
            return None
        runs = [self.choice.board.run(run.number) for run in self.choice.runs()]
        return msgspec.json.format(msgspec.json.encode({"session": view.session, "runs": runs}))

    def _anew(self) -> Picture | None:
        self._version = None
        return self.look()

    def _list(self) -> None:
        lines = self.choice.board.sessions()
        self._sessions = {line.id: described(line) for line in lines}
        latest = lines[0].id if lines else None
        if self._latest is not None and latest != self._latest and self.choice.session is not None:
            self.has_news = True
        self._latest = latest
