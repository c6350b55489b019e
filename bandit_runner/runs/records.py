"""What is stored of a session and of a run, beside the numbers."""

from typing import Any, Literal

import msgspec

from bandit_runner.model import BalancedRequest, Scoring
from bandit_runner.runs.tally import Tally

ALIVE_SECONDS = 5.0
"""A run whose writer has not been heard of for longer was interrupted."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One start of the servers. ``started`` is seconds since the epoch.

    ``settings`` is what the harness was told, enough to go on with it; ``truth`` the servers' drawn rates and limits,
    where the stand-in told them; ``sandbox`` what was inspected and which grants are in force.
    """

    id: str
    started: float
    source: Literal["live", "import"] = "live"
    seed: int | None = None
    scoring: Scoring = Scoring()
    settings: dict[str, Any] = {}
    truth: dict[str, Any] | None = None
    sandbox: dict[str, Any] | None = None


class RunStart(msgspec.Struct, frozen=True, kw_only=True):
    """A run about to begin. Arm ``i`` is the server on ``ports[i]``; ``clock_zero`` turns its clock into epoch seconds.

    ``planned`` is how many ids will be sent, None where nobody knows.
    """

    session: str
    name: str
    strategy: str
    tier: str
    ports: tuple[int, ...]
    started: float
    clock_zero: float = 0.0
    planned: int | None = None
    seed: int | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A stored run: how it began, when it ended (None: it did not) and what it came to so far."""

    number: int
    start: RunStart
    ended: float | None
    heard: float
    """When its writer last wrote."""
    tally: Tally

    def status(self, now: float) -> Literal["running", "done", "interrupted"]:
        """Where it stands at ``now`` (epoch seconds)."""
        if self.ended is not None:
            return "done"
        return "running" if self.is_heard(now) else "interrupted"

    def is_heard(self, now: float) -> bool:
        """Whether its writer was there just before; one that wrote later than ``now`` did so before a clock was set."""
        return abs(now - self.heard) < ALIVE_SECONDS


class StoredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One id of a run as it is stored: ``number`` counts from 1 in the order in which ids were done with."""

    number: int
    request: BalancedRequest
