"""Views -> a chart's options: one function for each chart of the pages. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from bandit_runner.dashboard.drawing import (
    BAD,
    COLOURS,
    GOOD,
    IDS,
    MARK,
    TOOLTIP,
    Options,
    cartesian,
    categories,
    css,
    intervals,
    line,
)
from bandit_runner.dashboard.progress import Frame
from bandit_runner.dashboard.views import RunView
from bandit_runner.model import Outcome, Scoring
from bandit_runner.runs.tally import OUTCOMES, Tally
from bandit_runner.tables import counted

TIER_COLOURS: Final[Mapping[str, str]] = {"T1": "#0072B2", "T2": "#D55E00", "T3": "#009E73"}
OTHER_COLOUR: Final = "#CC79A7"

BINS: Final = 40
"""Columns of the map of 429s, bars of the histogram."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A run up to the moment that is looked at."""

    run: RunView
    frames: tuple[Frame, ...]
    latest: Frame | None
    tally: Tally

    @property
    def colour(self) -> str:
        """The tier's."""
        return TIER_COLOURS.get(self.run.tier, OTHER_COLOUR)


def success(shown: Sequence[Shown], *, overall: bool) -> Options:
    """The share of ids that were accepted so far, over ids: a line per tier, or one for all."""
    if overall:
        series = [line("all tiers", OTHER_COLOUR, _overall(shown), area=True)]
    else:
        series = [
            line(each.run.tier, each.colour, [[f.requests, round(f.success_rate * 100, 2)] for f in each.frames])
            for each in shown
        ]
    return cartesian(series, x=IDS, y="% accepted", most=100)


def regret(shown: Sequence[Shown], scoring: Scoring) -> Options:
    """Points behind the clairvoyant (where the truth is known); dashed, ids behind perfection, as the original did."""
    series = []
    for each in shown:
        tier, attainable = each.run.tier, each.run.attainable
        if not isinstance(attainable, str):
            data = [[f.requests, round(attainable * f.requests - f.score(scoring), 2)] for f in each.frames]
            series.append(line(tier, each.colour, data))
        plain = [[f.requests, f.requests - f.accepted] for f in each.frames]
        series.append(line(f"{tier}: not accepted", each.colour, plain, dashed=True))
    options = cartesian(series, x=IDS, y="points")
    solid = [each["name"] for each in series if each["lineStyle"]["type"] == "solid"]
    options["legend"] |= {"data": solid} if solid else {}
    return options


def servers(shown: Sequence[Shown]) -> Options:
    """Accepted share of each server's attempts, with what it truly is where that is known."""
    names, bars = [], []
    for each in shown:
        counts = each.latest.servers if each.latest else ()
        for arm, port in enumerate(each.run.ports):
            names.append(str(port))
            count = counts[arm] if arm < len(counts) else None
            tried = count.attempts if count else 0
            value = round(100 * count.ok / tried, 2) if count and tried else None
            bars.append({"value": value, "itemStyle": {"color": each.colour}, "tried": tried})
    series: list[Options] = [
        {"type": "bar", "name": "accepted", "data": bars, "barMaxWidth": 18, "color": TIER_COLOURS["T1"]}
    ]
    return _by_server([*series, *_true_rates(shown)], names, y="% accepted")


def latency(tally: Tally) -> Options:
    """How many ids took how long, with the median and the 99th percentile."""
    bins = tally.latency_bins()
    if not bins:
        return cartesian([], x="ms", y=IDS)
    low, high = bins[0][0], max(bins[-1][0], bins[0][0] * 1.5)
    edges = np.geomspace(low * 0.99, high * 1.01, BINS + 1)
    heights, _ = np.histogram([ms for ms, _ in bins], edges, weights=[count for _, count in bins])
    bars = [int(height) for height in heights]
    names = [f"{(edges[i] * edges[i + 1]) ** 0.5:.2f}" for i in range(BINS)]
    series: Options = {
        "type": "bar",
        "name": "ids",
        "data": bars,
        "barCategoryGap": "10%",
        "itemStyle": {"color": "#56B4E9"},
    }
    lines = []
    for label, percent in (("p50", 50), ("p99", 99)):
        value = tally.quantile_ms(percent)
        if not isinstance(value, str):
            place = int(np.clip(np.searchsorted(edges, value) - 1, 0, BINS - 1))
            lines.append({"xAxis": place, "label": {"formatter": label, "position": "end", **css(color="soft")}})
    series["markLine"] = {"symbol": "none", "data": lines, "lineStyle": {"color": MARK}}
    return cartesian([series], x="", y=IDS) | {"xAxis": categories(names, name="ms")} | {"legend": {"show": False}}


