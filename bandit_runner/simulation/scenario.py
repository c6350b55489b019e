"""A workload as data: YAML -> `Scenario`. The project's own are files beside this module; users write their own.

    name: mine
    arms: 12
    requests_per_second: 5
    success: [0.4, 0.9]                  # a number, or [low, high]: drawn uniformly, per server and run
    outages: {up: 60, down: 5}           # seconds, means of exponential distributions
    limits:                              # each server draws one of these
      - {kind: token-bucket, rate: [0.8, 3.2], burst: [1, 4]}
      - {kind: sliding-window, seconds: 5, limit: [5, 20]}
      - {kind: none}
    retry_after: true                    # a 429 says when to come back, in whole seconds

Unknown keys are errors, so that a misspelt one is not a default in disguise.
"""

import importlib.resources
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import yaml

from bandit_runner.errors import UsageError

NAMES: Final = ("T1", "T2c", "T2h", "T2w", "T3s", "T3r")
"""The scenarios of the comparison, in the order in which tables show them."""

SHIPPED: Final = (*NAMES, "T3c")
"""Those that come along."""

MAX_FILE: Final = 65_536
"""Bytes of a scenario's YAML."""

_UNREADABLE: Final = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What PyYAML and msgspec raise: PyYAML nearly all of them for a scalar whose tag says that it is of another kind."""

Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=3600)]
"""What an attempt may take."""
Mean: TypeAlias = Annotated[float, msgspec.Meta(ge=0.1, le=1e6)]
"""Seconds between changes that are drawn one by one: far shorter ones would never be drawn to the end of a run."""
PerSecond: TypeAlias = Annotated[float, msgspec.Meta(ge=1e-3, le=1e6)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]

Real: TypeAlias = float | tuple[float, float]
Integer: TypeAlias = int | tuple[int, int]
"""A value, or the two ends (both included) between which each server draws its own. Bounds are checked by hand: with
msgspec 0.22 constraints inside such a union read memory that is not theirs."""

MAX_VALUE: Final = 1e6

NOT_ZERO: Final = frozenset({"burst", "limit", "period", "seconds", "dwell"})


class NoLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="none"):
    """No rate limit."""

    def __post_init__(self) -> None:
        """Refuse values that have no meaning."""
        for name in self.__struct_fields__:
            _check_range(name, getattr(self, name))


class TokenBucket(NoLimit, frozen=True, kw_only=True, tag="token-bucket"):
    """``rate`` tokens per second into a bucket that holds ``burst`` and starts full; a 429 takes no token."""

    rate: Real
    burst: Integer = 1


class Sinusoid(TokenBucket, frozen=True, kw_only=True, tag="sinusoid"):
    """A token bucket whose rate is multiplied by 1 + amplitude sin(2 pi t / period + phase), the phase drawn."""

    amplitude: Share
    period: Real


class Jumping(NoLimit, frozen=True, kw_only=True, tag="jumping"):
    """A token bucket whose rate is ``high`` or ``low``, for exponential times of mean ``dwell`` seconds each."""

    high: Real
    low: Real
    burst: Integer = 1
    dwell: Mean


class FixedWindow(NoLimit, frozen=True, kw_only=True, tag="fixed-window"):
    """At most ``limit`` admitted requests in each window of ``seconds``; the phase of the windows is drawn."""

    seconds: Positive
    limit: Integer


class SlidingWindow(NoLimit, frozen=True, kw_only=True, tag="sliding-window"):
    """At most ``limit`` admitted requests in the last ``seconds``, whenever one looks.

    It is also the limit of a server with ``limit`` slots, each of which stays taken for ``seconds``.
    """

    seconds: Positive
    limit: Integer


Limit: TypeAlias = NoLimit | TokenBucket | Sinusoid | Jumping | FixedWindow | SlidingWindow


class Outages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Servers that fail every attempt for a while: exponential times of these means, in seconds; they start up."""

    up: Mean
    down: Mean


class Drift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Success rates that swing by +- ``amplitude`` around their own value, cut to 0..1, with a phase that is drawn."""

    amplitude: Share
    period: Real

    def __post_init__(self) -> None:
        """Refuse a period that has no meaning."""
        _check_range("period", self.period)


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Servers and load. Times are seconds. Ids are played one after another, as the original's harness does.

    An id starts when its time has come (``1 / requests_per_second`` after the one before it) and the one before it is
    done. After ``deadline`` seconds an id is tried no more.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]
    about: str = ""
    arms: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    requests_per_second: PerSecond = 10.0
    latency: Seconds = 0.0012
    deadline: Positive = 10.0
    success: Real = (0.28, 0.98)
    limits: Annotated[tuple[Limit, ...], msgspec.Meta(min_length=1)] = (NoLimit(),)
    drift: Drift | None = None
    outages: Outages | None = None
    timeouts: Share = 0.0
    """The share of attempts that never get an answer; the balancer gives up on them after ``timeout``."""
    timeout: Seconds = 2.0
    retry_after: bool = False

    def __post_init__(self) -> None:
        """Refuse success rates that are none."""
        _check_range("success", self.success, most=1.0)


def load(name: str) -> Scenario:
    """The scenario of that name, or of the YAML file at that path.

    Raises:
        UsageError: there is none, or it is not one.
    """
    if name in SHIPPED:
        file = importlib.resources.files(__package__) / "scenarios" / f"{name}.yaml"
        return _parse(file.read_bytes(), name)
    try:
        with Path(name).open("rb") as stream:
            text = stream.read(MAX_FILE + 1)
    except OSError as error:
        hint = f"known: {', '.join(SHIPPED)}; or give the path of a YAML file"
        raise UsageError(f"there is no scenario {name!r} ({error.strerror})", hint=hint) from error
    if len(text) > MAX_FILE:
        raise UsageError(f"{name} is larger than {MAX_FILE} bytes", hint="a scenario is a page of YAML")
    return _parse(text, name)


def _parse(text: bytes, name: str) -> Scenario:
    try:
        return msgspec.convert(yaml.safe_load(text), Scenario, strict=True)
    except _UNREADABLE as error:
        hint = "bandit_runner/simulation/scenario.py shows one with all its keys"
        raise UsageError(f"{name} is no scenario: {error}", hint=hint) from error


def _check_range(name: str, value: Real | Integer, most: float = MAX_VALUE) -> None:
    low, high = value if isinstance(value, tuple) else (value, value)
    if not 0 <= low <= high <= most or (name in NOT_ZERO and low == 0):
        raise ValueError(f"{name} is {value}: give a number from 0 to {most:g}, or [low, high]; 0 not everywhere")
