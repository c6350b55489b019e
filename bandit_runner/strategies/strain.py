"""What load leaves of servers' success rates, and what each attempt takes from those that follow.

Some servers fail the more the more they are asked, or answer errors where others answer 429. How much is too much, and
how soon they have recovered, is guessed, as rate limits are: here the guesses are few and fixed, and weighed for each
server and for the tier.
"""

import math
import operator
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bandit_runner.strategies.base import Seconds

ARM: Final = operator.itemgetter(0)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SPANS: Final = (0.5, 2.0, 8.0)
"""Seconds: older attempts count for 1/e in what a server's load is."""
RATES: Final = tuple(0.03 * 2.2**step for step in range(11))
"""Attempts per second that a server bears, from one in half a minute to a hundred."""
STEEP: Final = 4
"""Of a server that bears the rate r, a load of l leaves min(1, r/l) of its successes, or 1 / (1 + (l/r)^4)."""

STRAINED: Final = 0.2
"""How likely load matters on a tier, before anything is known."""
SPARED: Final = 0.1
"""How likely it does not matter to one server of a tier where it does to others."""
UNSHARED: Final = 4.0
"""So many servers weigh that bear each load as likely as any other."""
OVERLOAD: Final = 4.0
"""No tier is asked so many times what it bears."""
MATTERS: Final = 0.3
"""From this probability on load is reckoned with."""

MEMORY: Final = 400.0
"""Attempts after which what was seen of a server counts for 1/e."""
CERTAIN: Final = 0.01
"""No load leaves less, nor is anybody's attempt surer to succeed than one without this."""
SUREST: Final = 50.0
"""No server says more than this for strain, in log odds."""
MOST: Final = 100
"""Attempts that are learnt from at once: of thousands a second the rest says little more, and is only load."""
MOST_LOAD: Final = 20_000
"""And of the rest so many are remembered until then."""
NEVER: Final = -1e15
"""When a server was asked that never was; finite, as saved states are."""


