"""What the client saw of each request, and how punctual it was itself."""

from collections.abc import Sequence

import msgspec

from bandit_runner.intervals import nearest_rank
from bandit_runner.model import UNKNOWN, Unknown


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the client saw it; seconds."""

    id: str
    due: float
    """When it was to leave, counted from the start of the load."""
    late: float
    """How much later it left; negative if earlier, which a coarse timer does by a fraction of a millisecond."""
    latency: float
    """From the moment it was due (or left, if that was earlier) to its answer, or to the moment it was given up."""
    status: int | None
    """What the client was told; None if no whole answer came, and ``reason`` says why."""
    reason: str = ""
    attempts: int | None = None
    """How often the balancer says it tried; None where it did not say."""


class SchedulingError(msgspec.Struct, frozen=True, kw_only=True):
    """How far the requests left from when they were due; seconds, without sign."""

    p99: float | Unknown
    worst: float | Unknown


def scheduling_error(samples: Sequence[Sample]) -> SchedulingError:
    """What the load itself did wrong: large values mean that this machine, not the server, was too slow."""
    errors = [abs(sample.late) for sample in samples]
    return SchedulingError(p99=nearest_rank(errors, 99), worst=max(errors, default=UNKNOWN))
