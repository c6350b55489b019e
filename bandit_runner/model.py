"""The words that the stages of bandit_runner share, as frozen structs. No I/O, no clock, no randomness.

    Tier, TIERS         which servers belong together
    Outcome, Attempt    what one forwarded request came to
    RequestRecord       what one id came to
    BalancedRequest     the same, attempt by attempt
    Scoring, SCORINGS   what an accepted id and an attempt too many are worth
    LimitEstimate       what a strategy believes of one server's rate limit
    ResultRow, Results  ``binsafe.results/1``: one line of the table, and the table

Times are seconds; only the fields that end in ``_ms`` are milliseconds, as in the table that people read.
"""

import math
from enum import StrEnum
from typing import Final, Literal

import msgspec

from bandit_runner.errors import UsageError

RESULTS_SCHEMA: Final = "binsafe.results/1"

Unknown = Literal["unknown"]
UNKNOWN: Final = "unknown"

SECONDS_TO_MS: Final = 1000.0
MAX_PORT: Final = 65_535

WITHIN: Final = 3
"""``accepted_within_3`` counts ids that took at most so many attempts, whatever the scoring calls free."""


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Servers of one kind, on consecutive ports; arm ``i`` of a strategy is the server on ``ports[i]``."""

    name: str
    first_port: int
    servers: int = 10

    @property
    def ports(self) -> range:
        """The TCP ports, ascending."""
        return range(self.first_port, self.first_port + self.servers)


TIERS: Final[dict[str, Tier]] = {
    "T1": Tier(name="T1", first_port=4000),  # no rate limit
    "T2": Tier(name="T2", first_port=5000),  # a constant one
    "T3": Tier(name="T3", first_port=6000),  # one that changes with time
}


class Outcome(StrEnum):
    """What a server did with one attempt."""

    OK = "ok"
    """It accepted the id (200)."""
    ERROR = "error"
    """It refused the id, or the connection failed."""
    RATE_LIMITED = "rate_limited"
    """It was asked too often (429): this says nothing about its success rate."""
    TIMEOUT = "timeout"
    """It did not answer in time."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One id sent to one server; ``number`` counts from 0, ``started`` is on the balancer's monotonic clock."""

    id: str
    number: int
    arm: int
    outcome: Outcome
    started: float
    latency: float
    retry_after: float | None = None


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one id.

    ``attempts`` may be 0 (no server was left to ask). ``latency`` is from the moment the request was due to its answer,
    so that a late start counts. ``outcomes`` has one entry per attempt, in order; None where only the number is known.
    """

    id: str
    accepted: bool
    attempts: int
    latency: float
    outcomes: tuple[Outcome, ...] | None = None


class BalancedRequest(RequestRecord, frozen=True, kw_only=True):
    """What became of one id, attempt by attempt.

    ``latency`` is from the request's last byte to the moment its answer is decided.
    """

    tier: str
    strategy: str
    trials: tuple[Attempt, ...]


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """Points: one per accepted id, minus ``penalty`` for each attempt after the first ``free_attempts``.

    A 429 is an attempt like any other. No id is tried more than ``max_attempts`` times.
    """

    penalty: float = 1.0
    free_attempts: int = 3
    max_attempts: int = 10

    def __post_init__(self) -> None:
        """Refuse what has no meaning, with a ``UsageError``: also NaN, and a request that may not be tried once."""
        if not 0 <= self.penalty < math.inf:
            raise UsageError(f"penalty is {self.penalty}", hint="give points per attempt too many, 0 or more")
        if self.free_attempts < 1 or self.max_attempts < 1:
            raise UsageError(
                f"an id cannot have {self.max_attempts} attempts, {self.free_attempts} of them free",
                hint="--max-attempts and --free-attempts take 1 or more",
            )

    def extra_attempts(self, attempts: int) -> int:
        """How many of an id's attempts cost the penalty."""
        return max(0, attempts - self.free_attempts)

    def score(self, accepted: int, extra_attempts: int) -> float:
        """The points of so many accepted ids and attempts too many."""
        return accepted - self.penalty * extra_attempts


SCORINGS: Final[dict[str, Scoring]] = {
    "statement": Scoring(),  # "each retry beyond the third attempt"; its size is not given there
    "original": Scoring(penalty=1.0),  # what the original code computed
    "blog": Scoring(penalty=0.5),  # what the blog's text says
}


class Likely(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of a number: its mean, and the middle 90% of what it may be."""

    mean: float
    low: float
    high: float


class LimitEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy believes of one server's rate limit.

    ``kind`` is the likeliest, ``share`` how likely; the numbers are about that kind alone and None where it has none.
    """

    kind: Literal["none", "token-bucket", "sinusoid", "jumping", "fixed-window", "by-chance"]
    """The last is no limit: a share of all attempts is refused, however little the server is asked."""
    share: float
    admits: float
    """The probability that an attempt is admitted at that moment, whatever the kind."""
    rate: Likely | None = None
    """Attempts per second that are admitted in the long run."""
    burst: Likely | None = None
    """Attempts that are admitted at once: what a bucket holds, or a window's limit."""
    seconds: Likely | None = None
    """Length of a window, period of a sinusoid, mean time between jumps."""


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy on one tier (live) or one scenario (simulated): exactly one of the two is set, and the JSON has it.

    All counts, ``score``, its interval and ``regret`` are totals over the ``requests`` of the row (all runs together).
    The interval is "unknown" where there was no request, ``p50_ms`` and ``p99_ms`` likewise; ``rate_limited`` where
    outcomes are not known one by one; ``regret`` where nobody knows the servers' true rates. ``latency_by`` says by
    whose clock an id took so long: the client's, from the moment it was due, the balancer's own, or the simulator's.
    """

    strategy: str
    tier: str | msgspec.UnsetType = msgspec.UNSET
    scenario: str | msgspec.UnsetType = msgspec.UNSET
    runs: int
    requests: int
    accepted: int
    accepted_within_3: int
    extra_attempts: int
    rate_limited: int | Unknown
    score: float
    ci_low: float | Unknown
    ci_high: float | Unknown
    p50_ms: float | Unknown
    p99_ms: float | Unknown
    regret: float | Unknown = UNKNOWN
    latency_by: Literal["client", "balancer", "simulation"] = "client"


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """``binsafe.results/1``: what ``--json`` prints."""

    schema: str = RESULTS_SCHEMA
    rows: tuple[ResultRow, ...]