class Packed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole state: numbers by server, by server and span, by server and guess, and again."""

    asked: list[Seconds]
    seen: bytes
    loads: bytes
    tried: bytes
    rested: bytes
    spoken: bytes
    accepted: bytes


class Strain:
    """Guesses of which load is too much, for each server; the first of them is that none is.

    A guess is believed by which attempts of a server succeeded, given that so many did: each was one of them as likely
    as its load left (a partial likelihood: Cox, "Regression models and life-tables", JRSS B 34, 1972). So only changes
    of load speak for a guess: a server that always fails does not. What servers of one tier bear is taken to be alike
    (an empirical prior: Robbins, "An empirical Bayes approach to statistics", Third Berkeley Symposium, 1956), and
    whether load matters at all is a question to the tier (Kass and Raftery, "Bayes Factors", JASA 90, 1995).

    What an attempt is worth is not its own chance, but what it adds to the successes of all attempts that the server
    gets (the toll of Pigou, "The Economics of Welfare", 1920): beyond what a server bears one may succeed, but in
    another's stead.

    >>> strain = Strain(1, prior=(2.0, 1.2))
    >>> for fifth in range(100):  # asked five times a second it succeeds once
    ...     strain.write(0, fifth / 5, 1.0, accepted=fifth % 5 == 0)
    >>> strain.weigh()
    >>> for second in range(25, 45):  # asked once a second, too
    ...     strain.write(0, float(second), 1.0, accepted=True)
    >>> strain.weigh()
    >>> strain.matters, strain.worth(0, 44.01) < 0.5 * strain.worth(0, 50.0)
    (True, True)
    """

    def __init__(self, arms: int, prior: tuple[float, float]) -> None:
        span, bends, soft = (each.ravel() for each in np.meshgrid(range(len(SPANS)), RATES, (True, False)))
        self._span, self._bends = np.array([0, *span]), np.array([math.inf, *bends])
        self._soft = np.array([True, *soft])
        self._alpha, self._beta = prior
        self._seen = np.zeros((2, len(SPANS)))  # the highest load of a server, and of all on average
        self._asked = [NEVER] * arms
        self._loads = [[0.0] * len(SPANS)] * arms  # attempts, older ones less
        self._tried = np.zeros((arms, 1 + len(bends)), np.float32)  # attempts, each for what load left of it
        self._rested = np.full_like(self._tried, CERTAIN)  # the most that it left of any
        self._accepted = np.zeros((arms, 1))
        self._spoken = np.zeros_like(self._tried)  # the logarithms of what load left of those that were accepted
        self._written: list[tuple[int, list[float], float, bool]] = []
        self._not_written = deque[tuple[int, float]](maxlen=MOST_LOAD)
        self._worths: tuple[float, list[float]] | None = None  # of all servers, at one moment
        self.matters = False
        """Whether there is anything to be asked for."""
        self._believe()

    def worth(self, arm: int, now: float) -> float:
        """What one more attempt adds to the successes of the server, as a multiple of its usual success rate."""
        if self._worths is None or self._worths[0] != now:
            left, is_borne = self._leaves([self._rates(each, now) for each in range(len(self._asked))])
            added = np.where(self._soft, is_borne, np.maximum(left * (1 - STEEP + STEEP * left), 0))
            self._worths = now, (self._success * np.minimum(added / self._rested, 1)).sum(axis=1).tolist()
        return self._worths[1][arm]

    def left(self, arm: int, now: float) -> float:
        """The chance of an attempt itself, as such a multiple."""
        left, _ = self._leaves(self._rates(arm, now))
        return float(self._success[arm].dot(np.minimum(left / self._rested[arm], 1)))

    def write(self, arm: int, now: float, up: float, *, accepted: bool) -> None:
        """An attempt was answered by a server that was up with that probability; `weigh` learns from it."""
        if len(self._written) == MOST and not self.matters:
            self._not_written.append((arm, now))
            return
        rates = self._rates(arm, now)
        if len(self._written) < MOST:
            self._written.append((arm, rates, up, accepted))
        self._loads[arm] = [rate * span + 1 for rate, span in zip(rates, SPANS, strict=True)]
        self._asked[arm] = now
        self._worths = None

    def weigh(self) -> None:
        """Learn from what was written."""
        if not self._written:
            return
        self._add_not_written()
        self._written.sort(key=ARM)  # each server's together, as `reduceat` takes them
        arms, rates, up, accepted = map(np.array, zip(*self._written, strict=True))
        self._written.clear()
        who, starts, counts = np.unique(arms, return_index=True, return_counts=True)
        even = np.mean([self._rates(arm, max(self._asked)) for arm in range(len(self._asked))], axis=0)
        self._seen = np.maximum(self._seen, [rates.max(axis=0), even])
        left, _ = self._leaves(rates)
        self._rested[who] = np.maximum(self._rested[who], np.maximum.reduceat(left, starts))
        kept = (1 - 1 / MEMORY) ** counts[:, None]
        for seen, more in (
            (self._tried, left * up[:, None]),
            (self._spoken, np.log(left) * accepted[:, None]),
            (self._accepted, accepted[:, None].astype(float)),
        ):
            seen[who] = (seen[who] + np.add.reduceat(more, starts)) * kept
        self._believe()

    def _add_not_written(self) -> None:
        """The loads of the attempts beyond the most; one by one they would cost as much as a choice."""
        if not self._not_written:
            return
        arms, times = map(np.array, zip(*self._not_written, strict=True))
        self._not_written.clear()
        for arm in set(arms.tolist()):
            of_it = times[arms == arm]
            now = float(of_it[-1])
            ages = np.maximum(now - of_it, 0)[:, None]  # in order, but where a clock started again
            more = np.exp(-ages / SPANS).sum(axis=0).tolist()
            self._loads[arm] = [r * span + m for r, span, m in zip(self._rates(arm, now), SPANS, more, strict=True)]
            self._asked[arm] = now

    def _believe(self) -> None:
        """From evidence and successes to what is asked for."""
        tried = np.maximum(self._tried, CERTAIN)
        evidence = self._spoken + self._accepted * np.log(tried[:, :1] / tried)
        odds, prior = np.exp(np.minimum(evidence, SUREST)), self._prior()
        for_strain = float(np.log(odds.dot(prior)).sum()) + math.log(STRAINED / (1 - STRAINED))
        strained = 1 / (1 + math.exp(-min(max(for_strain, -SUREST), SUREST)))
        shared = prior
        for _ in range(2):  # what one server bears tells of the others: two steps of expectation and maximization
            shares = odds * shared
            shares /= shares.sum(axis=1, keepdims=True)
            shared = (UNSHARED * prior + shares.sum(axis=0)) / (UNSHARED + len(shares))
        shares *= strained
        shares[:, 0] += 1 - strained
        accepted = self._alpha + self._accepted
        attempts = self._alpha + self._beta + self._tried / self._rested
        rates = np.minimum(accepted / attempts, 1 - CERTAIN)
        self._success = shares * rates / rates[:, :1]
        self.matters = strained > MATTERS
        self._worths = None

    def _prior(self) -> Floats:
        """Where load matters, all guesses alike of which the loads that were seen can tell."""
        highest, even = self._seen[:, self._span]
        can_be = (self._bends < highest) & (self._bends > even / OVERLOAD)
        shares = (1 - SPARED) * can_be / max(1, can_be.sum())
        shares[0] = 1 - shares.sum()
        found: Floats = shares
        return found

    def _rates(self, arm: int, now: float) -> list[float]:
        """The server's load by each span, in attempts per second; none where a clock started again."""
        passed = now - self._asked[arm]
        if passed < 0:
            return [0.0] * len(SPANS)
        return [load * math.exp(-passed / span) / span for load, span in zip(self._loads[arm], SPANS, strict=True)]

    def _leaves(self, rates: Sequence[object] | Floats) -> tuple[Floats, Flags]:
        """What a load leaves of the success rate by each guess, and whether that bears it."""
        load = np.array(rates)[..., self._span] / self._bends
        squared = load * load
        left = np.where(self._soft, 1 / np.maximum(load, 1), 1 / (1 + squared * squared))
        return np.maximum(left, CERTAIN), load <= 1

    def pack(self) -> Packed:
        """What `unpack` takes; what was written is to be weighed before."""
        return Packed(
            asked=list(self._asked),
            seen=self._seen.tobytes(),
            loads=np.array(self._loads).tobytes(),
            tried=self._tried.tobytes(),
            rested=self._rested.tobytes(),
            spoken=self._spoken.tobytes(),
            accepted=self._accepted.tobytes(),
        )

    def unpack(self, packed: Packed) -> None:
        """Go on from a packed state of as many servers.

        Raises:
            ValueError: it is not one; then nothing has changed.
        """
        arms = len(self._asked)
        loads, seen = (np.frombuffer(each).reshape(-1, len(SPANS)) for each in (packed.loads, packed.seen))
        by_guess = (np.frombuffer(each, np.float32) for each in (packed.tried, packed.rested, packed.spoken))
        tried, rested, spoken = (each.reshape(self._tried.shape).copy() for each in by_guess)
        accepted = np.frombuffer(packed.accepted).reshape(arms, 1).copy()
        counts = np.concatenate([each.ravel() for each in (loads, seen, tried, rested, accepted)])
        is_sound = (counts >= 0).all() and (rested > 0).all() and math.isfinite(counts.sum() + spoken.sum())
        if not is_sound or (len(packed.asked), len(loads), len(seen)) != (arms, arms, 2):
            raise ValueError("numbers that no load leads to")
        self._asked, self._loads, self._seen = list(packed.asked), loads.tolist(), seen.copy()
        self._tried, self._rested, self._spoken, self._accepted = tried, rested, spoken, accepted
        self._believe()
