"""What can be known of servers' rate limits from admissions and 429s alone: a particle filter per server.

Each guess (`guesses`) is carried forward in time, asked what it would have answered, and believed the less the more it
was wrong. Time passes for a server's guesses only when somebody wants to know, and not even then while all of them have
a token left; admissions that all of them foresee are written down, and gone through together when somebody wants to
know. So a server that is not near its limit, or has none, costs little.

Servers of one tier tend to be limited alike: a guess that is thrown away is now and then replaced by one that another
server's history speaks for, and servers of which little is known take over such guesses as soon as there are any.

Source of the method: Gordon, Salmond and Smith, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation",
IEE Proceedings F 140, 1993; systematic resampling: Kitagawa, Journal of Computational and Graphical Statistics 5, 1996.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
import numpy as np

from bandit_runner.model import LimitEstimate
from bandit_runner.strategies import guesses
from bandit_runner.strategies.draws import pack_generator, unpack_generator
from bandit_runner.strategies.guesses import TICK, TOKENS, Doubles, Floats
from bandit_runner.strategies.weighted import CERTAIN, NEGLIGIBLE, bounded, chosen, fewest, quantile

EFFECTIVE: Final = 0.5
"""Resample when the weights are worth less than this share of the particles."""
FRESH: Final = 0.1
"""The share of particles that resampling replaces by other guesses."""
UNFORESEEN: Final = 0.5
"""The same when no guess at all had foreseen what happened: the server is not what it was."""
SHARED: Final = 0.7
"""The share of those that come from another server, not from the prior."""
ALONE: Final = 2.0
"""As many servers weigh that a new one resembles none: see `RateLimits._tell_others`."""
CAUTION: Final = 0.2
"""The share of a belief that may say that a server admits less than it is almost sure to."""
_UNKNOWN: Final = (-1, 0.0)
HISTORY: Final = 256
"""Admissions per server that are remembered, for the count of a window that is guessed later."""
LATER: Final = 64
"""Admissions per server that may wait to be gone through: more would save little, and hold up the one that has to."""
WIDE_TICK: Final = 0.05
"""`guesses.TICK` where no limit has shown: of windows only the count that they would be found to have is less exact."""


class Packed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole belief, bit by bit, and the generator it goes on with."""

    times: list[Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)] | None]
    guesses: bytes
    weights: bytes
    admitted: list[bytes]
    generator: list[str]
    speaks: list[bool] = []


