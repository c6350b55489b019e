"""What a log says of the servers that nobody may look into: their rates, whether these are redrawn, limits, drift.

Each question is asked as a test that could say no, by permutation or by an exact distribution, so that small counts do
not talk it into anything:

    redrawn     do the success rates of a port differ between the runs of a series? (chi-square, by permutation)
    gaps        is a second hit on a server refused more often the sooner it comes? (expected from the server's own
                rate elsewhere; exact Poisson-binomial tail)
    period      do outcomes come and go with time? (largest power of a periodogram, by permutation)

A series is what was started together: runs of one session, or, in logs without sessions, runs less than two minutes
apart. Pure: the same logs give the same answer, permutations included.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from bandit_runner.errors import UsageError
from bandit_runner.intervals import Z_95
from bandit_runner.runs.calibration import Calibration, Gap, Limit, Period, Rate, Series, Start
from bandit_runner.runs.csvs import CsvRun, requests_of

SERIES_GAP: Final = 120.0
"""Seconds between runs that still belong to one series."""

SURE: Final = 0.001
"""A p-value below this is taken for an effect: many questions are asked of one log."""

GAPS: Final = (0.0, 0.010, 0.030, 0.090, 0.200, float("inf"))
"""Seconds since the last attempt at the same server, from and to."""

PERMUTATIONS: Final = 2_000
BUSIEST: Final = 10
MOST_BINS: Final = 1 << 13
MOST_OUTCOMES: Final = 20_000
"""Stretches of time, and attempts at one server, that a log is looked at in for a period; of a longer one the
beginning."""
_FASTEST_HZ: Final = 5.0
_FEW: Final = 40
"""Attempts at one server below which no period can be looked for."""


class _Log(msgspec.Struct, frozen=True):
    """One run as columns, by time."""

    name: str
    session: str
    tier: str
    port: np.ndarray
    time: np.ndarray
    ok: np.ndarray
    limited: int | None


def calibrate(runs: Sequence[CsvRun]) -> Calibration:
    """What these logs say.

    Raises:
        UsageError: no log, one that contradicts itself, or one named twice.
    """
    if not runs:
        raise UsageError("no log was named", hint="bandit_runner calibrate runs/*.csv")
    for name, times in Counter(run.name for run in runs).items():
        if times > 1:  # it would count as two runs that agree
            raise UsageError(f"two logs are called {name}", hint="name each log once")
    generator = np.random.default_rng(0)
    logs = sorted(map(_log, runs), key=lambda log: float(log.time[0]))
    series = [(group, _series(group, generator)) for group in _together(logs)]
    groups = [same for group, found in series for same in ([[log] for log in group] if found.redrawn else [group])]
    gaps = [_gaps(tier, groups) for tier in sorted({log.tier for log in logs})]
    periods = _periods(groups, generator)
    limited = [log.limited for log in logs]
    return Calibration(
        runs=len(logs),
        attempts=sum(len(log.time) for log in logs),
        rate_limited=None if None in limited else sum(each or 0 for each in limited),
        series=tuple(found for _, found in series),
        gaps=tuple(itertools.chain.from_iterable(gaps)),
        limits=tuple(limit for limit in map(_limit, gaps) if limit),
        periods=periods,
        periodic=any(period.p * len(periods) < SURE * BUSIEST for period in periods),
    )


def _log(run: CsvRun) -> _Log:
    requests_of(run)
    first = run.lines[0]
    lines = sorted(run.lines, key=lambda line: line.timestamp)
    limited = [line.rate_limited for line in lines]
    return _Log(
        name=run.name,
        session=first.session_id,
        tier=first.tier,
        port=np.array([line.server_port for line in lines]),
        time=np.array([line.timestamp for line in lines]),
        ok=np.array([line.success for line in lines], dtype=float),
        limited=None if None in limited else sum(map(bool, limited)),
    )


def _together(logs: Sequence[_Log]) -> list[list[_Log]]:
    """The series of each tier."""
    found: dict[tuple[str, str], list[_Log]] = {}
    nameless: dict[str, tuple[float, int]] = {}
    for log in logs:
        session = log.session
        if not session:
            end, count = nameless.get(log.tier, (float("-inf"), 0))
            count += float(log.time[0]) - end > SERIES_GAP
            nameless[log.tier] = (float(log.time[-1]), count)
            session = f"#{count}"
        found.setdefault((session, log.tier), []).append(log)
    return list(found.values())


def _series(group: Sequence[_Log], generator: np.random.Generator) -> Series:
    p = _redrawn(group, generator) if len(group) > 1 else None
    redrawn = p is not None and p < SURE
    starts = [[log] for log in group] if redrawn else [list(group)]
    return Series(
        tier=group[0].tier,
        runs=tuple(log.name for log in group),
        redrawn_p=p,
        redrawn=redrawn,
        starts=tuple(Start(runs=tuple(log.name for log in each), rates=_rates(each)) for each in starts),
    )


def _redrawn(group: Sequence[_Log], generator: np.random.Generator) -> float:
    """How often chance alone makes runs differ as much: the outcomes of each port are dealt anew to the runs."""
    seen, drawn = 0.0, np.zeros(PERMUTATIONS)
    for port in np.unique(np.concatenate([log.port for log in group])):
        tried = np.array([int(np.sum(log.port == port)) for log in group])
        won = np.array([int(np.sum(log.ok[log.port == port])) for log in group])
        tried, won = tried[tried > 0], won[tried > 0]
        if len(tried) < 2 or not 0 < won.sum() < tried.sum():  # two runs to compare
            continue
        seen += float(_chi_square(tried, won[None, :])[0])
        dealt = generator.multivariate_hypergeometric(tried, int(won.sum()), size=PERMUTATIONS, method="marginals")
        drawn += _chi_square(tried, dealt)
    return float((1 + np.sum(drawn >= seen - 1e-9)) / (1 + PERMUTATIONS))


def _chi_square(tried: np.ndarray, won: np.ndarray) -> np.ndarray:
    rate = won[0].sum() / tried.sum()
    return np.asarray(np.sum((won - tried * rate) ** 2 / (tried * rate * (1 - rate)), axis=1))


def _rates(group: Sequence[_Log]) -> tuple[Rate, ...]:
    port, ok = np.concatenate([log.port for log in group]), np.concatenate([log.ok for log in group])
    return tuple(_rate(int(each), int(ok[port == each].sum()), int(np.sum(port == each))) for each in np.unique(port))


def _rate(port: int, ok: int, attempts: int) -> Rate:
    """With Wilson's interval (E. B. Wilson, Journal of the American Statistical Association 22, 1927)."""
    share, square = ok / attempts, Z_95**2 / attempts
    centre, half = share + square / 2, Z_95 * np.sqrt(share * (1 - share) / attempts + square / (4 * attempts))
    low, high = (centre - half) / (1 + square), (centre + half) / (1 + square)
    return Rate(port=port, ok=ok, attempts=attempts, low=float(max(0.0, low)), high=float(min(1.0, high)))


