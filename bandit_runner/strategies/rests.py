"""What a short rest leaves of servers' success rates, learned over all servers of a tier.

Servers that answer errors where others answer 429, whose errors come in bursts, or that fail the more the more they are
asked have one thing in common: asked again soon they do worse than they usually do. Where none of this is so, as much
succeeds after any rest as was expected, and nothing is changed.
"""

import math
from bisect import bisect
from collections.abc import Sequence
from typing import Final

import numpy as np

RESTS: Final = (0.008, 0.04, 0.2, 1.0, 5.0)
"""Seconds between which rests are told apart."""
DOUBT: Final = 10.0
"""So many successes, as expected, stand beside what is seen after each rest."""
TIRED: Final = 0.75
"""Where less than this share of what was expected succeeds after some rest, servers are taken to need it."""
MEMORY: Final = 400.0
"""So many successes expected after a rest, and all that was seen after it counts half from then on."""
NEVER: Final = -1e15
"""When a server was asked that never was; finite, as saved states are."""


class Rests:
    """How many attempts after each rest succeeded, and how many were expected to, whichever the server.

    >>> rests = Rests(2)
    >>> for second in range(40):
    ...     rests.learn(0, second, 0.5, accepted=True)  # after nearly a second
    ...     rests.learn(0, second + 0.1, 0.5, accepted=False)  # soon
    >>> rests.matter, rests.share(0, 40.0) > 0.9, rests.share(0, 39.2) < 0.5, rests.share(1, 39.2) > 0.9
    (True, True, True, True)
    """

    __slots__ = ("_asked", "_seen", "_shares", "matter")

    def __init__(self, arms: int) -> None:
        self._asked = [NEVER] * arms
        self._seen = [[DOUBT, DOUBT] for _ in range(len(RESTS) + 1)]  # successes, and what was expected
        self._shares = [1.0] * len(self._seen)
        self.matter = False
        """Whether a share is to be asked for at all."""

    def share(self, arm: int, now: float) -> float:
        """What is left of the server's success rate now, after the rest that it has had; 1 where that is enough."""
        return self._shares[bisect(RESTS, now - self._asked[arm])]

    def learn(self, arm: int, now: float, expected: float, *, accepted: bool) -> None:
        """An attempt was answered that was ``expected`` to succeed so often, whatever the rest."""
        rest = bisect(RESTS, now - self._asked[arm])
        self._asked[arm] = now
        seen = self._seen[rest]
        seen[0] += accepted
        seen[1] += expected
        if self.matter or not accepted:  # else it can only matter less
            if seen[1] > MEMORY:
                seen[:] = seen[0] / 2, seen[1] / 2
            self._look(rest)

    def _look(self, rest: int) -> None:
        succeeded, expected = self._seen[rest]
        self._shares[rest] = min(1.0, succeeded / expected)
        self.matter = min(self._shares) < TIRED

    def _look_at_all(self) -> None:
        for rest in range(len(self._seen)):
            self._look(rest)

    def pack(self) -> list[list[float]]:
        """The whole state as plain JSON; what `unpack` takes."""
        self._look_at_all()  # as it is found where this is unpacked
        return [list(self._asked), *map(list, self._seen)]

    def unpack(self, state: Sequence[float | list[float] | None]) -> None:
        """Go on from a packed state of as many servers.

        Raises:
            ValueError: it is not one.
        """
        asked, *seen = (np.array(numbers, dtype=float) for numbers in state)
        if asked.shape != (len(self._asked),) or [each.shape for each in seen] != [(2,)] * len(self._seen):
            raise ValueError("not as many numbers as arms and rests")
        if not (np.isfinite(asked).all() and all(0 < number < math.inf for each in seen for number in each)):
            raise ValueError("numbers that no rest leads to")
        self._asked, self._seen = asked.tolist(), [each.tolist() for each in seen]
        self._look_at_all()
