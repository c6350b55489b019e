"""OpenTelemetry spans: one per id, one child per attempt, made from the finished record, off the request path.

Names and attributes follow the semantic conventions for HTTP clients
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/): ``http.request.resend_count`` counts attempts after the
first. Exporters are set up by the ``OTEL_`` environment variables.
"""

import time
from typing import Final

from bandit_runner.balancer.config import BalancerConfig
from bandit_runner.errors import MissingExtra
from bandit_runner.model import Attempt, BalancedRequest, Outcome

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
except ImportError as error:
    raise MissingExtra("--otel needs the OpenTelemetry SDK", extra="otel") from error

_NANOSECONDS: Final = 1e9


class Tracing:
    """Turns finished ids into spans; a batch processor sends them from a thread of its own."""

    def __init__(self, config: BalancerConfig, *, exporter: SpanExporter | None = None) -> None:
        self._upstreams = {tier.name: tier.upstreams for tier in config.tiers}
        self._zero = time.time() - time.monotonic()
        self._provider = TracerProvider(resource=Resource.create({"service.name": "bandit_runner"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("bandit_runner.balancer")

    def observe(self, request: BalancedRequest) -> None:
        """Queue the spans of one id."""
        if not request.trials:
            return
        last = request.trials[-1]
        span = self._tracer.start_span(
            f"POST /{request.tier}",
            start_time=self._time(request.trials[0].started),
            attributes={
                "bandit.tier": request.tier,
                "bandit.strategy": request.strategy,
                "bandit.accepted": request.accepted,
                "bandit.attempts": request.attempts,
            },
        )
        inside = trace.set_span_in_context(span)
        for attempt in request.trials:
            host, port = self._upstreams[request.tier][attempt.arm]
            child = self._tracer.start_span(
                "POST",
                context=inside,
                kind=trace.SpanKind.CLIENT,
                start_time=self._time(attempt.started),
                attributes={
                    "server.address": host,
                    "server.port": port,
                    "http.request.method": "POST",
                    "http.request.resend_count": attempt.number,
                    "bandit.outcome": attempt.outcome.value,
                },
            )
            if attempt.outcome is not Outcome.OK:
                child.set_status(trace.StatusCode.ERROR)
            child.end(self._time(_end(attempt)))
        span.end(self._time(_end(last)))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def _time(self, moment: float) -> int:
        return int((moment + self._zero) * _NANOSECONDS)


def _end(attempt: Attempt) -> float:
    return attempt.started + attempt.latency
