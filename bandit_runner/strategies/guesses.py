"""Guesses of what a server's rate limit is: many whole limiters with their states, in one array of rows.

What is wrong with a guess is only how much less it is believed (`rate_limits`); here is how guesses are drawn, how time
passes for them and what an answer does to them. They are of four families and none:

    token bucket      rate, burst; perhaps with a rate that swings as a sinusoid, or jumps between two values
    fixed window      length, limit, phase
    no limit

Nothing is fitted to a scenario: the priors are wide (log-uniform over one to four orders of magnitude).

The limit of a window is not guessed at all: it is whatever had been admitted when the first 429 came, so that the
guesses are left for length and phase ("delayed sampling", Murray et al., AISTATS 2018). A window that turns out to
admit more or less takes the new limit and is believed less.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bandit_runner.model import Likely, LimitEstimate

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

TOKENS, CAPACITY, RATE, OTHER_RATE, DWELL, DEPTH, FREQUENCY, PHASE, COSINE, LENGTH, LEFT = range(11)
"""The rows: what would be admitted now, and at most at once; tokens per second; what the rate will jump to, and the
mean time between jumps; of a swing the amplitude (as a share of the rate) over the angular frequency, that frequency,
the phase now and its cosine; length of a fixed window; seconds until that window ends or the rate jumps. What a family
does not have is 0, an end that never comes infinite. No row depends on where a clock began."""
ROWS: Final = 11

FAMILIES: Final = (0.15, 0.45, 0.1, 0.1, 0.2)
"""Prior shares of: no limit, constant, swinging, jumping, fixed window. Most limits stay as they were configured."""
KINDS: Final = ("none", "token-bucket", "sinusoid", "jumping", "fixed-window")
NONE, CONSTANT, SWINGING, JUMPING, WINDOW = range(5)

RATES: Final = (0.02, 100.0)
"""Tokens per second of a bucket whose rate is constant, log-uniform between these."""

WINDOW_LENGTHS: Final = (1.0, 2.0, 5.0, 10.0, 10.0, 15.0, 30.0, 60.0)
"""Seconds: what people configure."""

OPEN: Final = 4e6
"""The limit of a window that has not shown one yet; single floats count up to four times that."""
MOST_OPEN: Final = 1e3
"""What such a limit is supposed to be at most, where it matters what it will be (log-uniform, as the rates are)."""
UNLIMITED: Final = 1e9
TINY: Final = np.float32(1e-6)
TICK: Final = 0.01
"""Seconds of which nothing flows in, so that the attempts of one id cost no step."""
MISTAKE: Final = 0.005
"""How likely an answer is that contradicts a guess: what keeps a nearly right one alive."""
FIRST_LIMIT: Final = 0.05
"""How likely a window that has shown no limit yet is to show it now."""
UNSURE: Final = 0.98
"""The most tokens that a bucket can hold which has just answered 429."""
ALIGNED: Final = 0.5
"""How often the windows of two servers are taken to begin together."""
JITTER: Final = 0.1
"""The relative spread that copies get, so that they become neighbours."""
MIDDLE: Final = (0.05, 0.95)
"""Between these shares of a belief lies what an estimate shows."""


def draw(rng: np.random.Generator, count: int) -> Floats:
    """So many from the prior, buckets and windows full."""
    family = rng.choice(len(FAMILIES), count, p=FAMILIES)
    swinging, jumping, window = family == SWINGING, family == JUMPING, family == WINDOW

    def spread(low: float, high: float) -> Doubles:
        return np.exp(rng.uniform(math.log(low), math.log(high), count))

    x = np.zeros((ROWS, count), np.float32)
    x[RATE] = np.where(jumping, spread(0.1, 10), np.where(swinging, spread(0.4, 6), spread(*RATES))) * ~window
    x[OTHER_RATE] = spread(0.1, 10) * jumping
    x[DWELL] = jumping * spread(3, 30)
    x[FREQUENCY] = 2 * math.pi / spread(5, 60) * swinging
    x[DEPTH, swinging] = rng.uniform(0.4, 1, swinging.sum()) / x[FREQUENCY, swinging]
    x[PHASE] = rng.uniform(0, 2 * math.pi, count) * swinging
    x[COSINE] = np.cos(x[PHASE])
    x[LENGTH] = rng.choice(WINDOW_LENGTHS, count) * window
    x[LEFT] = _ends(x, x[LENGTH] * (1 - rng.random(count, np.float32)), rng)
    x[CAPACITY] = np.where(window, OPEN, np.floor(spread(1, 8)))
    x[:LENGTH, family == NONE] = 0
    x[LEFT, family == NONE] = np.inf
    x[CAPACITY, family == NONE] = UNLIMITED
    x[TOKENS] = x[CAPACITY]
    return x


def pass_time(x: Floats, passed: Floats | np.float32, rng: np.random.Generator) -> None:
    """Carry guesses forward, by so many seconds.

    >>> rng = np.random.default_rng(1)
    >>> x = draw(rng, 1000)
    >>> x[TOKENS] = np.minimum(x[TOKENS], 0.5)
    >>> pass_time(x, np.float32(60), rng)
    >>> bool((x[TOKENS] >= 1).mean() > 0.7)  # all but those that know no limit
    True
    """
    tokens, capacity, rate, _, _, depth, frequency, phase, cosine, _, left = x
    inflow = cosine.copy()
    phase += frequency * passed
    np.cos(phase, out=cosine)
    inflow -= cosine
    inflow *= depth
    inflow += passed
    inflow *= rate
    tokens += inflow
    left -= passed
    if left.min() <= 0:
        _turn(x, left <= 0, rng)
    np.minimum(tokens, capacity, out=tokens)


def _turn(x: Floats, over: Flags, rng: np.random.Generator) -> None:
    """Begin a new window, or jump; what flowed in at the old rate since then is put right."""
    tokens, capacity, rate, other, dwell, *_, length, left = x[:, over]
    late = np.minimum(-left, dwell)  # of many jumps that were slept through only the last counts
    then = np.clip(tokens - late * rate, 0, capacity)
    x[TOKENS][over] = then + late * other + length * np.float32(UNLIMITED)
    x[RATE][over], x[OTHER_RATE][over] = other, rate
    ends = np.where(length > 0, left % np.maximum(length, TINY), _until_jump(dwell, rng))
    x[LEFT][over] = np.maximum(ends, np.float32(TICK))


def _until_jump(dwell: Floats, rng: np.random.Generator) -> Floats:
    found: Floats = rng.standard_exponential(len(dwell), np.float32) * dwell
    return found


def _ends(x: Floats, windows: Floats, rng: np.random.Generator) -> Floats:
    """When windows end, which is given, and when rates jump, which is drawn; never, for all others."""
    jumps = np.where(x[DWELL] > 0, np.maximum(_until_jump(x[DWELL], rng), np.float32(TICK)), np.float32(np.inf))
    found: Floats = np.where(x[LENGTH] > 0, windows, jumps)
    return found


def ready_after(x: Floats, under_way: Floats) -> Floats:
    """Seconds until each guess admits an attempt beside so many others, if nobody asks and its rate stays as it is."""
    rate = x[RATE] * (1 + x[DEPTH] * x[FREQUENCY] * np.sin(x[PHASE]))
    flows = (1 + under_way - x[TOKENS]) / np.maximum(rate, TINY)
    found: Floats = np.where(x[LENGTH] > 0, np.minimum(x[LEFT], flows), flows)
    return found


def admit(x: Floats, attempts: int = 1) -> Floats | None:
    """Attempts were admitted: take part in them. What each guess's belief is multiplied by; None if all foresaw it."""
    tokens = x[TOKENS]
    tokens -= attempts
    if tokens.min() >= 0:
        return None
    missing = np.minimum(tokens, 0)
    x[CAPACITY] -= np.floor(missing) * (x[LENGTH] > 0)
    tokens -= missing
    return np.where(missing < 0, np.float32(MISTAKE), np.float32(1))


