"""Results of an experiment -> the table that people read: points per 100 ids, each with its interval."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from bandit_runner import intervals
from bandit_runner.model import ResultRow
from bandit_runner.simulation.comparison import PER_IDS, difference, row, scores
from bandit_runner.simulation.experiment import BOUND, CLAIRVOYANT, Experiment, RunResults
from bandit_runner.tables import Column, table


class _Line(NamedTuple):
    """A strategy on a scenario: its scores, its totals and what the first strategy does better, where it is another."""

    score: intervals.Estimate
    totals: ResultRow
    gap: intervals.Difference | None

    def per_100(self, total: float | str) -> str:
        """A total of all runs per 100 ids; "-" for what is unknown."""
        return "-" if isinstance(total, str) else f"{total * PER_IDS / self.totals.requests:.1f}"

    def played(self, total: float | str) -> str:
        """The same of something that only ids have: the bound, which plays none, has "-"."""
        return "-" if self.totals.strategy == BOUND else self.per_100(total)


def _half(found: intervals.Estimate) -> str:
    return "?" if found.high is None else f"{found.high - found.mean:.2f}"


def _lead(line: _Line) -> str:
    return "" if line.gap is None else f"{line.gap.estimate.mean:.2f} +- {_half(line.gap.estimate)}"


def _more_runs(line: _Line) -> str:
    return "" if line.gap is None else "-" if line.gap.runs_needed is None else str(line.gap.runs_needed)


COLUMNS: Final[tuple[Column[_Line], ...]] = (
    Column("scenario", lambda line: str(line.totals.scenario), is_text=True),
    Column("strategy", lambda line: line.totals.strategy, is_text=True),
    Column("score", lambda line: f"{line.score.mean:.2f}"),
    Column("+-95%", lambda line: _half(line.score)),
    Column("accepted", lambda line: line.played(line.totals.accepted)),
    Column("within 3", lambda line: line.played(line.totals.accepted_within_3)),
    Column("extra", lambda line: line.played(line.totals.extra_attempts)),
    Column("429s", lambda line: line.played(line.totals.rate_limited)),
    Column("regret", lambda line: line.per_100(line.totals.regret)),
    Column("first is better by", _lead),
    Column("runs needed", _more_runs),
)


def rows(experiment: Experiment, results: RunResults) -> list[ResultRow]:
    """One row per scenario and strategy; not of the bound, which accepts no ids."""
    return [
        row(name, scenario.name, results[scenario.name, name], results[scenario.name, CLAIRVOYANT])
        for scenario in experiment.scenarios
        for name in experiment.strategies
        if name != BOUND
    ]


def to_text(experiment: Experiment, results: RunResults) -> str:
    """All numbers but the last column's are points or counts per 100 ids.

    ``first is better by`` is the paired difference to the first strategy, with its interval. ``runs needed``: how many
    more would probably tell the two apart; 0 where they are told apart, "-" where nothing points to a difference.
    """
    return table(COLUMNS, list(_lines(experiment, results)))


def _lines(experiment: Experiment, results: RunResults) -> Iterator[_Line]:
    first = experiment.strategies[0]
    for scenario in experiment.scenarios:
        best = results[scenario.name, CLAIRVOYANT]
        for name in experiment.strategies:
            mine = results[scenario.name, name]
            gap = None if name == first else difference(results[scenario.name, first], mine)
            yield _Line(intervals.estimate(scores(mine)), row(name, scenario.name, mine, best), gap)
