"""What a run came to, in a few hundred bytes: enough for every figure of the tables under any scoring.

Tallies add up, so a thousand runs are compared without reading one of their attempts.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Self

import msgspec

from bandit_runner.model import SECONDS_TO_MS, UNKNOWN, BalancedRequest, Outcome, Scoring, Unknown

OUTCOMES: Final = tuple(Outcome)
"""The order in which a server's counts stand."""

_STEP: Final = math.log(1.01)
_LEAST: Final = 1e-6
"""Latencies are kept in buckets of 1%, from a microsecond up: a quantile is right within half a percent."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of finished ids.

    ``accepted[n]`` and ``failed[n]`` are ids that were done with after n attempts; ``servers[arm]`` counts attempts by
    outcome, in the order of :data:`OUTCOMES`; ``latencies`` maps a bucket to its ids. ``limits_known`` is False where a
    429 was logged as a plain failure.
    """

    accepted: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    servers: tuple[tuple[int, ...], ...] = ()
    latencies: dict[int, int] = {}
    limits_known: bool = True

    def adding(self, requests: Iterable[BalancedRequest]) -> Self:
        """This and more ids."""
        done = {True: list(self.accepted), False: list(self.failed)}
        servers = [list(counts) for counts in self.servers]
        latencies = dict(self.latencies)
        for request in requests:
            _count(done[request.accepted], request.attempts)
            for trial in request.trials:
                while len(servers) <= trial.arm:
                    servers.append([0] * len(OUTCOMES))
                servers[trial.arm][OUTCOMES.index(trial.outcome)] += 1
            bucket = _bucket(request.latency)
            latencies[bucket] = latencies.get(bucket, 0) + 1
        return msgspec.structs.replace(
            self,
            accepted=tuple(done[True]),
            failed=tuple(done[False]),
            servers=tuple(map(tuple, servers)),
            latencies=latencies,
        )

    @classmethod
    def sum(cls, tallies: Sequence["Tally"]) -> "Tally":
        """All of them together."""
        if len(tallies) == 1:
            return tallies[0]
        latencies: dict[int, int] = {}
        for tally in tallies:
            for bucket, count in tally.latencies.items():
                latencies[bucket] = latencies.get(bucket, 0) + count
        empty = (0,) * len(OUTCOMES)
        arms = max((len(tally.servers) for tally in tallies), default=0)
        return cls(
            accepted=_sums([tally.accepted for tally in tallies]),
            failed=_sums([tally.failed for tally in tallies]),
            servers=tuple(
                tuple(map(sum, zip(*(t.servers[arm] if arm < len(t.servers) else empty for t in tallies), strict=True)))
                for arm in range(arms)
            ),
            latencies=latencies,
            limits_known=all(tally.limits_known for tally in tallies),
        )

    @property
    def requests(self) -> int:
        """Ids that are done with."""
        return sum(self.accepted) + sum(self.failed)

    @property
    def attempts(self) -> int:
        """Attempts made for them."""
        return sum(n * count for group in (self.accepted, self.failed) for n, count in enumerate(group))

    @property
    def rate_limited(self) -> int | Unknown:
        """Answers 429, over all servers."""
        if not self.limits_known:
            return UNKNOWN
        return sum(counts[OUTCOMES.index(Outcome.RATE_LIMITED)] for counts in self.servers)

    def accepted_within(self, attempts: int) -> int:
        """Ids that were accepted with so many attempts or fewer."""
        return sum(self.accepted[: attempts + 1])

    def extra_attempts(self, scoring: Scoring) -> int:
        """Attempts that cost the penalty."""
        groups = (self.accepted, self.failed)
        return sum(scoring.extra_attempts(n) * count for group in groups for n, count in enumerate(group))

    def score(self, scoring: Scoring) -> float:
        """The points of all ids."""
        return scoring.score(sum(self.accepted), self.extra_attempts(scoring))

    def points(self, scoring: Scoring) -> Counter[float]:
        """Points of one id -> how many such ids there are: what the score is the sum of."""
        points = Counter[float]()
        for won, group in ((1, self.accepted), (0, self.failed)):
            for attempts, count in enumerate(group):
                points[scoring.score(won, scoring.extra_attempts(attempts))] += count
        return points

    def quantile_ms(self, percent: float) -> float | Unknown:
        """The latency that ``percent`` (0 to 100) of all ids do not exceed, in milliseconds, within half a percent."""
        rank = max(1, math.ceil(sum(self.latencies.values()) * percent / 100))
        for bucket in sorted(self.latencies):
            rank -= self.latencies[bucket]
            if rank <= 0:
                return _LEAST * math.exp((bucket + 0.5) * _STEP) * SECONDS_TO_MS
        return UNKNOWN

    def latency_bins(self) -> list[tuple[float, int]]:
        """(middle of a bucket in milliseconds, ids), ascending."""
        middle = ((_LEAST * math.exp((bucket + 0.5) * _STEP) * SECONDS_TO_MS, bucket) for bucket in self.latencies)
        return [(ms, self.latencies[bucket]) for ms, bucket in sorted(middle)]


def _count(group: list[int], attempts: int) -> None:
    group.extend([0] * (attempts + 1 - len(group)))
    group[attempts] += 1


def _bucket(seconds: float) -> int:
    return math.floor(math.log(max(seconds, _LEAST) / _LEAST) / _STEP)


def _sums(groups: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    length = max(map(len, groups), default=0)
    return tuple(sum(group[i] for group in groups if i < len(group)) for i in range(length))