class RateLimits:
    """The belief about every server of a tier. ``rng`` is all its randomness; times are the caller's seconds.

    >>> limits = RateLimits(2, np.random.default_rng(1), particles=256)
    >>> for second in range(20):  # server 0 admits one attempt a second; nobody asks server 1
    ...     for admitted in (True, False):
    ...         _ = limits.observe(0, float(second), admitted=admitted)
    >>> [round(chance, 1) for chance in limits.chances(19.0, [0, 0])]
    [0.0, 1.0]
    >>> limits.chances_after(19.0, [0, 0], [0.02, 1.0])[0].round(1).tolist()
    [0.1, 1.0]
    """

    def __init__(self, arms: int, rng: np.random.Generator, particles: int) -> None:
        self.arms = arms
        self.particles = particles
        self.rng = rng
        self._guesses: Floats = guesses.draw(rng, arms * particles).reshape(guesses.ROWS, arms, particles)
        self._weights: Floats = np.full((arms, particles), 1 / particles, np.float32)
        self._at: list[float | None] = [None] * arms
        self._least = [1.0] * arms  # tokens that every guess has, or more
        self._owed = [0] * arms  # so many of the latest admissions, all of them foreseen, are still to be gone through
        self._known = [_UNKNOWN] * arms  # beside so many under way, the chance until time or an answer changes it
        self._admitted = [deque[float](maxlen=HISTORY) for _ in range(arms)]
        self._speaks = [False] * arms  # enough has happened to it that its guesses are its own

    def chance(self, arm: int, now: float, under_way: int) -> float:
        """The probability that the server admits an attempt now, beside so many that it has not answered yet."""
        if self._least[arm] >= 1 + under_way:
            return CERTAIN[1]
        if self._is_known(arm, now, under_way):
            return self._known[arm][1]
        self._advance(arm, now)
        chance = bounded(float(self._weights[arm].dot(self._guesses[TOKENS, arm] >= 1 + under_way)))
        self._known[arm] = under_way, chance
        return chance

    def chances(self, now: float, under_way: Sequence[int]) -> list[float]:
        """The same of all servers."""
        self.find_chances(now, under_way)
        return [self.chance(arm, now, more) for arm, more in enumerate(under_way)]

    def find_chances(self, now: float, under_way: Sequence[int]) -> None:
        """Get ready to be asked for the `chance` of several servers: where most are not known it is cheaper at once."""
        least, arms = self._least, range(self.arms)
        unsure = [arm for arm in arms if least[arm] < 1 + under_way[arm]]
        unknown = [arm for arm in unsure if not self._is_known(arm, now, under_way[arm])]
        if 2 * len(unknown) <= self.arms:
            return
        for arm in unknown:
            self._settle(arm)
        self._advance_all(now)
        ready = self._guesses[TOKENS] >= 1 + np.array(under_way)[:, None]
        found = np.einsum("ij,ij->i", self._weights, ready).tolist()
        for arm in unsure:
            self._known[arm] = under_way[arm], bounded(found[arm])

    def _is_known(self, arm: int, now: float, under_way: int) -> bool:
        at = self._at[arm]
        return self._known[arm][0] == under_way and at is not None and 0 <= now - at < TICK

    def chances_after(self, now: float, under_way: Sequence[int], waits: Sequence[float]) -> Doubles:
        """The same after waits of fractions of seconds, if nobody asks until then: servers by waits."""
        self._settle_all()
        self._advance_all(now)
        after = guesses.ready_after(self._guesses, np.array(under_way, np.float32)[:, None])
        ready = after[:, None] <= np.array(waits, np.float32)[:, None]
        found: Doubles = (ready.astype(np.float32) @ self._weights[:, :, None])[..., 0].astype(float)
        return found.clip(*CERTAIN)

    def capacity(self, arm: int, now: float, seconds: float, most: float) -> tuple[float, float]:
        """How many attempts the server is expected to admit in that time, and is almost sure to; at most ``most``."""
        self._advance(arm, now)
        weights = self._weights[arm]
        found = guesses.capacity(self._guesses[:, arm], np.float32(seconds), np.float32(most), self.rng)
        return float(weights.dot(found)), quantile(found, weights, CAUTION)

    def observe(self, arm: int, now: float, *, admitted: bool) -> bool:
        """Weigh the guesses about a server by what it did; whether that said something of other servers, too."""
        at = self._at[arm]
        if admitted and self._least[arm] >= 1 and self._owed[arm] < LATER and at is not None and at <= now:
            # every guess that counts has a token left: no belief changes, and the rest can wait
            self._owed[arm] += 1
            self._least[arm] -= 1
            self._known[arm] = _UNKNOWN
            self._admitted[arm].append(now)
            return False
        self._advance(arm, now)
        x = self._guesses[:, arm]
        factors = guesses.admit(x) if admitted else guesses.reject(x)
        if admitted:
            self._admitted[arm].append(now)
        is_news = factors is not None and self._weigh(arm, factors, now, admitted=admitted)
        self._look(arm)
        if is_news:
            self._tell_others(arm, now)
        return is_news

    def _settle(self, arm: int) -> None:
        """Go through the admissions that could wait, each at its time."""
        if not (owed := self._owed[arm]):
            return
        self._owed[arm] = 0
        x, together = self._guesses[:, arm], 0
        tick = TICK if self._least[arm] < guesses.OPEN / 2 else WIDE_TICK
        for at in list(self._admitted[arm])[-owed:]:
            if passed := self._passed(arm, at, tick):
                if together:
                    guesses.admit(x, together)
                guesses.pass_time(x, np.float32(passed), self.rng)
                together = 0
            together += 1
        guesses.admit(x, together)
        self._look(arm)

    def _settle_all(self) -> None:
        for arm in range(self.arms):
            self._settle(arm)

    def _look(self, arm: int) -> None:
        """Guesses have changed: what was known of them is to be found anew."""
        self._known[arm] = _UNKNOWN
        self._least[arm] = float(fewest(self._guesses[:, arm], self._weights[arm]))

    def _weigh(self, arm: int, factors: Floats, now: float, *, admitted: bool) -> bool:
        """Returns whether the server speaks for itself now, and did not before."""
        weights = self._weights[arm]
        if weights[factors < 1].max() < NEGLIGIBLE:
            return False
        weights *= factors
        weights /= weights.sum()
        unforeseen = bool((factors < 1).all())
        if unforeseen or 1 / np.dot(weights, weights) < EFFECTIVE * self.particles:
            self._resample(arm, now, admitted=admitted, fresh=UNFORESEEN if unforeseen else FRESH)
            is_new, self._speaks[arm] = not self._speaks[arm], True
            return is_new
        return False

    def _resample(self, arm: int, now: float, *, admitted: bool, fresh: float) -> None:
        """Copy guesses as often as they deserve, make them neighbours, and let in others (see the module's text)."""
        count, rng = self.particles, self.rng
        x = self._guesses[:, arm, chosen(self._weights[arm], count, rng)]
        guesses.spread(x, rng, admitted=admitted)
        others = math.ceil(fresh * count)
        other = int(rng.integers(self.arms))
        self._advance(other, now)
        theirs = self._guesses[:, other, chosen(self._weights[other], others, rng)]
        found = np.where(rng.random(others) < SHARED, theirs, guesses.draw(rng, others))
        ages = now - np.array(self._admitted[arm])[::-1]
        guesses.adopt(found, ages, rng, admitted=admitted)
        x[:, rng.permutation(count)[:others]] = found
        self._guesses[:, arm] = x
        self._weights[arm] = 1 / count

    def _tell_others(self, arm: int, now: float) -> None:
        """Let servers of which nothing particular is known yet resemble one of which something has just become known.

        The shares are those of a Polya urn: all servers that are known are resembled alike, and ``ALONE`` times as much
        none of them (Blackwell and MacQueen, "Ferguson distributions via Polya urn schemes", 1973).
        """
        share, rng = 1 / (ALONE + sum(self._speaks)), self.rng
        for other in range(self.arms):
            if self._speaks[other]:
                continue
            self._advance(other, now)
            places = np.flatnonzero(rng.random(self.particles) < share)
            found = self._guesses[:, arm, rng.integers(self.particles, size=len(places))]
            ages = now - np.array(self._admitted[other])[::-1]
            guesses.adopt(found, ages, rng, admitted=True)
            if not self._admitted[other]:
                found[TOKENS] = found[guesses.CAPACITY]
            self._guesses[:, other, places] = found
            self._look(other)

    def _advance(self, arm: int, now: float) -> None:
        """Carry a server's guesses forward. Only time that has passed counts, so a clock may start again."""
        self._settle(arm)
        passed = self._passed(arm, now)
        if passed:
            self._known[arm] = _UNKNOWN
            guesses.pass_time(self._guesses[:, arm], np.float32(passed), self.rng)

    def _advance_all(self, now: float) -> None:
        """The same for all that owe nothing; those that do are sure of what they would answer."""
        passed = [0.0 if owed else self._passed(arm, now) for arm, owed in enumerate(self._owed)]
        if any(passed):
            self._known = [_UNKNOWN] * self.arms
            guesses.pass_time(self._guesses, np.array(passed, np.float32)[:, None], self.rng)

    def _passed(self, arm: int, now: float, tick: float = TICK) -> float:
        """Seconds since the server's guesses were last carried forward; 0 where that is not worth a step yet."""
        at = self._at[arm]
        passed = now - at if at is not None else 0.0
        if 0 < passed < tick:
            return 0.0
        self._at[arm] = now
        if passed < 0:
            self._admitted[arm].clear()
        return max(passed, 0.0)

    def estimates(self) -> tuple[LimitEstimate, ...]:
        """The belief about each server, for people."""
        return tuple(guesses.estimate(self._guesses[:, arm], self._weights[arm]) for arm in range(self.arms))

    def pack(self) -> Packed:
        """What `unpack` takes."""
        self._settle_all()
        self._least = fewest(self._guesses, self._weights).tolist()  # as it is found where this is unpacked
        return Packed(
            times=list(self._at),
            guesses=self._guesses.tobytes(),
            weights=self._weights.tobytes(),
            admitted=[np.array(times).tobytes() for times in self._admitted],
            generator=pack_generator(self.rng),
            speaks=list(self._speaks),
        )

    def unpack(self, packed: Packed) -> None:
        """Go on from a packed state of as many servers and particles.

        Raises:
            ValueError: it is not one; then nothing has changed.
        """
        x = np.frombuffer(packed.guesses, np.float32).reshape(self._guesses.shape).copy()
        weights = np.frombuffer(packed.weights, np.float32).reshape(self._weights.shape).copy()
        admitted = [np.frombuffer(times) for times in packed.admitted]
        shares = (weights >= 0).all() and np.allclose(weights.sum(axis=1), 1, atol=1e-3)
        known = {len(packed.times), len(admitted), len(packed.speaks) or self.arms} == {self.arms} and all(
            np.isfinite(each).all() for each in admitted
        )
        if not (shares and known and guesses.are_sound(x)):
            raise ValueError("numbers that no filter holds")
        self.rng = unpack_generator(packed.generator)
        self._guesses, self._weights, self._at = x, weights, list(packed.times)
        self._least = fewest(x, weights).tolist()
        self._known, self._owed = [_UNKNOWN] * self.arms, [0] * self.arms
        self._speaks = list(packed.speaks) or [True] * self.arms  # older states do not say
        self._admitted = [deque(times.tolist(), maxlen=HISTORY) for times in admitted]
