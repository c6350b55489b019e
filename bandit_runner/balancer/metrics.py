"""What `/metrics` shows, in a registry of its own: two balancers in one process do not mix.

attempts_total{server,outcome}   extra_attempts_total   accepted_total   requests_total
attempt_latency_seconds (histogram)   requests_in_flight
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bandit_runner.errors import MissingExtra
from bandit_runner.model import BalancedRequest, Outcome, Scoring

try:
    import prometheus_client
except ImportError as error:
    raise MissingExtra("the balancer needs prometheus-client", extra="bandit") from error

BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: a server of the original answers in 1 ms, a hanging one is given up after seconds."""

CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_LATEST.encode("ascii")


class Metrics:
    """Counts finished ids. Labels are made once, at the start, so a name never seen before cannot add one."""

    def __init__(self, servers: Mapping[str, Sequence[str]], scoring: Scoring, in_flight: Callable[[], int]) -> None:
        self._scoring = scoring
        self._registry = prometheus_client.CollectorRegistry()
        attempts = prometheus_client.Counter(
            "attempts", "Attempts by server and outcome", ("server", "outcome"), registry=self._registry
        )
        self._attempts = {
            (tier, arm, outcome): attempts.labels(name, outcome.value)
            for tier, names in servers.items()
            for arm, name in enumerate(names)
            for outcome in Outcome
        }
        self._requests = self._counter("requests", "Ids that were played to their end")
        self._accepted = self._counter("accepted", "Ids that a server accepted")
        self._extra = self._counter("extra_attempts", "Attempts after the free ones of their id")
        self._latency = prometheus_client.Histogram(
            "attempt_latency_seconds", "Time of one attempt", buckets=BUCKETS, registry=self._registry
        )
        gauge = prometheus_client.Gauge("requests_in_flight", "Ids being played", registry=self._registry)
        gauge.set_function(in_flight)

    def count(self, record: BalancedRequest) -> None:
        """One id is done with."""
        self._requests.inc()
        if record.accepted:
            self._accepted.inc()
        extra = self._scoring.extra_attempts(record.attempts)
        if extra:
            self._extra.inc(extra)
        for trial in record.trials:
            self._attempts[record.tier, trial.arm, trial.outcome].inc()
            self._latency.observe(trial.latency)

    def text(self) -> bytes:
        """The exposition format that Prometheus reads."""
        return prometheus_client.generate_latest(self._registry)

    def _counter(self, name: str, text: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(name, text, registry=self._registry)
