"""The ranking that the original's author published, beside one with intervals.

The blog ranks its eight strategies by single runs: one start of the servers, 100 ids. A `Ranked` row says what such a
run is worth: how often the strategy would have come out on top of the eight in one, and which places its mean over all
runs leaves open.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from bandit_runner.intervals import Difference, Estimate
from bandit_runner.model import RESULTS_SCHEMA, ResultRow
from bandit_runner.simulation.comparison import difference, estimate, row, scores
from bandit_runner.simulation.experiment import CLAIRVOYANT, Experiment, RunResults
from bandit_runner.simulation.scenario import Scenario, load
from bandit_runner.tables import Column, counted, number, table

EIGHT: Final = ("v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8")
"""The blog's strategies, as the original plays them."""

BLOG: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"T1": ("v5",), "T2c": ("v7",), "T3c": ("v6", "v8")})
"""Which of them the blog calls the best, by the scenario that stands for its tier."""

RANKED: Final = (*EIGHT, "best")


def blog_scenarios() -> tuple[Scenario, ...]:
    """The three tiers as the blog's author met them, as far as his logs tell."""
    return tuple(load(name) for name in BLOG)


class Ranked(ResultRow, frozen=True, kw_only=True):
    """One strategy on one scenario; the fields of `ResultRow` are totals, ``per_100`` is the score per 100 ids."""

    per_100: Estimate
    places: tuple[int, int]
    """The best and the worst place that the paired differences leave open; 1 is the first."""
    versus_blog: Difference | None
    """This strategy minus the blog's best (the better of two); None for that one itself, and where it names none."""
    on_top: float | None
    """In which share of single runs it was the best of the eight; runs with several best are shared among them."""
    blog: bool
    """The blog calls it the best here."""


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """``binsafe.results/1`` with what ranking adds to each row."""

    schema: str = RESULTS_SCHEMA
    rows: tuple[Ranked, ...]


def ranking(experiment: Experiment, results: RunResults) -> Ranking:
    """Scenario by scenario, the highest mean first."""
    rows: list[Ranked] = []
    for scenario in experiment.scenarios:
        rows += sorted(_ranked(experiment, results, scenario.name), key=lambda found: -found.per_100.mean)
    return Ranking(rows=tuple(rows))


def to_text(found: Ranking) -> str:
    """Scores and differences are points per 100 ids."""
    return table(_COLUMNS, found.rows)


def _ranked(experiment: Experiment, results: RunResults, scenario: str) -> list[Ranked]:
    points = {name: scores(results[scenario, name]) for name in experiment.strategies}
    picks = [name for name in BLOG.get(scenario, ()) if name in points]
    pick = max(picks, key=lambda name: sum(points[name]), default=None)
    shares = _shares({name: points[name] for name in EIGHT if name in points})
    return [
        Ranked(
            **msgspec.structs.asdict(row(name, scenario, results[scenario, name], results[scenario, CLAIRVOYANT])),
            per_100=estimate(results[scenario, name]),
            places=_places(results, scenario, name, experiment.strategies),
            versus_blog=None
            if pick in (None, name)
            else difference(results[scenario, name], results[scenario, str(pick)]),
            on_top=shares.get(name),
            blog=name in picks,
        )
        for name in experiment.strategies
    ]


def _places(results: RunResults, scenario: str, name: str, strategies: Sequence[str]) -> tuple[int, int]:
    gaps = [difference(results[scenario, name], results[scenario, other]) for other in strategies if other != name]
    better = sum(gap.told_apart and gap.estimate.mean < 0 for gap in gaps)
    worse = sum(gap.told_apart and gap.estimate.mean > 0 for gap in gaps)
    return 1 + better, len(strategies) - worse


def _shares(points: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Of single runs, the share in which each was the best."""
    shares = dict.fromkeys(points, 0.0)
    runs = list(zip(*points.values(), strict=True))
    for run in runs:
        winners = [name for name, score in zip(points, run, strict=True) if score == max(run)]
        for name in winners:
            shares[name] += 1 / len(winners) / len(runs)
    return shares


def _interval(found: Estimate) -> str:
    return "-" if found.low is None or found.high is None else f"{found.low:.1f} .. {found.high:.1f}"


def _place(found: Ranked) -> str:
    first, last = found.places
    return str(first) if first == last else f"{first} to {last}"


def _versus(found: Ranked) -> str:
    gap = found.versus_blog
    if gap is None:
        return ""
    if not gap.told_apart:
        more = "" if gap.runs_needed is None else f": {counted(gap.runs_needed, 'more run')} needed"
        return f"cannot be told apart yet{more}"
    return f"{gap.estimate.mean:+.1f}, {_interval(gap.estimate)}"


_COLUMNS: Final[tuple[Column[Ranked], ...]] = (
    Column("scenario", lambda found: str(found.scenario), is_text=True),
    Column("place", _place, is_text=True),
    Column("strategy", lambda found: found.strategy, is_text=True),
    Column("score/100", lambda found: number(found.per_100.mean, 1)),
    Column("95% interval", lambda found: _interval(found.per_100)),
    Column("best in one run", lambda found: "-" if found.on_top is None else f"{100 * found.on_top:.0f}%"),
    Column("blog", lambda found: "best" if found.blog else "", is_text=True),
    Column("against the blog's best", _versus, is_text=True),
)
