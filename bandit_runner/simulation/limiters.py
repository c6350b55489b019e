"""Rate limits as functions of time: what each server of a simulated run admits.

Everything that a limiter will ever do is fixed when it is made; a strategy only decides when it is asked. Time is in
seconds since the start of the run, and never runs backwards.
"""

import bisect
import math
import random
from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from bandit_runner.simulation import scenario as data

ALMOST: Final = 1e-9
"""What rounding may keep back of a token."""

CLOSE: Final = 1e-3
"""Seconds. How exactly the next opening is searched for."""


NEVER: Final = 1e5
"""Seconds after which nobody asks any more whether a server admits something: more than a day."""


class Limiter(ABC):
    """Admits or rejects (429) one attempt at a time; what is rejected takes nothing."""

    __slots__ = ()

    @abstractmethod
    def ready(self, now: float) -> bool:
        """Whether an attempt would be admitted now."""

    @abstractmethod
    def take(self, now: float) -> bool:
        """Whether this attempt is admitted."""

    @abstractmethod
    def capacity(self, start: float, end: float) -> float:
        """The most attempts that can be admitted from ``start``, which is now, to ``end``."""

    def opens(self, now: float) -> float:
        """The first moment, to a millisecond, from which on an attempt would be admitted; far off, where none is."""
        late, early = 1.0, 0.0
        while not self._open_after(now, late):
            early, late = late, 2 * late
            if late > NEVER:
                return now + NEVER
        while late - early > CLOSE:
            middle = (early + late) / 2
            early, late = (early, middle) if self._open_after(now, middle) else (middle, late)
        return now + late

    def _open_after(self, now: float, seconds: float) -> bool:
        return self.capacity(now, now + seconds) >= 1.0 - ALMOST


class Inflow:
    """``total(t)``: how many tokens have flowed by time t, at a constant rate. Rejections cannot stretch it."""

    __slots__ = ("rate",)

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def total(self, time: float) -> float:
        """Tokens from 0 to ``time``."""
        return self.rate * time


class SinusoidInflow(Inflow):
    """rate x (1 + amplitude sin(2 pi t / period + phase)), integrated."""

    __slots__ = ("_frequency", "_phase", "_swing")

    def __init__(self, rate: float, amplitude: float, period: float, phase: float) -> None:
        super().__init__(rate)
        self._frequency = 2 * math.pi / period
        self._phase = phase
        self._swing = rate * amplitude / self._frequency

    def total(self, time: float) -> float:
        """The integral in closed form."""
        return self.rate * time + self._swing * (math.cos(self._phase) - math.cos(self._frequency * time + self._phase))


class JumpingInflow(Inflow):
    """Two rates in turn, each for an exponential time; the jumps are drawn as far as they are looked at."""

    __slots__ = ("_dwell", "_luck", "_rates", "_times", "_totals")

    def __init__(self, rates: tuple[float, float], dwell: float, luck: random.Random) -> None:
        super().__init__(rates[0])
        self._rates = rates
        self._dwell = dwell
        self._luck = luck
        self._times = [0.0]
        self._totals = [0.0]

    def total(self, time: float) -> float:
        """Tokens from 0 to ``time``, which may be any: the jumps so far are kept."""
        times, totals = self._times, self._totals
        while times[-1] <= time:
            stay = self._luck.expovariate(1 / self._dwell)
            totals.append(totals[-1] + stay * self._rates[(len(times) - 1) % 2])
            times.append(times[-1] + stay)
        jump = bisect.bisect_right(times, time) - 1
        return totals[jump] + (time - times[jump]) * self._rates[jump % 2]


class Bucket(Limiter):
    """A token bucket that starts full. What flows in never falls, so looking seldom or often makes no difference."""

    __slots__ = ("_at", "_burst", "_tokens", "_total")

    def __init__(self, burst: int, inflow: Inflow) -> None:
        self._burst = float(burst)
        self._tokens = float(burst)
        self._total = inflow.total
        self._at = inflow.total(0.0)

    def ready(self, now: float) -> bool:
        """Whether a whole token is in it."""
        return self._refill(now) >= 1.0 - ALMOST

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        tokens = self._refill(now)
        if tokens < 1.0 - ALMOST:
            return False
        self._tokens = tokens - 1.0
        return True

    def capacity(self, start: float, end: float) -> float:
        """What is in it and what flows in; an upper bound, for what overflows is not subtracted."""
        return self._refill(start) + self._total(end) - self._at

    def _refill(self, now: float) -> float:
        total = self._total(now)
        self._tokens = min(self._burst, self._tokens + total - self._at)
        self._at = total
        return self._tokens


