"""``best``: our own. Optimism for quality, a particle filter for rate limits, prices for scarce servers."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from bandit_runner.errors import StateMismatch
from bandit_runner.model import LimitEstimate, Outcome, Scoring
from bandit_runner.strategies.base import STOP, Arm, Choice, Options, Strategy, Wait
from bandit_runner.strategies.best_memory import BestMemory
from bandit_runner.strategies.luck import Luck
from bandit_runner.strategies.masked_thompson import MAX_PAUSE
from bandit_runner.strategies.prices import IDS_AHEAD, LOOKAHEAD, REPRICE, depth, gain, no_prices, prices
from bandit_runner.strategies.quality import STEP, Quality
from bandit_runner.strategies.rate_limits import RateLimits
from bandit_runner.strategies.waits import MAX_WAITS, PAUSES, UNTIL, Waiting, remember, resumed, told
from bandit_runner.strategies.weighted import CERTAIN
from bandit_runner.strategies.worths import Worths

FEW: Final = 2
"""So many servers are looked at one by one; for more it can be cheaper to look at all at once."""
WORTH_A_LOOK: Final = 0.01
"""Points: waits that cannot bring more are not considered, for to look costs as much as the rest of a choice."""

_OK, _RATE_LIMITED = Outcome.OK, Outcome.RATE_LIMITED


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

    where a_i is the probability that it is admitted (`RateLimits`; `Luck` where 429s come by chance), p_i that it then
    succeeds (`Quality`; for first attempts the upper end of its interval, as in Bayes-UCB, for later ones, where a
    mistake costs more, the mean; of servers that are asked too much, `Strain`), V_{k+1} what the id is still worth if
    this attempt fails, and price_i what one more admission of i is worth to other ids (`prices`). So scarce good
    servers are kept for last attempts, and whether to repeat a server is not a rule but a result. First attempts, which
    are most of the load and can be made good, reckon with servers that admit less than expected: what may be scarce is
    spent sparingly. A wait is chosen if what it adds exceeds ``hurry`` per second. After the free attempts it stops
    unless an attempt, now or in a moment, is worth more than its penalty.

    Where ids come one after another, as in the simulator, a wait also delays the ids behind it, which rests the
    servers: there waiting is worth 3 to 7 points on tiers with hard limits. Where ids come whatever happens (open loop)
    it is worth less than one. With ``patience=0`` it never waits.

    Attempts under way count: for a limit as admitted, for the interval of a success rate as made. So ids that come at
    once spread out.

    Sources: Kaufmann, Cappe and Garivier, "On Bayesian Upper Confidence Bounds for Bandit Problems", AISTATS 2012;
    prices as in Badanidiyuru, Kleinberg and Slivkins, "Bandits with Knapsacks", FOCS 2013, but from a program that is
    solved, not learned; attempts under way as in Desautels, Krause and Burdick, "Parallelizing Exploration-Exploitation
    Tradeoffs in Gaussian Process Bandit Optimization", JMLR 15, 2014.

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
        self._luck = Luck(arms)
        self._quality = Quality(arms)
        self._opens = [-math.inf] * arms  # when a server said that it opens again
        self._under_way = [0] * arms  # so many attempts that have not come back
        self._prices = self._first_prices = no_prices(arms, scoring)
        self._priced_at = -np.inf
        self._first: Worths | None = None  # of first attempts, while neither time nor prices change them all
        self._first_at: float | None = None
        self._awaited = -math.inf  # when the last wait ends
        self._changed: set[int] = set()  # arms for which something else did
        self._worth_a_look = max(WORTH_A_LOOK, self.options.hurry * PAUSES[0])

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del fresh
        if attempt == 0:
            self.memory.arrivals.count(now)
        quality = self._quality
        quality.advance(now)
        if not 0 <= now - self._priced_at < REPRICE:
            self._under_way[:] = self.memory.still_under_way(now)
            self._reprice(now)
        worths = self._later_attempts(attempt) if attempt else self._first_attempts(now)
        return self._best(now, attempt, worths, usable, cost=-math.inf)

    def _sent(self, arm: int, now: float) -> int:
        """An arm that is chosen has an attempt under way until its ``update``."""
        self.memory.under_way[arm].append(now)
        self._under_way[arm] += 1
        self._changed.add(arm)
        return arm

    def _later_attempts(self, attempt: int) -> Worths:
        left = 1 - self._prices.values[attempt + 1]
        success = zip(self._quality.means(), self._prices.servers, strict=True)
        return Worths([gain(p, left, price) for p, price in success], share=CERTAIN[1])

    def _first_attempts(self, now: float) -> Worths:
        """At thousands of ids a second one or two servers have changed since the last one, and the rest is kept.

        What is kept misses only time that has passed, by which a server that nobody asked became freer: no 429 follows.
        An id that waited for just that is to see it: until all waits are over nothing is kept.
        """
        quality, servers, under_way = self._quality, self._first_prices.servers, self._under_way
        left = 1 - self._first_prices.values[1]
        if (
            self._first is None
            or quality.strain.matters
            or quality.now != self._first_at
            or now - STEP <= self._awaited
        ):
            success = zip(quality.hopes(under_way), servers, strict=True)
            self._first = Worths([gain(p, left, price) for p, price in success], share=CERTAIN[1])
            self._first_at = quality.now
        else:
            for arm in self._changed:
                self._first.changed(arm, gain(quality.hope(arm, under_way[arm]), left, servers[arm]))
        self._changed.clear()
        return self._first

    def _choose_extra(self, now: float, tried: Sequence[int], usable: Sequence[int]) -> Choice:
        self._quality.advance(now)
        worths = Worths(self._quality.means(), share=CERTAIN[1])
        return self._best(now, len(tried), worths, usable, self.scoring.penalty)

    def _best(self, now: float, attempt: int, worths: Worths, usable: Sequence[int], cost: float) -> Choice:
        """The server, or the wait, of the largest worth; ``STOP`` where that is no more than the attempt costs."""
        best, most = self._richest(now, worths, usable)
        gains, most = worths.gains, max(most, cost)
        highest = max(gains if len(usable) == len(gains) else [gains[arm] for arm in usable])
        if highest - self._worth_a_look > most and (wait := self._wait(now, attempt, gains, usable, most)):
            return wait
        return self._sent(best, now) if most > cost else STOP

    def _wait(self, now: float, attempt: int, gains: list[float], usable: Sequence[int], most: float) -> Wait | None:
        """The wait that is worth more than ``most``, if there is one, and the most of those."""
        hurry, patience = self.options.hurry, self.options.patience
        left = patience - resumed(self.memory.waiting, now, attempt)
        pauses = [seconds for seconds in PAUSES if seconds <= left]
        if not pauses:
            return None
        chances = self._limits.chances_after(now, self._under_way, pauses)
        for arm, opens in enumerate(self._opens):
            if opens > -math.inf or self._luck.decides:
                of_it = zip(pauses, chances[arm].tolist(), strict=True)
                chances[arm] = [self._said(arm, now + wait, chance) for wait, chance in of_it]
        worths = (np.array(gains)[:, None] * chances - hurry * np.array(pauses))[usable]
        if worths.max() <= most:
            return None
        pause = pauses[worths.argmax() % len(pauses)]
        if len(self.memory.waiting) < MAX_WAITS:
            self._awaited = max(self._awaited, now + pause)
            remember(self.memory.waiting, Waiting(attempt=attempt, until=now + pause, waited=patience - left + pause))
        return Wait(pause)

    def _richest(self, now: float, worths: Worths, usable: Sequence[int]) -> tuple[int, float]:
        """The server of the largest gain times chance, and that; only those that can win are looked at."""
        under_way, limits, looks = self._under_way, self._limits, 0
        known, gains, most = worths.known, worths.gains, worths.most
        while not known[best := worths.top(usable)]:
            if looks == FEW:
                limits.find_chances(now, under_way)
            looks += 1
            worth = gains[best] * self._said(best, now, limits.chance(best, now, under_way[best]))
            is_most = worth >= most[best]
            worths.found(best, worth)
            if is_most:
                break
        return best, most[best]

    def _said(self, arm: int, then: float, chance: float) -> float:
        """The chance, corrected by luck and by what a Retry-After said about that moment."""
        if self._luck.decides:
            chance = self._luck.admitted(arm, chance)
        ahead = self._opens[arm] - then
        return chance if ahead == -math.inf else told(chance, ahead)

    def update(
        self, *, arm: int, outcome: Outcome, now: float, attempt: int, latency: float, retry_after: float | None = None
    ) -> None:
        """As every strategy's; a 429 that says when to come back is believed, up to a day."""
        del attempt, latency
        if arm not in self._all:
            raise self._no_such_arm(arm)
        memory, quality, luck = self.memory, self._quality, self._luck
        accepted, limited = outcome is _OK, outcome is _RATE_LIMITED
        if limited and not luck.is_awake:
            luck.wake([each.pulls for each in memory.arms])
        if accepted:
            memory.arms[arm].successes += 1
        else:
            memory.arms[arm].failures += 1
        quality.advance(now)
        if luck.is_awake and luck.learn(arm, self._limits.chance(arm, now, 0), admitted=not limited):
            self._first = None
        if self._limits.observe(arm, now, admitted=not limited):
            self._first = None
        if not limited:
            quality.observe(arm, accepted=accepted)
        pause = retry_after if limited and retry_after is not None and retry_after >= 0 else -math.inf
        self._opens[arm] = now + min(pause, MAX_PAUSE)
        self._changed.add(arm)
        if under_way := memory.under_way[arm]:
            del under_way[0]
            self._under_way[arm] -= 1

    def _reprice(self, now: float) -> None:
        """Make prices for the coming seconds."""
        self._priced_at = now
        self._first = None
        self._quality.strain.weigh()
        arrivals = self.memory.arrivals
        ahead = arrivals.horizon(now, ids=IDS_AHEAD, least=LOOKAHEAD)
        ids = arrivals.expected(now, ahead=ahead)
        most = ids * depth(self.scoring)
        capacity = [self._limits.capacity(arm, now, ahead, most) for arm in range(len(self._under_way))]
        admitted, success = self._luck.admitted, self._quality.means()
        self._prices = prices(success, lambda arm: admitted(arm, capacity[arm][0], most) / ids, self.scoring)
        self._first_prices = prices(success, lambda arm: admitted(arm, capacity[arm][1], most) / ids, self.scoring)

    def estimates(self) -> tuple[LimitEstimate, ...]:
        """As every strategy's: what most of the guesses say, or that it is chance."""
        return self._luck.estimates(self._limits.estimates())

    def snapshot(self) -> dict[str, Any]:
        """As every strategy's; about 20 KB per arm, for the filter of rate limits is many guesses."""
        self._forget_first()  # as who is restored from this
        self.memory = msgspec.structs.replace(
            self.memory,
            limits=self._limits.pack(),
            luck=self._luck.pack(),
            quality=self._quality.pack(),
            strain=self._quality.strain.pack(),
            opens=[opens if math.isfinite(opens) else None for opens in self._opens],
            prices=self._prices,
            first_prices=self._first_prices,
            priced_at=self._priced_at if math.isfinite(self._priced_at) else None,
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
        limits, *both = memory.beliefs(attempts=depth(self.scoring))
        quality = Quality(len(memory.arms))
        quality.unpack(memory.quality, memory.strain)
        luck = Luck(len(memory.arms))
        if memory.luck:  # older states do not say
            luck.unpack(memory.luck)
        self._limits.unpack(limits)
        memory.waiting.sort(key=UNTIL)  # older states hold them as they came
        self._quality, self._luck = quality, luck
        self._opens = [-math.inf if opens is None else opens for opens in memory.opens]
        self._prices, self._first_prices = both
        self._under_way = [len(times) for times in memory.under_way]
        self._priced_at = -np.inf if memory.priced_at is None else memory.priced_at
        self._forget_first()

    def _forget_first(self) -> None:
        self._first = None
        self._awaited = max((each.until for each in self.memory.waiting), default=-math.inf)

    def _new_memory(self, arms: int) -> BestMemory:
        return BestMemory(arms=[Arm() for _ in range(arms)], under_way=[[] for _ in range(arms)])
