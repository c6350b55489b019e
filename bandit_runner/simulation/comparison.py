"""Results of runs -> rows for the table, and what pairs of runs say of two strategies."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from bandit_runner import intervals
from bandit_runner.model import SECONDS_TO_MS, UNKNOWN, ResultRow, Unknown
from bandit_runner.simulation.play import MICROSECONDS, RunResult

PER_IDS: Final = 100.0
"""Scores are compared per 100 ids."""

ALPHA: Final = 1 - intervals.CONFIDENCE

TIGHTEST: Final = 100.0
"""The number of runs at which `sequential_half_width` is closest to an interval that is looked at once."""


def scores(results: Sequence[RunResult]) -> list[float]:
    """Points per 100 ids, run by run."""
    return [result.score * PER_IDS / result.requests for result in results]


def estimate(results: Sequence[RunResult]) -> intervals.Estimate:
    """Points per 100 ids, with ends that can be: 100, and 0 where no attempt cost anything."""
    least = -math.inf if any(result.extra_attempts for result in results) else 0.0
    return intervals.clipped(intervals.estimate(scores(results)), least, PER_IDS)


def difference(first: Sequence[RunResult], second: Sequence[RunResult]) -> intervals.Difference:
    """By how many points per 100 ids the first beats the second; both played the same seeds in the same order."""
    return intervals.difference(scores(first), scores(second))


def is_decided(gap: intervals.Difference) -> bool:
    """Whether the two are told apart for good, however often this is asked while runs come in."""
    paired = gap.estimate
    return paired.low is not None and abs(paired.mean) > sequential_half_width(paired.deviation, paired.runs)


def sequential_half_width(deviation: float, runs: int) -> float:
    """The half width of a 95% interval that may be looked at after every run, to stop as soon as it leaves 0 out.

    An interval for one look, looked at again and again, leaves 0 out sooner or later whatever the truth is. This one
    holds at all times together. Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
    theory and asymptotic confidence sequences", Annals of Statistics 52, 2024, theorem 2.2, with the rho of their
    appendix B.2 that makes it tightest at ``TIGHTEST`` runs.

    >>> sequential_half_width(deviation=1.0, runs=100) / (1.96 / math.sqrt(100))  # the price of looking often
    1.5456...
    """
    rho_squared = (-2 * math.log(ALPHA) + math.log(1 - 2 * math.log(ALPHA))) / TIGHTEST
    spread = runs * rho_squared + 1
    return deviation * math.sqrt(2 * spread / (runs * runs * rho_squared) * math.log(math.sqrt(spread) / ALPHA))


def row(strategy: str, scenario: str, results: Sequence[RunResult], best: Sequence[RunResult] | None) -> ResultRow:
    """All runs of one strategy on one scenario, as totals; ``best`` are the clairvoyant's runs of the same seeds."""
    total, requests = sum(result.score for result in results), sum(result.requests for result in results)
    found, scale = estimate(results), requests / PER_IDS
    latencies = Counter[int]()
    for result in results:
        latencies.update(result.latencies)
    return ResultRow(
        strategy=strategy,
        scenario=scenario,
        runs=found.runs,
        requests=requests,
        accepted=sum(result.accepted for result in results),
        accepted_within_3=sum(result.accepted_within_3 for result in results),
        extra_attempts=sum(result.extra_attempts for result in results),
        rate_limited=sum(result.rate_limited for result in results),
        score=total,
        ci_low=UNKNOWN if found.low is None else found.low * scale,
        ci_high=UNKNOWN if found.high is None else found.high * scale,
        p50_ms=_percentile(latencies, 50),
        p99_ms=_percentile(latencies, 99),
        latency_by="simulation",
        regret=UNKNOWN if best is None else math.fsum(result.score for result in best) - total,
    )


def _percentile(latencies: Mapping[int, int], percent: float) -> float | Unknown:
    """The nearest rank, in milliseconds."""
    left = max(1, math.ceil(sum(latencies.values()) * percent / 100))
    for latency in sorted(latencies):
        left -= latencies[latency]
        if left <= 0:
            return latency * SECONDS_TO_MS / MICROSECONDS
    return UNKNOWN
