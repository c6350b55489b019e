"""What `/metrics` shows, in a registry of its own: two balancers in one process do not mix.

attempts_total{tier,server,outcome}   extra_attempts_total   accepted_total   requests_total
attempt_latency_seconds (histogram)   requests_in_flight

grafana.json beside this file is a dashboard of them (`bandit_runner balancer --grafana` prints it).

Counting an id is a handful of plain additions; what Prometheus wants to see is made of them when it asks. Its own
counters take a lock each, which at thousands of requests a second is more than the strategy costs.
"""

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from bandit_runner.errors import MissingExtra
from bandit_runner.model import BalancedRequest, Outcome, Scoring

try:
    import prometheus_client
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
except ImportError as error:
    raise MissingExtra("the balancer needs prometheus-client", extra="bandit") from error

BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: a server of the original answers in 1 ms, a hanging one is given up after seconds."""

CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_LATEST.encode("ascii")


class Metrics:
    """Counts finished ids. Labels are made once, at the start, so a name never seen before cannot add one."""

    def __init__(self, servers: Mapping[str, Sequence[str]], scoring: Scoring, in_flight: Callable[[], int]) -> None:
        self._scoring = scoring
        self._in_flight = in_flight
        self._servers = servers
        self._attempts = {tier: [dict.fromkeys(Outcome, 0) for _ in names] for tier, names in servers.items()}
        self._requests = 0
        self._accepted = 0
        self._extra = 0
        self._latencies = [0] * (len(BUCKETS) + 1)
        self._latency_sum = 0.0
        self._registry = prometheus_client.CollectorRegistry()
        self._registry.register(self)

    def count(self, record: BalancedRequest) -> None:
        """One id is done with."""
        self._requests += 1
        self._accepted += record.accepted
        if record.attempts > self._scoring.free_attempts:
            self._extra += self._scoring.extra_attempts(record.attempts)
        servers = self._attempts[record.tier]
        for trial in record.trials:
            latency = trial.latency
            servers[trial.arm][trial.outcome] += 1
            self._latencies[bisect.bisect_left(BUCKETS, latency)] += 1
            self._latency_sum += latency

    def text(self) -> bytes:
        """The exposition format that Prometheus reads."""
        return prometheus_client.generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The counts so far, as Prometheus names them."""
        attempts = CounterMetricFamily(
            "attempts", "Attempts by server and outcome", labels=("tier", "server", "outcome")
        )
        for tier, names in self._servers.items():
            for name, counts in zip(names, self._attempts[tier], strict=True):
                for outcome, count in counts.items():
                    attempts.add_metric((tier, name, outcome.value), count)
        yield attempts
        yield CounterMetricFamily("requests", "Ids that were played to their end", value=self._requests)
        yield CounterMetricFamily("accepted", "Ids that a server accepted", value=self._accepted)
        yield CounterMetricFamily("extra_attempts", "Attempts after the free ones of their id", value=self._extra)
        latency = HistogramMetricFamily("attempt_latency_seconds", "Time of one attempt")
        latency.add_metric((), self._cumulated(), self._latency_sum)
        yield latency
        yield GaugeMetricFamily("requests_in_flight", "Ids being played", value=self._in_flight())

    def _cumulated(self) -> list[tuple[str, float]]:
        """(upper bound, attempts that took at most so long)."""
        total, found = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._latencies, strict=True):
            total += count
            found.append((bound, float(total)))
        return found