def reject(x: Floats) -> Floats | None:
    """An attempt was answered 429: no window has anything left, no bucket a whole token. Returns as `admit`."""
    tokens, capacity = x[TOKENS], x[CAPACITY]
    windows = x[LENGTH] > 0
    wrong = tokens >= 1
    factors = np.where(wrong, np.float32(MISTAKE), np.float32(1))
    used = capacity - tokens
    factors[wrong & windows & (capacity >= OPEN / 2) & (used >= 1)] = FIRST_LIMIT
    capacity[:] = np.where(wrong & windows, np.maximum(used, 1), capacity)
    tokens[:] = np.where(capacity < UNLIMITED, np.minimum(tokens, np.where(windows, 0, UNSURE)), tokens)
    return factors if wrong.any() else None


def spread(x: Floats, rng: np.random.Generator, *, admitted: bool) -> None:
    """Make neighbours of copies, in states that the last answer allows."""
    noise = rng.standard_normal((6, x.shape[1]), np.float32) * np.float32(JITTER)
    windows = x[LENGTH] > 0
    buckets = (x[CAPACITY] < UNLIMITED) & ~windows
    x[RATE] *= np.exp(noise[0])
    x[OTHER_RATE] *= np.exp(noise[1])
    pace = np.exp(noise[3] / 2)
    x[FREQUENCY] *= pace
    x[DEPTH] /= pace
    x[PHASE] = np.where(x[DEPTH] > 0, (x[PHASE] + noise[2]) % np.float32(2 * math.pi), 0)
    x[COSINE] = np.cos(x[PHASE])
    moved = np.clip(x[LEFT] + noise[4] / 3 * x[LENGTH], np.float32(TICK), x[LENGTH])
    x[LEFT] = _ends(x, moved, rng)
    most = x[CAPACITY] if admitted else np.float32(UNSURE)
    x[TOKENS] = np.where(buckets, np.clip(x[TOKENS] + noise[5] / 2, 0, most), x[TOKENS])


