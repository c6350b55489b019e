"""``best``: our own. Thompson sampling for quality, a particle filter for rate limits, prices for scarce servers."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np

from bandit_runner.errors import StateMismatch
from bandit_runner.linear import maximize
from bandit_runner.model import LimitEstimate, Outcome, Scoring
from bandit_runner.strategies.base import STOP, Arm, Choice, Memory, Options, Seconds, Strategy, Wait
from bandit_runner.strategies.masked_thompson import MAX_PAUSE
from bandit_runner.strategies.quality import Quality
from bandit_runner.strategies.rate_limits import CERTAIN, RateLimits

LOOKAHEAD: Final = 10.0
"""Seconds that prices are made for."""
REPRICE: Final = 0.5
"""Seconds that prices last."""
LEAST: Final = 0.02
"""A server is worth at least this share of its success rate: prices choose among servers, but never stop an id."""
PAUSES: Final = (0.03, 0.06, 0.12, 0.25, 0.5)
"""Seconds: the waits that are considered."""
EARLY: Final = 0.002
"""Seconds. Timers may fire that much too early (uvloop's count milliseconds)."""
MAX_WAITS: Final = 1024
"""Waits that are remembered; ids beyond wait without being remembered, which costs them nothing but patience."""
RETRY_UNIT: Final = 1.0
"""Seconds. Retry-After counts whole ones, rounded up: the server may be free that much sooner."""
RATE_WINDOW: Final = 20.0
"""Seconds over which ids are counted."""


Worth: TypeAlias = Annotated[float, msgspec.Meta(ge=-1.0, le=1e6)]


class Waiting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An id that was told to wait: at which attempt, until when, and how long in all."""

    attempt: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    until: Seconds
    waited: Seconds


class BestMemory(Memory):
    """Counts of each arm, for people, and the ids that wait; the other fields are filled for a snapshot only."""

    waiting: list[Waiting] = msgspec.field(default_factory=list)
    limits: list[str] = msgspec.field(default_factory=list)
    quality: list[float | list[float] | None] = msgspec.field(default_factory=list)
    opens: list[Seconds | None] = msgspec.field(default_factory=list)
    prices: list[Worth] = msgspec.field(default_factory=list)
    values: list[Worth] = msgspec.field(default_factory=list)
    priced_at: Seconds | None = None
    ids: Worth = 0.0
    """How many came lately; then since when they are counted, and when the last one came."""
    counted_from: Seconds = 0.0
    counted_at: Seconds = 0.0


class BestOptions(Options, frozen=True):
    """``hurry``: points that a second of waiting costs. ``patience``: most seconds that an id waits before one attempt.

    With a ``patience`` of 0 it never waits. ``particles``: guesses per server; more are better and slower.
    """

    hurry: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.1
    patience: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.5
    particles: Annotated[int, msgspec.Meta(ge=16, le=10_000)] = 256


class Best(Strategy):
    """Each attempt goes where it is worth most, now or in a moment.

    An attempt on server i as attempt k of an id is worth, as far as is known,

        a_i (p_i (1 - V_{k+1}) - price_i)

    where a_i is the probability that it is admitted (`RateLimits`), p_i that it then succeeds (`Quality`; a Thompson
    sample for first attempts, the mean for later ones, where a mistake costs more), V_{k+1} what the id is still worth
    if this attempt fails, and price_i what one more admission of i is worth to other ids. V and the prices are the dual
    variables of a fluid linear program over the coming seconds: the clairvoyant's of the simulator, with beliefs in the
    place of knowledge. So scarce good servers are kept for the last attempts of ids, and whether to repeat a server or
    to try another is not a rule but a result. A wait is chosen if what it adds exceeds ``hurry`` per second. After the
    free attempts it stops unless an attempt is worth more than its penalty.

    Where ids come one after another, as in the simulator, a wait also delays the ids behind it, which rests the
    servers: there waiting is worth 4 to 8 points on tiers with hard limits. Where ids come whatever happens (open loop)
    it is worth about one. With ``patience=0`` it never waits.

    Sources: Thompson 1933 (see ``v4``); prices as in Badanidiyuru, Kleinberg and Slivkins, "Bandits with Knapsacks",
    FOCS 2013, but from a program that is solved, not learned.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("best", arms=2, seed=1)
    >>> for i in range(60):  # server 0 is better, but answers 429 when asked again at once
    ...     outcome = Outcome.ERROR if i % 6 == 1 else Outcome.OK
    ...     strategy.update(arm=i % 2, outcome=outcome, now=i / 5, attempt=0, latency=0)
    ...     if i % 2 == 0:
    ...         strategy.update(arm=0, outcome=Outcome.RATE_LIMITED, now=i / 5, attempt=1, latency=0)
    >>> strategy.select(now=20.0, attempt=2, tried=(), available=range(2))
    0
    >>> strategy.update(arm=0, outcome=Outcome.ERROR, now=20.0, attempt=0, latency=0)
    >>> strategy.select(now=20.0, attempt=2, tried=(0,), available=range(2))
    1
    """

    name = "best"
    options_type = BestOptions
    options: BestOptions
    memory: BestMemory

    def __init__(self, *, arms: int, seed: int, scoring: Scoring, options: Options) -> None:
        super().__init__(arms=arms, seed=seed, scoring=scoring, options=options)
        rng = np.random.Generator(np.random.PCG64(seed))
        self._limits = RateLimits(arms, rng, self.options.particles)
        self._quality = Quality(arms)
        self._opens = [-math.inf] * arms  # when a server said that it opens again
        self._prices = [0.0] * arms
        self._values = [0.0] * (self._depth + 1)
        self._priced_at = -np.inf
        self._counted_from, self._ids, self._counted_at = 0.0, 0.0, 0.0

    @property
    def _depth(self) -> int:
        """How many attempts prices are made for: the free ones, and all where others can be worth their penalty."""
        scoring = self.scoring
        return scoring.max_attempts if scoring.penalty < 1 else min(scoring.free_attempts, scoring.max_attempts)

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del fresh
        self._advance(now)
        if attempt == 0:
            self._count(now)
        if not 0 <= now - self._priced_at < REPRICE:
            self._reprice(now)
        quality = self._quality
        success = quality.means() if attempt else quality.samples(self._limits.rng)
        left = 1 - self._values[min(attempt + 1, self._depth)]
        gains = [max(p * left - price, LEAST * p) for p, price in zip(success, self._prices, strict=True)]
        return self._best(now, attempt, gains, usable)

    def _choose_extra(self, now: float, tried: Sequence[int], usable: Sequence[int]) -> Choice:
        self._advance(now)
        del tried
        worth = _products(self._chances(now), self._quality.means())
        best = max(usable, key=worth.__getitem__)
        return best if worth[best] > self.scoring.penalty else STOP

    def _best(self, now: float, attempt: int, gains: Sequence[float], usable: Sequence[int]) -> Choice:
        """The server, or the wait, of the largest worth."""
        worth = _products(self._chances(now), gains)
        best = max(usable, key=worth.__getitem__)
        most, highest = worth[best], max([gains[arm] for arm in usable])
        left = self.options.patience - self._resumed(now, attempt)
        pause = 0.0
        for seconds in PAUSES:
            cost = self.options.hurry * seconds
            if seconds > left or highest - cost <= most:
                break
            then = _products(self._chances(now, seconds), gains)
            found = max([then[arm] for arm in usable]) - cost
            if found > most:
                most, pause = found, seconds
        if not pause:
            return best
        if len(self.memory.waiting) < MAX_WAITS:
            waited = self.options.patience - left + pause
            self.memory.waiting.append(Waiting(attempt=attempt, until=now + pause, waited=waited))
        return Wait(pause)

    def _resumed(self, now: float, attempt: int) -> float:
        """How long the id that asks has waited before this attempt.

        Ids have no name here. One that asks at the attempt and the time at which another was to come back is taken for
        it; if it is not, the two have changed places.
        """
        waiting = self.memory.waiting
        if not waiting:
            return 0.0
        self.memory.waiting = waiting = [each for each in waiting if -MAX_PAUSE < now - each.until < LOOKAHEAD]
        for place, each in enumerate(waiting):
            if each.attempt == attempt and each.until <= now + EARLY:
                return waiting.pop(place).waited
        return 0.0

    def _chances(self, now: float, seconds: float = 0.0) -> list[float]:
        """The probability of each server to admit an attempt then: the filter's, and what servers said themselves."""
        chances = self._limits.chances_in(seconds) if seconds else self._limits.chances()
        expected: list[float] = chances.tolist()
        if max(self._opens) == -math.inf:
            return expected
        low, high = CERTAIN
        for arm, opens in enumerate(self._opens):
            ahead = opens - (now + seconds)
            if ahead >= RETRY_UNIT:
                expected[arm] = low
            elif -math.inf < ahead <= 0:
                expected[arm] = max(expected[arm], high)
        return expected

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        self._advance(now)
        limited = outcome is Outcome.RATE_LIMITED
        self._limits.observe(arm, admitted=not limited)
        self._opens[arm] = -math.inf
        if not limited:
            self._quality.observe(arm, accepted=outcome is Outcome.OK)

    def update(
        self, *, arm: int, outcome: Outcome, now: float, attempt: int, latency: float, retry_after: float | None = None
    ) -> None:
        """As every strategy's; a 429 that says when to come back is believed, up to a day."""
        super().update(arm=arm, outcome=outcome, now=now, attempt=attempt, latency=latency, retry_after=retry_after)
        if outcome is Outcome.RATE_LIMITED and retry_after is not None and retry_after >= 0:
            self._opens[arm] = now + min(retry_after, MAX_PAUSE)

    def _advance(self, now: float) -> None:
        self._limits.advance(now)
        self._quality.advance(now)

    def _count(self, now: float) -> None:
        """Count an id, older ones less."""
        passed = now - self._counted_at
        if self._ids == 0 or not 0 <= passed < MAX_PAUSE:
            self._ids, self._counted_from, passed = 0.0, now, 0.0
        self._ids = self._ids * math.exp(-passed / RATE_WINDOW) + 1
        self._counted_at = now

    def _reprice(self, now: float) -> None:
        """Solve the program: how attempts on servers would be used best in the coming seconds."""
        self._priced_at = now
        window = RATE_WINDOW * (1 - math.exp(-max(now - self._counted_from, 1.0) / RATE_WINDOW))
        ids = max(1.0, self._ids / window * LOOKAHEAD)
        depth, arms = self._depth, len(self.memory.arms)
        success = np.array(self._quality.means())
        capacity = self._limits.capacity(LOOKAHEAD, ids * depth) / ids
        costs = self.scoring.penalty * (np.arange(depth) >= self.scoring.free_attempts)
        used = np.zeros((depth + arms, depth, arms))
        for attempt in range(depth):
            used[attempt, attempt] = 1.0
            used[depth:, attempt] = np.eye(arms)
            if attempt + 1 < depth:
                used[attempt + 1, attempt] = success - 1.0
        bounds = np.concatenate([[1.0], np.zeros(depth - 1), capacity])
        gain = (success - costs[:, None]).ravel()
        found = maximize(gain, used.reshape(depth + arms, depth * arms), bounds)
        assert found is not None  # noqa: S101  no attempt at all meets every constraint
        prices: list[float] = found.prices.tolist()
        self._values, self._prices = [*prices[:depth], 0.0], prices[depth:]

    def estimates(self) -> tuple[LimitEstimate, ...]:
        """As every strategy's: what most of the guesses say."""
        return self._limits.estimates()

    def snapshot(self) -> dict[str, Any]:
        """As every strategy's; about 14 KB per arm, for the filter of rate limits is many guesses."""
        self.memory = msgspec.structs.replace(
            self.memory,
            limits=self._limits.pack(),
            quality=self._quality.pack(),
            opens=[opens if math.isfinite(opens) else None for opens in self._opens],
            prices=list(self._prices),
            values=list(self._values),
            priced_at=self._priced_at if math.isfinite(self._priced_at) else None,
            ids=self._ids,
            counted_from=self._counted_from,
            counted_at=self._counted_at,
        )
        return super().snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        """As every strategy's."""
        memory, generator = self.memory, self._random
        super().restore(state)
        try:
            self._unpack(self.memory)
        except ValueError as error:
            self.memory, self._random = memory, generator
            raise StateMismatch(f"the saved state is damaged: {error}", hint="start without it") from error

    def _unpack(self, memory: BestMemory) -> None:
        """Go on from a snapshot's memory; ``ValueError`` if it is none, and then nothing has changed."""
        arms = len(memory.arms)
        if (len(memory.opens), len(memory.prices), len(memory.values)) != (arms, arms, self._depth + 1):
            raise ValueError("not as many numbers as arms and attempts")
        quality = Quality(arms)
        quality.unpack(memory.quality)
        self._limits.unpack(memory.limits)
        self._quality = quality
        self._opens = [-math.inf if opens is None else opens for opens in memory.opens]
        self._prices, self._values = list(memory.prices), list(memory.values)
        self._priced_at = -np.inf if memory.priced_at is None else memory.priced_at
        self._ids, self._counted_from, self._counted_at = memory.ids, memory.counted_from, memory.counted_at

    def _new_memory(self, arms: int) -> BestMemory:
        return BestMemory(arms=[Arm() for _ in range(arms)])


def _products(some: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one * other for one, other in zip(some, others, strict=True)]