def limited(shown: Sequence[Shown]) -> Options:
    """429s of each server over the run, as a map: blank where there was none."""
    names: list[str] = []
    cells: list[list[int]] = []
    highest = 2  # one alone is not the most that there can be
    for each in shown:
        for arm, port in enumerate(each.run.ports):
            row = len(names)
            names.append(str(port))
            counts = _binned([f.servers[arm].limited if arm < len(f.servers) else 0 for f in each.frames])
            highest = max([highest, *counts])
            cells += [[column, row, count] for column, count in enumerate(counts) if count]
    shares = [f"{100 * i // BINS}%" for i in range(BINS)]
    return {
        "aria": {"enabled": True},
        "animation": False,
        "grid": {"left": 48, "right": 16, "top": 12, "bottom": 76},
        "tooltip": {"position": "top", **TOOLTIP},
        "xAxis": categories(shares, name="of the run"),
        "yAxis": categories(names) | {"inverse": True},
        "visualMap": {
            "min": 1,
            "max": highest,
            "orient": "horizontal",
            "left": "center",
            "bottom": 0,
            "itemHeight": 160,
            "text": [counted(highest, "answer") + " 429", "1"],
            "textStyle": css(color="soft"),
            "inRange": {"color": ["#56B4E9", "#E69F00", "#D55E00"]},  # seen on light and on dark
        },
        "series": [{"type": "heatmap", "name": "429s", "data": cells}],
    }


def beliefs(shown: Sequence[Shown]) -> Options:
    """Each server's success rate as the counts allow: mean and 95% of Beta(1 + accepted, 1 + refused), without 429s."""
    names: list[str] = []
    means, ranges = [], []
    limited_at = OUTCOMES.index(Outcome.RATE_LIMITED)
    for each in shown:
        for arm, port in enumerate(each.run.ports):
            counts = each.tally.servers[arm] if arm < len(each.tally.servers) else (0,) * len(OUTCOMES)
            ok = counts[OUTCOMES.index(Outcome.OK)]
            refused = sum(counts) - ok - counts[limited_at]
            low, mean, high = beta_interval(1 + ok, 1 + refused)
            position = len(names)
            names.append(str(port))
            means.append({"value": round(100 * mean, 2), "itemStyle": {"color": each.colour}})
            ranges.append([position, round(100 * low, 2), round(100 * high, 2)])
    series: list[Options] = [
        intervals(ranges, "95% interval"),
        {"type": "scatter", "name": "mean", "data": means, "symbolSize": 8, "color": TIER_COLOURS["T1"]},
    ]
    return _by_server([*series, *_true_rates(shown)], names, y="% success")


def _true_rates(shown: Sequence[Shown]) -> list[Options]:
    """A mark at each server's true success rate, where any is known."""
    rates = (rate for each in shown for rate in each.run.rates)
    marks = [None if isinstance(rate, str) else round(100 * rate, 2) for rate in rates]
    if all(mark is None for mark in marks):
        return []
    shape: Options = {"symbol": "diamond", "symbolSize": 9, "itemStyle": {"color": MARK}}
    return [{"type": "scatter", "name": "true rate", "data": marks} | shape]


def _by_server(series: list[Options], names: list[str], *, y: str) -> Options:
    return cartesian(series, x="", y=y, most=100) | {"xAxis": categories(names, rotate=90)}


def attempts(tally: Tally) -> Options:
    """How many ids took how many attempts."""
    length = max(len(tally.accepted), len(tally.failed))
    accepted = [*tally.accepted, *[0] * (length - len(tally.accepted))]
    failed = [*tally.failed, *[0] * (length - len(tally.failed))]
    series: list[Options] = [
        {"type": "bar", "stack": "ids", "name": "accepted", "data": accepted, "itemStyle": {"color": GOOD}},
        {"type": "bar", "stack": "ids", "name": "failed", "data": failed, "itemStyle": {"color": BAD}},
    ]
    axis = categories([str(number) for number in range(length)], name="attempts")
    return cartesian(series, x="", y=IDS) | {"xAxis": axis}