class Window(Limiter):
    """Fixed windows, the first of which began ``phase`` seconds before the run."""

    __slots__ = ("_admitted", "_limit", "_number", "_phase", "_seconds")

    def __init__(self, seconds: float, limit: int, phase: float) -> None:
        self._seconds = seconds
        self._limit = limit
        self._phase = phase
        self._number = 0
        self._admitted = 0

    def ready(self, now: float) -> bool:
        """Whether this window is not used up."""
        number = self._window(now)
        if number != self._number:
            self._number, self._admitted = number, 0
        return self._admitted < self._limit

    def take(self, now: float) -> bool:
        """Use one of this window up."""
        admitted = self.ready(now)
        self._admitted += admitted
        return admitted

    def capacity(self, start: float, end: float) -> float:
        """The rest of this window and all of those that begin until ``end``."""
        left = self._limit - self._admitted if self.ready(start) else 0
        return float(left + self._limit * (self._window(end) - self._number))

    def _window(self, time: float) -> int:
        return int((time + self._phase) // self._seconds)


class Sliding(Limiter):
    """At most so many in the last so many seconds."""

    __slots__ = ("_admitted", "_limit", "_seconds")

    def __init__(self, seconds: float, limit: int) -> None:
        self._seconds = seconds
        self._limit = limit
        self._admitted = deque[float]()

    def ready(self, now: float) -> bool:
        """Whether enough of those admitted are long enough ago."""
        admitted = self._admitted
        while admitted and admitted[0] <= now - self._seconds:
            admitted.popleft()
        return len(admitted) < self._limit

    def take(self, now: float) -> bool:
        """Admit one, to be remembered."""
        if not self.ready(now):
            return False
        self._admitted.append(now)
        return True

    def capacity(self, start: float, end: float) -> float:
        """An upper bound: as if all were used again as soon as they may."""
        self.ready(start)
        freed = sum(time + self._seconds <= end for time in self._admitted)
        again = int((end - start) // self._seconds) * self._limit
        return float(self._limit - len(self._admitted) + freed + again)


def make(limit: data.Limit, luck: random.Random) -> Limiter | None:
    """A server's limiter, drawn from what the scenario says; None where there is no limit."""
    match limit:
        case data.Sinusoid(rate=rate, burst=burst, amplitude=amplitude, period=period):
            inflow = SinusoidInflow(draw(rate, luck), amplitude, draw(period, luck), luck.uniform(0, 2 * math.pi))
            return Bucket(whole(burst, luck), inflow)
        case data.TokenBucket(rate=rate, burst=burst):
            return Bucket(whole(burst, luck), Inflow(draw(rate, luck)))
        case data.Jumping(high=high, low=low, burst=burst, dwell=dwell):
            rates = (draw(high, luck), draw(low, luck))
            first = rates if luck.random() < 0.5 else rates[::-1]  # a fair coin
            return Bucket(whole(burst, luck), JumpingInflow(first, dwell, random.Random(luck.random())))
        case data.FixedWindow(seconds=seconds, limit=most):
            return Window(seconds, whole(most, luck), luck.uniform(0, seconds))
        case data.SlidingWindow(seconds=seconds, limit=most):
            return Sliding(seconds, whole(most, luck))
        case _:
            return None


def draw(value: float | tuple[float, float], luck: random.Random) -> float:
    """The value, or a uniform draw between its two ends."""
    return luck.uniform(*value) if isinstance(value, tuple) else value


def whole(value: int | tuple[int, int], luck: random.Random) -> int:
    """The value, or a uniform whole number between its two ends, both included."""
    return luck.randint(*value) if isinstance(value, tuple) else value
