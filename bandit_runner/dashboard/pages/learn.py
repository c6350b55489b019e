"""The learn page: Thompson sampling by hand. Three arms, what is believed of each, and one round after another."""

import random
from typing import Any, Final

from nicegui import events, ui

from bandit_runner.dashboard import charts
from bandit_runner.dashboard.pages import frame
from bandit_runner.dashboard.pages.choosing import Choice
from bandit_runner.dashboard.views import Board
from bandit_runner.errors import StoreUnusable, UsageError
from bandit_runner.model import Outcome
from bandit_runner.runs.tally import OUTCOMES

RATES: Final = (0.7, 0.4, 0.55)
AUTOPLAY_SECONDS: Final = 0.4


class Arm:
    """One arm: its hidden rate, and the counts that its Beta posterior is made of."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.successes = 0
        self.failures = 0

    @property
    def posterior(self) -> tuple[float, float]:
        """Alpha and beta, from a uniform prior."""
        return 1.0 + self.successes, 1.0 + self.failures


class Game:
    """Arms and the round that was played last. No widgets."""

    def __init__(self, luck: random.Random) -> None:
        self._luck = luck
        self.arms = [Arm(rate) for rate in RATES]
        self.samples: list[float] | None = None
        self.chosen: int | None = None
        self.accepted: bool | None = None
        self.rounds = 0

    def play(self) -> None:
        """Draw from every posterior, ask the arm with the largest draw, and learn from its answer."""
        self.samples = [self._luck.betavariate(*arm.posterior) for arm in self.arms]
        self.chosen = max(range(len(self.arms)), key=self.samples.__getitem__)
        arm = self.arms[self.chosen]
        self.accepted = self._luck.random() < arm.rate
        self.add(self.chosen, success=self.accepted)
        self.rounds += 1

    def add(self, arm: int, *, success: bool) -> None:
        """One more answer."""
        if success:
            self.arms[arm].successes += 1
        else:
            self.arms[arm].failures += 1

    def reset(self) -> None:
        """Forget what was learnt; the rates stay."""
        for arm in self.arms:
            arm.successes = arm.failures = 0
        self.samples = self.chosen = self.accepted = None
        self.rounds = 0


def build(board: Board) -> None:
    """The page for one visitor."""
    with frame.page("Learn"):
        ui.label(
            "Each server's success rate is unknown; what is believed of it is a curve. A round draws one number from"
            " each curve and asks the server with the largest: likely good ones often, uncertain ones sometimes."
        ).style("max-width: 72ch")
        LearnPage()
        _of_the_run(board)


class LearnPage:
    """Widgets around a game."""

    def __init__(self) -> None:
        self._game = Game(random.Random())
        self._counts: list[ui.label] = []
        with frame.panel("Beliefs", wide=True):
            self._chart = ui.echart({}).classes("chart")
        with ui.element("div").classes("figures"):
            for number in range(len(RATES)):
                self._arm(number)
        with ui.element("div").classes("bar"):
            ui.button("Play one round", on_click=self._play).props("unelevated")
            self._auto = ui.timer(AUTOPLAY_SECONDS, self._play, active=False)
            ui.switch("autoplay", on_change=self._autoplay)
            ui.button("Reset", on_click=self._reset).props("flat")
            self._told = ui.label("").props('role="status" aria-live="polite"')
        self._show()

    def _arm(self, number: int) -> None:
        with frame.panel(f"Arm {number + 1}"):
            rate = ui.number("true rate", value=RATES[number], min=0, max=1, step=0.05, on_change=self._rated(number))
            rate.props("dense outlined").style("width: 8em")
            self._counts.append(ui.label("").classes("soft"))
            with ui.element("div").classes("bar"):
                for name, success in (("success", True), ("failure", False)):
                    button = ui.button(f"+ {name}", on_click=lambda s=success: self._add(number, success=s))
                    button.props(f"flat dense color={'positive' if success else 'negative'}")

    def _rated(self, number: int) -> "events.Handler[events.ValueChangeEventArguments[Any]]":
        def changed(event: events.ValueChangeEventArguments[Any]) -> None:
            if isinstance(event.value, int | float) and 0 <= event.value <= 1:
                self._game.arms[number].rate = float(event.value)

        return changed

    def _add(self, number: int, *, success: bool) -> None:
        self._game.add(number, success=success)
        self._show()

    def _play(self) -> None:
        self._game.play()
        self._show()

    def _autoplay(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._auto.active = bool(event.value)

    def _reset(self) -> None:
        self._game.reset()
        self._show()

    def _show(self) -> None:
        game = self._game
        curves = [(f"arm {n + 1}", *arm.posterior) for n, arm in enumerate(game.arms)]
        options = charts.densities(curves, game.samples or ())
        self._chart.options.clear()
        self._chart.options.update(options)
        self._chart.update()
        for label, arm in zip(self._counts, game.arms, strict=True):
            low, mean, high = charts.beta_interval(*arm.posterior)
            label.set_text(f"{arm.successes} of {arm.successes + arm.failures}; {mean:.2f} ({low:.2f} to {high:.2f})")
        if game.samples is not None and game.chosen is not None:
            drawn = ", ".join(f"{sample:.2f}" for sample in game.samples)
            answer = "accepted" if game.accepted else "refused"
            self._told.set_text(f"Round {game.rounds}: drew {drawn}; asked arm {game.chosen + 1}: {answer}")
        else:
            self._told.set_text("")


def _of_the_run(board: Board) -> None:
    """The same curves for the servers of the latest session's tiers."""
    choice = Choice(board)
    made: dict[str, ui.echart] = {}
    box = ui.element("div").classes("board")

    def look() -> None:
        try:
            if board.state().kind != "ok":
                return
            choice.refresh()
        except (StoreUnusable, UsageError):
            return
        for run in choice.runs():
            if run.tier not in made:
                with box, frame.panel(f"Servers of {run.tier} in the latest session"):
                    made[run.tier] = ui.echart({}).classes("chart")
            curves = []
            for arm, port in enumerate(run.ports):
                counts = run.tally.servers[arm] if arm < len(run.tally.servers) else (0,) * len(OUTCOMES)
                ok, limited = counts[OUTCOMES.index(Outcome.OK)], counts[OUTCOMES.index(Outcome.RATE_LIMITED)]
                curves.append((str(port), 1.0 + ok, 1.0 + sum(counts) - ok - limited))
            chart = made[run.tier]
            chart.options.clear()
            chart.options.update(charts.densities(curves))
            chart.update()

    look()
    ui.timer(1.0, look)