def _gaps(tier: str, groups: Sequence[Sequence[_Log]]) -> list[Gap]:
    """Attempts by how soon they followed the last one at their server, beside what that server does when left alone."""
    pairs = [_followers(group) for group in groups if group[0].tier == tier]
    since, ok, rate = (np.concatenate([pair[i] for pair in pairs]) for i in range(3))
    found = []
    for above, below in itertools.pairwise(GAPS):
        here = (since >= above) & (since < below)
        accepted, chances = int(ok[here].sum()), rate[here]
        found.append(
            Gap(
                tier=tier,
                above=above,
                below=None if below == float("inf") else below,
                attempts=int(here.sum()),
                accepted=accepted,
                expected=float(chances.sum()),
                p=_at_most(accepted, chances),
            )
        )
    return found


def _followers(group: Sequence[_Log]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(seconds since the last attempt at the server, accepted, the server's rate from unhurried attempts)."""
    since, won, port = [], [], []
    for log in group:
        for each in np.unique(log.port):
            here = log.port == each
            since.append(np.diff(log.time[here], prepend=-np.inf))
            won.append(log.ok[here])
            port.append(log.port[here])
    gap, ok, where = np.concatenate(since), np.concatenate(won), np.concatenate(port)
    calm = gap >= GAPS[-2]
    rate = np.zeros(len(gap))
    for each in np.unique(where):
        quiet = ok[calm & (where == each)]
        rate[where == each] = (quiet.sum() + 0.5) / (len(quiet) + 1)
    return gap, ok, rate


def _at_most(accepted: int, chances: np.ndarray) -> float:
    """The probability of so few successes or fewer, each with its own chance.

    By the characteristic function, whatever the log's length (Hong, "On computing the distribution function for the
    Poisson binomial distribution", Computational Statistics & Data Analysis 59, 2013): servers are few, so are chances.
    """
    turns = np.exp(-2j * np.pi * np.arange(len(chances) + 1) / (len(chances) + 1))
    transform = np.ones(len(turns), dtype=complex)
    for chance, times in zip(*np.unique(chances, return_counts=True), strict=True):
        transform *= (1 - chance + chance * turns) ** times
    distribution = np.fft.ifft(transform).real
    return float(np.clip(distribution[: accepted + 1].sum(), 0.0, 1.0))


def _limit(gaps: Sequence[Gap]) -> Limit | None:
    """From the shortest gap on, as long as hits are refused; the first gap where they are not ends it."""
    refused = 0
    while refused < len(gaps) and gaps[refused].p < SURE:
        refused += 1
    if not refused:
        return None
    free = next((gap for gap in gaps[refused:] if gap.attempts and gap.p >= SURE), None)
    longest = gaps[refused - 1].below
    return Limit(
        tier=gaps[0].tier,
        refused_ms=1000 * (longest if longest is not None else gaps[refused - 1].above),
        free_ms=None if free is None else 1000 * (free.below or free.above),
    )


def _periods(groups: Sequence[Sequence[_Log]], generator: np.random.Generator) -> tuple[Period, ...]:
    """Of the busiest servers of each start; a hurried second hit says nothing about time and is left out."""
    busy: list[tuple[str, int, np.ndarray, np.ndarray]] = []
    for group in groups:
        for log in group:
            for port in np.unique(log.port):
                here = log.port == port
                calm = np.diff(log.time[here], prepend=-np.inf) >= GAPS[3]
                if calm.sum() >= _FEW:
                    busy.append((log.tier, int(port), log.time[here][calm], log.ok[here][calm]))
    busy.sort(key=lambda each: -len(each[2]))
    return tuple(_period(*each, generator) for each in busy[:BUSIEST])


def _period(tier: str, port: int, time: np.ndarray, ok: np.ndarray, generator: np.random.Generator) -> Period:
    """Largest power over frequencies from one cycle in the whole log to five a second, or as many as `MOST_BINS` tell.

    Outcomes that are dealt to other moments show what chance has as its strongest. Frequencies lie no further apart
    than half of what the log can tell apart, or a period between two of them would be missed.
    """
    time, outcomes = time[:MOST_OUTCOMES] - time[0], ok[:MOST_OUTCOMES] - ok[:MOST_OUTCOMES].mean()
    whole = max(float(time[-1]), 1.0)
    seconds = max(whole / MOST_BINS, 0.5 / _FASTEST_HZ)
    places = (time / seconds).astype(int)
    size = 2 << int(places[-1]).bit_length()
    frequencies = np.fft.rfftfreq(size, seconds)
    asked = frequencies >= 1 / whole

    def powers(dealt: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(np.fft.rfft(np.bincount(places, dealt), size)[asked]) ** 2)

    power = powers(outcomes)
    highest = [powers(generator.permutation(outcomes)).max() for _ in range(PERMUTATIONS)]
    p = (1 + np.sum(highest >= power.max())) / (1 + PERMUTATIONS)
    return Period(tier=tier, port=port, seconds=float(1 / frequencies[asked][int(power.argmax())]), p=float(p))
