"""Tallies of an experiment -> the table that people read: points per 100 ids, each with its interval."""

import io
from collections.abc import Iterator, Sequence
from typing import Final

from bandit_runner import intervals
from bandit_runner.model import ResultRow
from bandit_runner.simulation.comparison import PER, difference, row, scores
from bandit_runner.simulation.experiment import BOUND, CLAIRVOYANT, Experiment, Tallies

HEADINGS: Final = (
    "scenario",
    "strategy",
    "score",
    "+-95%",
    "accepted",
    "within 3",
    "extra",
    "429s",
    "regret",
    "first is better by",
    "runs needed",
)
TEXTS: Final = 2
"""The first columns are text; the others are numbers, aligned to the right."""


def rows(experiment: Experiment, tallies: Tallies) -> list[ResultRow]:
    """One row per scenario and strategy; not of the bound, which accepts no ids."""
    return [
        row(name, scenario.name, tallies[scenario.name, name], tallies[scenario.name, CLAIRVOYANT])
        for scenario in experiment.scenarios
        for name in experiment.strategies
        if name != BOUND
    ]


def to_text(experiment: Experiment, tallies: Tallies, *, terminal: bool = False, width: int = 120) -> str:
    """All numbers but the last column's are points or counts per 100 ids.

    ``first is better by`` is the paired difference to the first strategy, with its interval. ``runs needed``: how many
    more would probably tell the two apart; 0 where they are told apart, "-" where nothing points to a difference.
    """
    cells = list(_cells(experiment, tallies))
    return _drawn(cells, width) if terminal else _aligned(cells)


def _cells(experiment: Experiment, tallies: Tallies) -> Iterator[tuple[str, ...]]:
    first = experiment.strategies[0]
    for scenario in experiment.scenarios:
        best = tallies[scenario.name, CLAIRVOYANT]
        for name in experiment.strategies:
            mine = tallies[scenario.name, name]
            totals = row(name, scenario.name, mine, best)
            found = intervals.estimate(scores(mine))
            counts = (totals.accepted, totals.accepted_within_3, totals.extra_attempts, totals.rate_limited)
            gap = None if name == first else difference(tallies[scenario.name, first], mine)
            yield (
                scenario.name,
                name,
                f"{found.mean:.2f}",
                _half(found),
                *(("-",) * len(counts) if name == BOUND else (_per(count, totals.requests) for count in counts)),
                _per(totals.regret, totals.requests),
                "" if gap is None else f"{gap.estimate.mean:.2f} +- {_half(gap.estimate)}",
                "" if gap is None else "-" if gap.runs_needed is None else str(gap.runs_needed),
            )


def _half(found: intervals.Estimate) -> str:
    return "?" if found.high is None else f"{found.high - found.mean:.2f}"


def _per(total: float | str, requests: int) -> str:
    return "-" if isinstance(total, str) else f"{total * PER / requests:.1f}"


def _aligned(cells: Sequence[Sequence[str]]) -> str:
    lines = [HEADINGS, *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def padded(line: Sequence[str]) -> Iterator[str]:
        for place, (cell, width) in enumerate(zip(line, widths, strict=True)):
            yield cell.ljust(width) if place < TEXTS else cell.rjust(width)

    return "".join("  ".join(padded(line)).rstrip() + "\n" for line in lines)


def _drawn(cells: Sequence[Sequence[str]], width: int) -> str:
    from rich import box, console, table, text  # a tenth of a second that --json need not pay

    drawn = table.Table(box=box.SIMPLE_HEAD)
    for place, heading in enumerate(HEADINGS):
        drawn.add_column(heading, justify="left" if place < TEXTS else "right", no_wrap=place < TEXTS)
    for before, line in zip([None, *cells], cells, strict=False):
        if before is not None and before[0] != line[0]:
            drawn.add_section()
        drawn.add_row(*(text.Text(cell) for cell in line))  # Text: no cell is taken for markup
    out = io.StringIO()
    console.Console(file=out, force_terminal=True, no_color=True, width=width, highlight=False).print(drawn)
    return out.getvalue()