def densities(curves: Sequence[tuple[str, float, float]], draws: Sequence[float] = ()) -> Options:
    """Beta curves: (name, alpha, beta) each, and for each the number that was drawn from it, if one was."""
    grid = np.linspace(0.0, 1.0, 201)
    series = []
    for position, (name, alpha, beta) in enumerate(curves):
        heights, colour = beta_density(grid, alpha, beta), COLOURS[position % len(COLOURS)]
        data = [[round(float(x), 3), round(float(y), 3)] for x, y in zip(grid, heights, strict=True)]
        curve = line(name, colour, data, area=True)
        if position < len(draws):
            drawn = {"xAxis": draws[position], "label": {"formatter": f"{draws[position]:.2f}", **css(color="soft")}}
            curve["markLine"] = {"symbol": "none", "data": [drawn], "lineStyle": {"color": colour, "width": 2}}
        series.append(curve)
    options = cartesian(series, x="success rate", y="density")
    options["xAxis"] |= {"min": 0, "max": 1}
    return options


def compared(
    names: Sequence[str], bars: Mapping[str, Sequence[float | None]], *, unit: str, logarithmic: bool = False
) -> Options:
    """A group of bars for each strategy: one bar of each kind."""
    series: list[Options] = [
        {
            "type": "bar",
            "name": kind,
            "barMaxWidth": 36,
            "data": [None if value is None else round(value, 2) for value in values],
            "itemStyle": {"color": colour},
        }
        for (kind, values), colour in zip(bars.items(), COLOURS, strict=False)
    ]
    options = cartesian(series, x="", y=unit) | {"xAxis": categories(names, rotate=40)}
    known = [value for values in bars.values() for value in values if value]
    if logarithmic and known:  # bars stand on a power of ten so far below the smallest that it is one, too
        below = 10.0 ** math.floor(math.log10(min(known) / 2))
        options["yAxis"] |= {"type": "log", "min": below, "startValue": below}
    return options if len(bars) > 1 else options | {"legend": {"show": False}}


def scored(names: Sequence[str], scores: Sequence[tuple[float, float | None, float | None]]) -> Options:
    """The score of each strategy with its interval, where that is known.

    The interval of two runs can be ten times as wide as all scores: then it is cut where bars still have half the axis.
    """
    ranges = [[at, low, high] for at, (_, low, high) in enumerate(scores) if low is not None and high is not None]
    options = compared(names, {"score": [mean for mean, _, _ in scores]}, unit="points per 100 ids")
    options["series"].append(intervals(ranges, "95% interval") | {"clip": True})
    means = [0.0, *(mean for mean, _, _ in scores)]
    lowest, room = min(means), max(100.0, max(means) - min(means))
    if any(low < lowest - room for _, low, _ in ranges):
        options["yAxis"]["min"] = math.floor((lowest - room) / 10) * 10
    return options


def beta_density(x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """The density of Beta(alpha, beta) at points from 0 to 1, normalized on them."""
    inside = np.clip(x, 1e-6, 1 - 1e-6)
    log = (alpha - 1) * np.log(inside) + (beta - 1) * np.log1p(-inside)
    heights = np.exp(log - log.max())
    area = float(np.sum((heights[1:] + heights[:-1]) / 2 * np.diff(x)))
    return np.asarray(heights / area)


def beta_interval(alpha: float, beta: float) -> tuple[float, float, float]:
    """(2.5% point, mean, 97.5% point) of Beta(alpha, beta), the points to about a thousandth."""
    grid = np.linspace(0.0, 1.0, 2001)
    cumulated = np.cumsum(beta_density(grid, alpha, beta))
    cumulated /= cumulated[-1]
    low, high = (float(grid[int(np.searchsorted(cumulated, p))]) for p in (0.025, 0.975))
    return low, alpha / (alpha + beta), high


def _overall(shown: Sequence[Shown]) -> list[list[float]]:
    """(ids of all runs, % of them accepted) as time went on: the tiers of a strategy are played side by side."""
    data: list[list[float]] = []
    now: dict[int, Frame] = {}
    frames = [(frame, at) for at, each in enumerate(shown) for frame in each.frames]
    for frame, at in sorted(frames, key=lambda one: one[0].time):
        now[at] = frame
        ids = sum(each.requests for each in now.values())
        data.append([ids, round(100 * sum(each.accepted for each in now.values()) / ids, 2)])
    return data


def _binned(cumulated: Sequence[int]) -> list[int]:
    """New ones per column."""
    if not cumulated:
        return [0] * BINS
    ends = [cumulated[max(0, (i + 1) * len(cumulated) // BINS - 1)] for i in range(BINS)]
    return [end - before for before, end in zip([0, *ends], ends, strict=False)]
