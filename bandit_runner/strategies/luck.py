"""Whether a tier's 429s come by chance, however little a server is asked: the other thing that they can mean.

Some servers shed a share of their load at random, or share an address with others that are full. Who takes each such
429 for a limit (`rate_limits`) rests good servers for nothing.
"""

import math
from collections.abc import Sequence
from typing import Final

from bandit_runner.model import LimitEstimate
from bandit_runner.strategies.weighted import bounded

PRIOR: Final = -18.0
"""Log odds of chance against limits, before anything is known.

Where rates swing or jump, the model of limits errs for a moment: that is not to be taken for chance."""
SUREST: Final = 19.0
"""They never go beyond this, for what a tier does can change."""
SEEN: Final = (0.3, 1.7)
"""How many 429s, and how many admissions, stand beside what is seen of each server, and are not forgotten."""
MEMORY: Final = 400.0
"""So many attempts, and what was seen of a server counts half from then on."""


class Luck:
    """Two models of a tier, of which that is believed which foretold what happened (a Bayes factor, answer by answer).

    The one is that of limits, whose predictions come from outside; the other a share of 429s for each server. Sources:
    Kass and Raftery, "Bayes Factors", JASA 90, 1995; of predictions in turn: Dawid, JRSS A 147, 1984.

    >>> luck = Luck(2)
    >>> for _ in range(60):  # two of three are admitted, as one could have known, or not
    ...     for admitted in (False, True, True):
    ...         _ = luck.learn(0, 0.9, admitted=admitted)
    >>> luck.decides, round(luck.admitted(0, 0.1), 1), round(luck.admitted(0, 5.0, of=100.0))
    (True, 0.7, 67)
    """

    __slots__ = ("_odds", "_seen", "decides", "is_awake")

    def __init__(self, arms: int) -> None:
        self._seen = [[0.0, 0.0] for _ in range(arms)]  # 429s and admissions of each server
        self._odds = PRIOR
        self.is_awake = False
        """Whether somebody has answered 429: until then there is nothing to explain, and nothing to `learn`."""
        self.decides = False
        """Whether chance is the likelier of the two."""

    def wake(self, admissions: Sequence[int]) -> None:
        """The first 429 is about to be learnt from, after so many admissions of each server."""
        self._seen = [[0.0, min(count, MEMORY)] for count in admissions]
        self.is_awake = True

    def learn(self, arm: int, foretold: float, *, admitted: bool) -> bool:
        """An attempt was answered that limits gave that chance to be admitted; whether `decides` has changed."""
        before, share, seen = self.decides, self._share(arm), self._seen[arm]
        factor = share / foretold if admitted else (1 - share) / (1 - foretold)
        self._odds = min(max(self._odds + math.log(factor), -SUREST), SUREST)
        self.decides = self._odds > 0
        seen[admitted] += 1
        if sum(seen) > MEMORY:
            seen[:] = seen[0] / 2, seen[1] / 2
        return self.decides != before

    def admitted(self, arm: int, limited: float, of: float = 1.0) -> float:
        """What the server admits of that many: what limits allow, or its share."""
        return of * self._share(arm) if self.decides else limited

    def estimates(self, limited: tuple[LimitEstimate, ...]) -> tuple[LimitEstimate, ...]:
        """What is believed of each server, for people: what limits say, or its share."""
        if not self.decides:
            return limited
        sure = 1 / (1 + math.exp(-self._odds))
        return tuple(
            LimitEstimate(kind="by-chance", share=sure, admits=self._share(arm)) for arm in range(len(self._seen))
        )

    def _share(self, arm: int) -> float:
        limited, admitted = self._seen[arm]
        return bounded((admitted + SEEN[1]) / (limited + admitted + sum(SEEN)))

    def pack(self) -> list[list[float]]:
        """The whole state as plain JSON; what `unpack` takes."""
        return [[self._odds], *map(list, self._seen)]

    def unpack(self, state: Sequence[Sequence[float]]) -> None:
        """Go on from a packed state of as many servers.

        Raises:
            ValueError: it is not one; then nothing has changed.
        """
        (odds, *more), *seen = state
        if more or [len(each) for each in seen] != [2] * len(self._seen):
            raise ValueError("not two counts for each server")
        if not (abs(odds) <= SUREST and all(0 <= number <= 2 * MEMORY for each in seen for number in each)):
            raise ValueError("numbers that no luck leads to")
        self._odds, self._seen = odds, [list(each) for each in seen]
        self.is_awake, self.decides = any(limited for limited, _ in seen), odds > 0
