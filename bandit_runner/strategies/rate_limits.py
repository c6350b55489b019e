"""What can be known of servers' rate limits from admissions and 429s alone: a particle filter per server.

A particle is a whole limiter with its state: one guess of what the server does. Each is carried forward in time, asked
what it would have answered, and believed the less the more it was wrong. The guesses are of four families and none:

    token bucket      rate, burst; perhaps with a rate that swings as a sinusoid, or jumps between two values
    fixed window      length, limit, phase
    no limit

Nothing is fitted to a scenario: the priors are wide (log-uniform over one to two orders of magnitude). What is learned
is shared: a guess that is thrown away is now and then replaced by one that another server's history speaks for, since
servers of one tier tend to be limited alike.

Source of the method: Gordon, Salmond and Smith, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation",
IEE Proceedings F 140, 1993; systematic resampling: Kitagawa, Journal of Computational and Graphical Statistics 5, 1996.
"""

import base64
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bandit_runner.model import Likely, LimitEstimate

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

TOKENS, CAPACITY, RATE, OTHER_RATE, HAZARD, SWING, FREQUENCY, PHASE, LENGTH, LEFT = range(10)
"""The rows of a particle: what it would admit now, and at most at once; tokens per second; what the rate may jump to,
and jumps per second; amplitude (as a share of the rate), angular frequency and phase now of a swing; length of a fixed
window, and what is left of it. What a family does not have is 0, what is left of a window infinite. No row depends on
where a clock began."""
ROWS: Final = 10

FAMILIES: Final = (0.15, 0.3, 0.2, 0.2, 0.15)
"""Prior shares of: no limit, constant, swinging, jumping, fixed window."""
KINDS: Final = ("none", "token-bucket", "sinusoid", "jumping", "fixed-window")
NONE, CONSTANT, SWINGING, JUMPING, WINDOW = range(5)

WINDOW_LENGTHS: Final = (1.0, 2.0, 5.0, 10.0, 10.0, 15.0, 30.0, 60.0)
"""Seconds: what people configure."""

UNLIMITED: Final = 1e6
TICK: Final = 0.01
"""Seconds of which nothing flows in, so that the attempts of one id cost no step of the filter."""
MISTAKE: Final = 0.005
"""How likely an answer is that contradicts a guess: what keeps a nearly right one alive."""
UNSURE: Final = 0.98
"""The most tokens that a bucket can hold which has just answered 429."""
EFFECTIVE: Final = 0.5
"""Resample when the weights are worth less than this share of the particles."""
FRESH: Final = 0.04
"""The share of particles that resampling replaces by other guesses."""
SHARED: Final = 0.7
"""The share of those that come from other servers, not from the prior."""
JITTER: Final = 0.05
"""The relative spread that resampling gives to parameters, so that copies become neighbours."""
MIDDLE: Final = (0.05, 0.95)
"""Between these shares of a belief lies what an estimate shows."""
CERTAIN: Final = (0.005, 0.998)
"""No prediction is surer than this."""


