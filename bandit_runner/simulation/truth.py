"""The truth that the stand-in tells of its servers -> their world, and what a clairvoyant would have made of it.

``bandit_runner start`` plays against servers whose rates and limits are known afterwards; the difference to the
clairvoyant's score is regret that means something. The truth is the program's own word: it is read strictly, and
nothing but a figure depends on it.
"""

import bisect
import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from bandit_runner.errors import UsageError
from bandit_runner.model import TIERS, UNKNOWN, Scoring, Unknown
from bandit_runner.simulation.clairvoyant import ShadowPrices
from bandit_runner.simulation.limiters import Bucket, Inflow, Limiter, SinusoidInflow
from bandit_runner.simulation.play import play
from bandit_runner.simulation.scenario import Scenario
from bandit_runner.simulation.world import World

LUCKS: Final = 5
"""Runs of the clairvoyant that are averaged: its score depends on luck too, by about a point in a hundred."""

MOST: Final = sum(len(tier.ports) for tier in TIERS.values())
"""Servers that there can be; a clairvoyant of many more would think for minutes."""
LATEST: Final = 1e11
"""Seconds since the epoch: the year 5138. With larger ones nothing can be reckoned."""

Positive: TypeAlias = Annotated[float, msgspec.Meta(ge=1e-6, le=1e6)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Constant(msgspec.Struct, frozen=True, kw_only=True, tag_field="shape", tag="constant"):
    """Tokens per second."""

    mean: Positive


class Sinusoid(Constant, frozen=True, kw_only=True, tag="sinusoid"):
    """mean x (1 + amplitude sin(2 pi t / period + phase))."""

    amplitude: Share
    period: Positive
    phase: Annotated[float, msgspec.Meta(ge=-1e3, le=1e3)]


class Jumps(msgspec.Struct, frozen=True, kw_only=True, tag_field="shape", tag="jumps"):
    """Two rates by turns, for the ``stays`` in seconds, over and over."""

    levels: tuple[Positive, Positive]
    stays: Annotated[tuple[Positive, ...], msgspec.Meta(min_length=2, max_length=10_000)]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A token bucket that starts full."""

    burst: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    rate: Constant | Sinusoid | Jumps


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server as it was drawn."""

    tier: str
    port: int
    success_rate: Share
    limit: Limit | None


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """One start of the stand-in; the clocks of the limits were 0 at ``started`` (epoch seconds)."""

    schema: Literal["flakyservers.truth/1"]
    started: Annotated[float, msgspec.Meta(ge=0, le=LATEST)]
    servers: Annotated[tuple[Server, ...], msgspec.Meta(max_length=MOST)]


def read(told: Mapping[str, Any]) -> Truth:
    """The truth, checked.

    Raises:
        UsageError: it is not one.
    """
    try:
        return msgspec.convert(told, Truth, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"what the servers tell of themselves cannot be read: {error}", hint="go on without"
        ) from error


def clairvoyant_score(
    truth: Truth, tier: str, *, requests: int, rps: float, began: float, scoring: Scoring
) -> float | Unknown:
    """Points that one who knows the truth can expect of ``requests`` ids at ``rps`` a second, from ``began`` (epoch).

    "unknown" where the truth has no server of that tier.
    """
    servers = tuple(server for server in truth.servers if server.tier == tier)
    if not servers or not requests:
        return UNKNOWN
    scores = []
    for luck in range(LUCKS):
        world = TrueWorld(servers, rps=rps, offset=began - truth.started, seed=luck)
        scores.append(play(ShadowPrices(world, scoring, requests), world, requests=requests, scoring=scoring).score)
    return sum(scores) / LUCKS


def pace(requests: int, took: float, rps: float) -> float:
    """Ids a second for a clairvoyant beside a game that was planned at ``rps`` and took so many seconds.

    Who waits for scarce servers, or plays on a machine that sends late, takes longer than planned, and servers admit
    more in that time. A clairvoyant, who never waits, has as long for as many ids; else it would come out behind.
    """
    return min(rps, requests / took) if took > 0 else rps


class TrueWorld(World):
    """Servers that are known instead of drawn; only luck is not. ``offset`` is what the limits' clock showed at 0."""

    def __init__(self, servers: tuple[Server, ...], *, rps: float, offset: float, seed: int) -> None:
        bare = Scenario(name="truth", arms=len(servers), requests_per_second=rps)
        super().__init__(bare, seed)
        self.rates = [server.success_rate for server in servers]
        self.limiters: list[Limiter | None] = [_limiter(server.limit, max(0.0, offset)) for server in servers]


def _limiter(limit: Limit | None, offset: float) -> Limiter | None:
    if limit is None:
        return None
    rate = limit.rate
    if isinstance(rate, Sinusoid):
        phase = math.remainder(rate.phase + 2 * math.pi * offset / rate.period, 2 * math.pi)
        return Bucket(limit.burst, SinusoidInflow(rate.mean, rate.amplitude, rate.period, phase))
    if isinstance(rate, Jumps):
        return Bucket(limit.burst, ListedInflow(rate, offset))
    return Bucket(limit.burst, Inflow(rate.mean))


class ListedInflow(Inflow):
    """Jumps at known moments, from ``offset`` seconds into them on."""

    __slots__ = ("_ends", "_offset", "_rates", "_totals")

    def __init__(self, jumps: Jumps, offset: float) -> None:
        super().__init__(jumps.levels[0])
        self._rates = jumps.levels
        self._offset = offset
        self._ends = [0.0, *itertools.accumulate(jumps.stays)]
        flows = (stay * jumps.levels[i % 2] for i, stay in enumerate(jumps.stays))
        self._totals = [0.0, *itertools.accumulate(flows)]

    def total(self, time: float) -> float:
        """Tokens by ``time``, counted from the limits' own zero: only differences are looked at."""
        rounds, rest = divmod(time + self._offset, self._ends[-1])
        jump = min(bisect.bisect_right(self._ends, rest) - 1, len(self._ends) - 2)
        return rounds * self._totals[-1] + self._totals[jump] + (rest - self._ends[jump]) * self._rates[jump % 2]