def adopt(x: Floats, ages: Doubles, rng: np.random.Generator, *, admitted: bool) -> None:
    """Put guesses that come from elsewhere into a state that this server's history allows.

    ``ages``: how long ago its latest attempts were admitted, in seconds, ascending.
    """
    count = x.shape[1]
    share, chance = rng.random((2, count), np.float32)
    windows = x[LENGTH] > 0
    left = np.where(chance < ALIGNED, x[LEFT], (1 - share) * x[LENGTH])
    x[LEFT] = _ends(x, left, rng)
    used = np.searchsorted(ages, x[LENGTH] - x[LEFT]).astype(np.float32)
    limit: Floats = np.where(x[CAPACITY] > used, x[CAPACITY], np.float32(OPEN)) if admitted else np.maximum(used, 1)
    x[CAPACITY] = np.where(windows, limit, x[CAPACITY])
    tokens = share * (x[CAPACITY] - 1 if admitted else np.float32(UNSURE))
    if admitted and len(ages):
        tokens = np.minimum(tokens + x[RATE] * np.float32(ages[0]), x[CAPACITY])
    x[TOKENS] = np.where(x[CAPACITY] < UNLIMITED, np.where(windows, x[CAPACITY] - used, tokens), x[CAPACITY])
    if not admitted:
        reject(x)


def capacity(x: Floats, seconds: np.float32, most: np.float32, rng: np.random.Generator) -> Floats:
    """How many attempts each guess admits in that time, at most ``most``; a limit that is not known yet is drawn."""
    tokens, limit = x[TOKENS], x[CAPACITY]
    unknown = (x[LENGTH] > 0) & (limit > OPEN / 2)
    if unknown.any():
        x = x.copy()
        used = np.maximum(limit - tokens, 1)[unknown]
        drawn = used * np.maximum(MOST_OPEN / used, 2) ** rng.random(len(used), np.float32)
        x[CAPACITY, unknown], x[TOKENS, unknown] = drawn, drawn - used
    found: Floats = np.minimum(x[TOKENS] + _long_run(x) * seconds, most)
    return found


def _long_run(x: Floats) -> Floats:
    """Attempts per second that each guess admits in the long run."""
    windows = x[LENGTH] > 0
    rate = np.where(windows, x[CAPACITY] / np.where(windows, x[LENGTH], 1), x[RATE])
    expected: Floats = np.where(x[DWELL] > 0, (rate + x[OTHER_RATE]) / 2, rate)
    return expected


def estimate(x: Floats, weights: Floats) -> LimitEstimate:
    """What guesses about one server that are believed so far come to, for people."""
    families = _families(x)
    shares = np.bincount(families, weights, len(KINDS))
    family = int(shares.argmax())
    numbers = {"rate": _long_run(x), "burst": x[CAPACITY], "seconds": _seconds(x, family)}
    shown = () if family == NONE else ("rate", "burst") if family == CONSTANT else tuple(numbers)
    of_it = families == family
    return LimitEstimate(
        kind=KINDS[family],
        share=float(shares[family] / shares.sum()),
        admits=float(weights.dot(x[TOKENS] >= 1)),
        **{name: _likely(numbers[name][of_it], weights[of_it]) for name in shown},
    )


def _families(x: Floats) -> NDArray[np.intp]:
    """Which family each guess is of."""
    family = np.full(x.shape[1], CONSTANT)
    for row, of in ((DEPTH, SWINGING), (DWELL, JUMPING), (LENGTH, WINDOW)):
        family[x[row] > 0] = of
    family[x[CAPACITY] >= UNLIMITED] = NONE
    return family


def _seconds(x: Floats, family: int) -> Floats:
    """What a family's guesses have in seconds: see `LimitEstimate.seconds`."""
    periods = np.float32(2 * math.pi) / np.maximum(x[FREQUENCY], TINY)
    seconds: Floats = periods if family == SWINGING else x[LENGTH] + x[DWELL]
    return seconds


def _likely(values: Floats, weights: Floats) -> Likely:
    order = values.argsort()
    share = weights[order].cumsum(dtype=float)
    low, high = (float(values[order[np.searchsorted(share, of * share[-1])]]) for of in MIDDLE)
    return Likely(mean=float(np.average(values, weights=weights)), low=low, high=high)


def are_sound(x: Floats) -> bool:
    """Whether these can be gone on with: finite and not negative where they must be."""
    rest = np.delete(x, LEFT, axis=0)
    return bool(
        np.isfinite(rest).all()
        and (np.delete(rest, (PHASE, COSINE), axis=0) >= 0).all()
        and (x[LEFT] > 0).all()
        and (x[LENGTH] < OPEN).all()
    )