class RateLimits:
    """The belief about every server of a tier. ``rng`` is all its randomness; times are the caller's seconds.

    >>> limits = RateLimits(2, np.random.default_rng(1), particles=256)
    >>> for second in range(20):  # server 0 admits one attempt a second; nobody asks server 1
    ...     limits.advance(float(second))
    ...     limits.observe(0, admitted=True)
    ...     limits.observe(0, admitted=False)
    >>> bool(limits.chances()[0] < 0.1), bool(limits.chances_in(1.0)[0] > 0.9), bool(limits.chances()[1] > 0.9)
    (True, True, True)
    """

    def __init__(self, arms: int, rng: np.random.Generator, particles: int) -> None:
        self.arms = arms
        self.particles = particles
        self.rng = rng
        self._now: float | None = None
        self._x: Floats = self._guesses(arms * particles).reshape(ROWS, arms, particles)
        self._weights: Floats = np.full((arms, particles), 1 / particles, np.float32)
        self._chances = self._look()

    def advance(self, now: float) -> None:
        """Carry every guess forward to ``now``. Only the time that has passed counts, so a clock may start again."""
        seconds = TICK if self._now is None else now - self._now
        if 0 <= seconds < TICK:
            return
        self._now = now
        if seconds < 0:
            return
        x, passed = self._x, np.float32(seconds)
        jumps = self.rng.random((self.arms, self.particles), np.float32) < np.minimum(x[HAZARD] * passed, 0.5)
        if jumps.any():
            x[RATE, jumps], x[OTHER_RATE, jumps] = x[OTHER_RATE, jumps], x[RATE, jumps]
        turned = x[FREQUENCY] * passed
        x[TOKENS] += x[RATE] * passed * (1 + x[SWING] * np.sin(x[PHASE] + turned / 2))
        np.minimum(x[TOKENS], x[CAPACITY], out=x[TOKENS])
        x[PHASE] += turned
        x[LEFT] -= passed
        over = x[LEFT] <= 0
        if over.any():
            x[TOKENS, over] = x[CAPACITY, over]
            x[LEFT, over] %= x[LENGTH, over]
        self._chances = self._look()

    def chances(self) -> Doubles:
        """The probability of each server to admit an attempt now."""
        return self._chances

    def chances_in(self, seconds: float) -> Doubles:
        """The probability of each server to admit an attempt if nobody asks it until then; for fractions of seconds."""
        x = self._x
        tokens = x[TOKENS] + x[RATE] * np.float32(seconds) * (1 + x[SWING] * np.sin(x[PHASE]))
        return self._believed((tokens >= 1) | (x[LEFT] <= seconds))

    def capacity(self, seconds: float, most: float) -> Doubles:
        """How many attempts each server is expected to admit in that time, at most ``most``."""
        x = self._x
        rate = _long_run(x)
        expected: Doubles = np.einsum(
            "ij,ij->i", self._weights, np.minimum(x[TOKENS] + rate * seconds, most), dtype=float
        )
        return expected

    def observe(self, arm: int, *, admitted: bool) -> None:
        """Weigh the guesses about a server by what it did, and let them take part in it."""
        tokens, weights = self._x[TOKENS, arm], self._weights[arm]
        wrong = tokens < 1 if admitted else tokens >= 1
        surprised = weights.dot(wrong) > 0
        if surprised:  # else all guesses that are believed at all were right, and none is more than before
            weights *= np.where(wrong, np.float32(MISTAKE), np.float32(1))
            weights /= weights.sum()
        if admitted:
            tokens -= 1
            np.maximum(tokens, 0, out=tokens)
        else:
            self._empty(self._x[:, arm])
        if surprised and 1 / np.dot(weights, weights) < EFFECTIVE * self.particles:
            self._resample(arm, admitted=admitted)
        low, high = CERTAIN
        self._chances[arm] = min(max(float(self._weights[arm].dot(self._x[TOKENS, arm] >= 1)), low), high)

    def estimates(self) -> tuple[LimitEstimate, ...]:
        """The beliefs, for people."""
        return tuple(map(self._estimate, range(self.arms)))

    def _estimate(self, arm: int) -> LimitEstimate:
        x, weights = self._x[:, arm], self._weights[arm]
        families = _families(x)
        shares = np.bincount(families, weights, len(KINDS))
        family = int(shares.argmax())
        of_it = families == family
        said = {"rate": _long_run(x), "burst": x[CAPACITY], "seconds": _seconds(x, family)}
        numbers = {} if family == NONE else {name: _likely(of[of_it], weights[of_it]) for name, of in said.items()}
        if family == CONSTANT:
            del numbers["seconds"]
        return LimitEstimate(
            kind=KINDS[family],
            share=float(shares[family] / shares.sum()),
            admits=float(self._chances[arm]),
            **numbers,
        )

    def _look(self) -> Doubles:
        return self._believed(self._x[TOKENS] >= 1)

    def _believed(self, ready: NDArray[np.bool_]) -> Doubles:
        believed: Doubles = np.clip(np.einsum("ij,ij->i", self._weights, ready, dtype=float), *CERTAIN)
        return believed

    def _resample(self, arm: int, *, admitted: bool) -> None:
        """Copy guesses as often as they deserve, spread the copies, and let in fresh ones (see the module's text)."""
        count, rng = self.particles, self.rng
        steps = (np.arange(count) + rng.random()) / count
        chosen = np.minimum(np.searchsorted(np.cumsum(self._weights[arm], dtype=float), steps), count - 1)
        x = self._x[:, arm, chosen]
        self._spread(x, admitted=admitted)
        fresh = math.ceil(FRESH * count)
        others = self._x[:, rng.integers(0, self.arms, fresh), rng.integers(0, count, fresh)]
        x[:, rng.permutation(count)[:fresh]] = self._adopt(
            np.where(rng.random(fresh) < SHARED, others, self._guesses(fresh)), admitted=admitted
        )
        self._x[:, arm] = x
        self._weights[arm] = 1 / count

    def _spread(self, x: Floats, *, admitted: bool) -> None:
        noise = self.rng.standard_normal((6, x.shape[1]), np.float32) * np.float32(JITTER)
        limited = x[CAPACITY] < UNLIMITED
        x[RATE] *= np.exp(noise[0] * limited)
        x[OTHER_RATE] *= np.exp(noise[1])
        x[PHASE] += noise[2]
        x[FREQUENCY] *= np.exp(noise[3] / 2)
        x[LEFT] = np.maximum(x[LEFT] + noise[4] / 3 * x[LENGTH], np.float32(TICK))
        buckets = limited & (x[LENGTH] == 0)
        most = x[CAPACITY] if admitted else np.float32(UNSURE)
        x[TOKENS] = np.where(buckets, np.clip(x[TOKENS] + noise[5] / 2, 0, most), x[TOKENS])

    def _adopt(self, x: Floats, *, admitted: bool) -> Floats:
        """Guesses about other servers, in a state that this server's last answer allows."""
        share = self.rng.random(x.shape[1], np.float32)
        if admitted:
            x[TOKENS] = np.where(x[CAPACITY] < UNLIMITED, share * (x[CAPACITY] - 1), x[CAPACITY])
        else:
            x[TOKENS] = np.where(x[CAPACITY] < UNLIMITED, share * np.float32(UNSURE), x[CAPACITY])
            self._empty(x)
        return x

    @staticmethod
    def _empty(x: Floats) -> None:
        """After a 429: no window has anything left, no bucket a whole token; without a limit it was a mistake."""
        most = np.where(x[LENGTH] > 0, np.float32(0), np.float32(UNSURE))
        x[TOKENS] = np.where(x[CAPACITY] < UNLIMITED, np.minimum(x[TOKENS], most), x[TOKENS])

    def _guesses(self, count: int) -> Floats:
        """Draws from the prior, buckets and windows full."""
        rng = self.rng
        family = rng.choice(len(FAMILIES), count, p=FAMILIES)
        swinging, jumping, window = family == SWINGING, family == JUMPING, family == WINDOW

        def spread(low: float, high: float) -> Doubles:
            return np.exp(rng.uniform(math.log(low), math.log(high), count))

        x = np.zeros((ROWS, count), np.float32)
        x[RATE] = np.where(jumping, spread(0.1, 10), np.where(swinging, spread(0.4, 6), spread(0.2, 20)))
        x[CAPACITY] = np.floor(spread(1, 8))
        x[OTHER_RATE] = spread(0.1, 10) * jumping
        x[HAZARD] = jumping / spread(3, 30)
        x[SWING] = rng.uniform(0.4, 1, count) * swinging
        x[FREQUENCY] = 2 * math.pi / spread(5, 60) * swinging
        x[PHASE] = rng.uniform(0, 2 * math.pi, count) * swinging
        length = rng.choice(WINDOW_LENGTHS, count)
        x[LENGTH] = length * window
        x[LEFT] = np.where(window, length * rng.random(count), np.inf)
        x[CAPACITY] = np.where(window, np.floor(length * spread(0.5, 5)) + 1, x[CAPACITY])
        x[RATE] *= ~window
        x[:, family == NONE] = 0
        x[LEFT, family == NONE] = np.inf
        x[CAPACITY, family == NONE] = UNLIMITED
        x[TOKENS] = x[CAPACITY]
        return x

    def pack(self) -> list[str]:
        """The whole state, bit by bit; what `unpack` takes."""
        generator: dict[str, Any] = dict(self.rng.bit_generator.state)
        inner = generator["state"]
        now = "" if self._now is None else float(self._now).hex()
        arrays = (self._x, self._weights, self._chances)
        return [
            now,
            *(f"{inner[name]:x}" for name in ("state", "inc")),
            *(str(generator[name]) for name in ("has_uint32", "uinteger")),
            *(base64.b64encode(array.tobytes()).decode() for array in arrays),
        ]

    def unpack(self, state: Sequence[str]) -> None:
        """Go on from a packed state of as many servers and particles.

        Raises:
            ValueError: it is not one; then nothing has changed.
        """
        now, inner, increment, has_half, half, *packed = state
        ours: tuple[NDArray[Any], ...] = (self._x, self._weights, self._chances)
        x, weights, chances = (_unpacked(text, old) for text, old in zip(packed, ours, strict=True))
        if not _is_sound(x, weights, chances):
            raise ValueError("numbers that no filter holds")
        bits = np.random.PCG64(0)
        bits.state = {
            "bit_generator": "PCG64",
            "state": {"state": int(inner, 16) % 2**128, "inc": int(increment, 16) % 2**128 | 1},
            "has_uint32": int(has_half) & 1,
            "uinteger": int(half) % 2**32,
        }
        self._now = float.fromhex(now) if now else None
        self.rng = np.random.Generator(bits)
        self._x, self._weights, self._chances = x, weights, chances


