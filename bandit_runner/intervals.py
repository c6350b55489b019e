"""How sure a mean is, and whether two strategies can be told apart. Pure.

One run of 100 requests has a standard deviation of about three points, more than most strategies differ by, so no table
of this project shows a mean without its interval, and no ranking without the paired difference behind it: strategies
that met the same servers are compared server draw by server draw, which takes the luck of the draw out.
"""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bandit_runner.model import UNKNOWN, RequestRecord, Scoring, Unknown

CONFIDENCE: Final = 0.95
Z_95: Final = 1.9599639845400536
"""Standard deviations on each side of the mean that hold 95 % of a normal distribution."""
POWER_Z: Final = statistics.NormalDist().inv_cdf(0.8)
"""For :func:`runs_needed`: four of five repetitions of such an experiment shall find the difference."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean of ``runs`` values and its 95% interval; the ends are None where one run, or none, cannot tell."""

    mean: float
    low: float | None
    high: float | None
    deviation: float
    """The sample's standard deviation, 0 of fewer than two values."""
    runs: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The mean difference (first minus second), of pairs where there are some, and whether it tells the two apart."""

    estimate: Estimate
    told_apart: bool
    """The interval does not hold 0."""
    runs_needed: int | None
    """More pairs until they can probably be told apart; 0 where they are, None where nothing points to a difference."""


def estimate(values: Sequence[float]) -> Estimate:
    """The mean with Student's interval.

    Raises:
        statistics.StatisticsError: no values.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:  # one value has no spread
        return Estimate(mean=mean, low=None, high=None, deviation=0.0, runs=len(values))
    deviation = statistics.stdev(values, mean)
    half = student(len(values) - 1) * deviation / math.sqrt(len(values))
    return Estimate(mean=mean, low=mean - half, high=mean + half, deviation=deviation, runs=len(values))


def clipped(found: Estimate, least: float, most: float) -> Estimate:
    """The same without ends that the mean cannot have: Student's interval knows no bounds."""
    if found.low is None or found.high is None:
        return found
    return msgspec.structs.replace(found, low=max(least, found.low), high=min(most, found.high))


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """What pairs say of two strategies; ``first[i]`` and ``second[i]`` met the same servers.

    Raises:
        ValueError: not as many of one as of the other.
        statistics.StatisticsError: no pairs.
    """
    paired = estimate([a - b for a, b in zip(first, second, strict=True)])
    return _judged(paired, _more(paired))


def difference_of_means(first: Estimate, second: Estimate) -> Difference:
    """What two means say of each other that are not paired and have intervals of their own, however skewed.

    Each end is as far from the difference as the two ends of the means that lead there are from theirs, squared and
    added (Zou and Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27, 2008).

    >>> one = Estimate(mean=90.0, low=80.0, high=96.0, deviation=0.0, runs=1)
    >>> other = Estimate(mean=70.0, low=60.0, high=78.0, deviation=0.0, runs=1)
    >>> found = difference_of_means(one, other)
    >>> round(found.estimate.low, 1), round(found.estimate.high, 1), found.told_apart
    (7.2, 31.7, True)
    """
    mean, low, high = first.mean - second.mean, None, None
    if not (first.low is None or first.high is None or second.low is None or second.high is None):
        low = mean - math.hypot(first.mean - first.low, second.high - second.mean)
        high = mean + math.hypot(first.high - first.mean, second.mean - second.low)
    runs = min(first.runs, second.runs)
    return _judged(Estimate(mean=mean, low=low, high=high, deviation=0.0, runs=runs), None)


def runs_needed(mean: float, deviation: float) -> int | None:
    """Pairs, in all, after which a true difference of ``mean`` would be found four times out of five.

    The usual sample size for a paired test: ``((z_0.975 + z_0.8) * deviation / mean) ** 2``. None for a mean of 0.
    """
    if mean == 0:
        return None
    z = statistics.NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) + POWER_Z
    return max(2, math.ceil((z * deviation / mean) ** 2))


def student(freedom: int) -> float:
    """The 97.5% point of Student's distribution with so many degrees of freedom, 1 or more; within 0.3%.

    Exact for 1 and 2; from 3 on the expansion around the normal point (Abramowitz and Stegun, 26.7.5).
    """
    p = 0.5 + CONFIDENCE / 2
    if freedom == 1:
        return math.tan(math.pi * (p - 0.5))
    if freedom == 2:  # the other closed form
        return (2 * p - 1) / math.sqrt(2 * p * (1 - p))
    z = statistics.NormalDist().inv_cdf(p)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * freedom**4)
    )


def score_interval(records: Sequence[RequestRecord], scoring: Scoring) -> tuple[float | Unknown, float | Unknown]:
    """95% interval of one run's total score, as if its requests were independent; ("unknown", "unknown") for none.

    Two accepted and two failed ids are added before mean and variance are taken (Agresti and Coull, "Approximate is
    better than exact", The American Statistician 52, 1998): without them 100 of 100 would claim to be certain. The
    interval is about these servers with these rates; it says nothing about the next start, when rates are redrawn.
    """
    return interval_of_points(Counter(scoring.score(r.accepted, scoring.extra_attempts(r.attempts)) for r in records))


def interval_of_points(points: Mapping[float, int]) -> tuple[float | Unknown, float | Unknown]:
    """The same interval, of how many ids brought so many points each; it ends where no id could bring less, or more."""
    count = sum(points.values())
    if not count:
        return UNKNOWN, UNKNOWN
    padded = Counter(points) + Counter({1.0: 2, 0.0: 2})
    centre = math.fsum(point * times for point, times in padded.items()) / padded.total()
    variance = math.fsum((point - centre) ** 2 * times for point, times in padded.items()) / padded.total()
    half = Z_95 * math.sqrt(variance / padded.total())
    total = math.fsum(point * times for point, times in points.items())
    low, high = max(count * least_points(points), count * (centre - half)), min(float(count), count * (centre + half))
    return min(total, low), max(total, high)


def least_points(points: Mapping[float, int]) -> float:
    """The fewest points that an id can be expected to bring, where ids brought these: 0, or less where one did."""
    return min([0.0, *(point for point, times in points.items() if times)])


def nearest_rank(values: Sequence[float], percent: float) -> float | Unknown:
    """The smallest value that at least ``percent`` (0 to 100) of all values do not exceed; "unknown" of no values."""
    if not values:
        return UNKNOWN
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


def _judged(found: Estimate, more: int | None) -> Difference:
    apart = found.low is not None and found.high is not None and not found.low <= 0 <= found.high
    return Difference(estimate=found, told_apart=apart, runs_needed=0 if apart else more)


def _more(paired: Estimate) -> int | None:
    if paired.runs < 2:  # one pair says nothing about the spread
        return None
    total = runs_needed(paired.mean, paired.deviation)
    return None if total is None else max(1, total - paired.runs)
