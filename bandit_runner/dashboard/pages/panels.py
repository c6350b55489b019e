"""What the live page shows of a moment, as text and chart options. Pure; a chart more is one line in ``CHARTS``."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from bandit_runner.dashboard import charts
from bandit_runner.dashboard.charts import Shown
from bandit_runner.dashboard.drawing import Options
from bandit_runner.dashboard.pages.choosing import Figures
from bandit_runner.model import Likely, LimitEstimate, Scoring, Unknown
from bandit_runner.runs import Tally
from bandit_runner.tables import counted

SECOND_MS: Final = 1_000
MANY: Final = 1_000
"""Attempts beyond which a limit is none that anybody here would meet."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """The runs up to the moment that is looked at, and how they are to be shown."""

    shown: tuple[Shown, ...]
    whole: Tally
    scoring: Scoring
    overall: bool


class Chart(NamedTuple):
    """One chart of the page; ``options`` makes ECharts' options of a scene."""

    title: str
    explained: str
    options: Callable[[Scene], Options]
    wide: bool = False


CHARTS: Final = (
    Chart(
        "Success over time",
        "Share of ids accepted so far.",
        lambda scene: charts.success(scene.shown, overall=scene.overall),
    ),
    Chart(
        "Cumulative regret",
        "Solid: points behind one who knows every rate and limit. Dashed: ids not accepted.",
        lambda scene: charts.regret(scene.shown, scene.scoring),
    ),
    Chart(
        "Servers: accepted attempts",
        "Share of each server's attempts; a 429 counts as one. Diamonds: its true rate.",
        lambda scene: charts.servers(scene.shown),
    ),
    Chart(
        "Servers: what the counts say",
        "Beta posterior of each success rate: mean and 95%; 429s say nothing of it.",
        lambda scene: charts.beliefs(scene.shown),
    ),
    Chart(
        "Latency",
        "Milliseconds per id, all its attempts and waits together.",
        lambda scene: charts.latency(scene.whole),
    ),
    Chart(
        "Attempts per id",
        "Those after the free ones (three, as a rule) cost points.",
        lambda scene: charts.attempts(scene.whole),
    ),
    Chart(
        "429s per server over the run",
        "Blank where no limit was met; the redder, the more often one was.",
        lambda scene: charts.limited(scene.shown),
        wide=True,
    ),
)

FIGURES: Final = ("Ids", "Accepted", "Score", "p50", "p99")

LIMIT_HEADS: Final = ("server", "likely limiter", "how likely", "admits now", "a second", "at once", "seconds")
LIMIT_NUMBERS: Final = frozenset({2, 3, 4, 5, 6})


def limit_rows(tier: str, ports: tuple[int, ...], estimates: tuple[LimitEstimate, ...]) -> list[tuple[str, ...]]:
    """One row for each server: what the strategy believes of its rate limiter; no rows for one without beliefs."""
    return [
        (
            f"{tier} {port}",
            each.kind.replace("-", " "),
            f"{each.share:.0%}",
            f"{each.admits:.0%}",
            _likely(each.rate),
            _likely(each.burst),
            _likely(each.seconds),
        )
        for port, each in zip(ports, estimates, strict=False)
    ]


def figure_texts(found: Figures | None) -> Mapping[str, tuple[str, str]]:
    """Each figure's name -> its value and the line below."""
    if found is None:
        return dict.fromkeys(FIGURES, ("-", ""))
    limited, too_many = found.limited, counted(found.extra, "attempt") + " too many"
    answers = "429s not recorded" if isinstance(limited, str) else counted(limited, "answer") + " 429"
    return {
        "Ids": (f"{found.requests:,}", f"{found.attempts - found.requests:+,} retries, {answers}"),
        "Accepted": (f"{100 * found.success_rate:.1f}%", f"{round(found.success_rate * found.requests):,} ids"),
        "Score": (f"{found.score:,.1f}", too_many),
        "p50": (duration(found.p50_ms), "half of all ids"),
        "p99": (duration(found.p99_ms), "99 of 100 ids"),
    }


def duration(ms: float | Unknown) -> str:
    """Milliseconds in the unit that people read."""
    if isinstance(ms, str):
        return "-"
    return f"{ms / SECOND_MS:.2f} s" if ms >= SECOND_MS else f"{ms:.2f} ms"


def _likely(value: Likely | None) -> str:
    if value is None:
        return "-"
    if value.mean > MANY:
        return f"more than {MANY:,}"
    return f"{value.mean:.1f} ({value.low:.1f} to {value.high:.1f})"