def _long_run(x: Floats) -> Floats:
    """Attempts per second that each guess admits in the long run."""
    windows = x[LENGTH] > 0
    rate = np.where(windows, x[CAPACITY] / np.where(windows, x[LENGTH], 1), x[RATE])
    expected: Floats = np.where(x[HAZARD] > 0, (rate + x[OTHER_RATE]) / 2, rate)
    return expected


def _families(x: Floats) -> NDArray[np.intp]:
    """Which family each guess is of."""
    family = np.full(x.shape[1], CONSTANT)
    for row, of in ((SWING, SWINGING), (HAZARD, JUMPING), (LENGTH, WINDOW)):
        family[x[row] > 0] = of
    family[x[CAPACITY] >= UNLIMITED] = NONE
    return family


def _seconds(x: Floats, family: int) -> Floats:
    """What a family's guesses have in seconds: see `LimitEstimate.seconds`."""
    pace = x[HAZARD] if family == JUMPING else x[FREQUENCY] / np.float32(2 * math.pi)
    seconds: Floats = x[LENGTH] if family == WINDOW else 1 / np.maximum(pace, np.float32(1e-6))
    return seconds


def _likely(values: Floats, weights: Floats) -> Likely:
    order = values.argsort()
    share = weights[order].cumsum(dtype=float)
    low, high = (float(values[order[np.searchsorted(share, of * share[-1])]]) for of in MIDDLE)
    return Likely(mean=float(np.average(values, weights=weights)), low=low, high=high)


def _unpacked(text: str, like: NDArray[Any]) -> NDArray[Any]:
    array = np.frombuffer(base64.b64decode(text, validate=True), like.dtype)
    return array.reshape(like.shape).copy()


def _is_sound(x: NDArray[Any], weights: NDArray[Any], chances: NDArray[Any]) -> bool:
    """Whether the filter can go on with these: finite where it must be, weights that are shares."""
    rest = np.delete(x, LEFT, axis=0)
    return bool(
        np.isfinite(rest).all()
        and (np.delete(rest, PHASE, axis=0) >= 0).all()
        and (x[LEFT] > 0).all()
        and (x[LENGTH] < UNLIMITED).all()
        and (weights >= 0).all()
        and np.allclose(weights.sum(axis=1), 1, atol=1e-3)
        and ((chances >= 0) & (chances <= 1)).all()
    )
