"""What is believed of servers' success rates: Beta posteriors that fade, the suspicion that one is down, strain."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from bandit_runner.strategies.strain import Packed as PackedStrain
from bandit_runner.strategies.strain import Strain

PRIOR: Final = (2.0, 1.2)
"""Alpha and beta before the first attempt: as weak as three attempts, with the mean that servers were found to have.

The uniform distribution on 0.28..0.98 fits the logs of 130 starts of the original servers best."""

OPTIMISM: Final = 1.645
"""Standard deviations: the upper end of a one-sided 95% interval."""

MEMORY: Final = 400.0
"""Attempts after which an outcome counts for 1/e, so that a rate which drifts is followed."""

_ALPHA, _BETA = PRIOR
_KEPT: Final = 1 - 1 / MEMORY

ONSET: Final = 1 / 300
RECOVERY: Final = 1 / 10
"""Per second: how often a server goes down, and how soon it is back."""
DOWN_RATE: Final = 0.02
"""What a server that is down still accepts."""

SUREST: Final = 0.99
"""Nobody's attempts are surer than this to succeed."""

STEP: Final = 0.05
"""Seconds in which nobody goes down or comes back, so that at thousands of ids a second most find all as it was."""


class Quality:
    """Per server: Beta(alpha, beta) of its success rate while it is up, and the probability that it is down.

    The second is the filter of a two-state hidden Markov chain (Rabiner, Proceedings of the IEEE 77, 1989): a failure
    raises it, the more so the better the server usually is; a success ends it; time moves it to its long-run share.
    Where servers are seen to fail the more the more they are asked, what load leaves is a factor (`Strain`).

    >>> quality = Quality(2)
    >>> for second in range(20):
    ...     quality.advance(float(second))
    ...     quality.observe(0, accepted=True)
    >>> [round(mean, 2) for mean in quality.means()]
    [0.95, 0.6]
    >>> for second in range(20, 24):
    ...     quality.advance(float(second))
    ...     quality.observe(0, accepted=False)
    >>> quality.means()[0] < 0.1
    True
    """

    def __init__(self, arms: int) -> None:
        # lists: for the few servers that a tier has they are faster than arrays
        self.alpha = [PRIOR[0]] * arms
        self.beta = [PRIOR[1]] * arms
        self.down = [ONSET / (ONSET + RECOVERY)] * arms
        self.strain = Strain(arms, PRIOR)
        self.now: float | None = None
        self._clock = 0.0

    def advance(self, now: float) -> None:
        """Let time pass: less than ``STEP`` for load only."""
        self._clock = now
        if self.now is not None:
            passed = now - self.now
            if 0 <= passed < STEP:
                return
            if passed > 0:
                stays = math.exp(-(ONSET + RECOVERY) * passed)
                gained = (1 - stays) * ONSET / (ONSET + RECOVERY)
                self.down = [down * stays + gained for down in self.down]
        self.now = now

    def means(self) -> list[float]:
        """The expected success probability of an admitted attempt now, less what it takes from others."""
        means = [
            alpha / (alpha + beta) * (1 - down)
            for alpha, beta, down in zip(self.alpha, self.beta, self.down, strict=True)
        ]
        if self.strain.matters:
            return [mean * self.strain.worth(arm, self._clock) for arm, mean in enumerate(means)]
        return means

    def hopes(self, under_way: Sequence[int]) -> list[float]:
        """The `hope` of each."""
        return [self.hope(arm, more) for arm, more in enumerate(under_way)]

    def hope(self, arm: int, under_way: int) -> float:
        """What it could be: the mean plus ``OPTIMISM`` standard deviations, as if attempts under way were known."""
        total = self.alpha[arm] + self.beta[arm]
        mean = self.alpha[arm] / total
        hope = (mean + OPTIMISM * math.sqrt(mean * (1 - mean) / (total + 1 + under_way))) * (1 - self.down[arm])
        return hope * self.strain.worth(arm, self._clock) if self.strain.matters else hope

    def observe(self, arm: int, *, accepted: bool) -> None:
        """Learn from an admitted attempt."""
        alpha, beta, down = self.alpha[arm], self.beta[arm], self.down[arm]
        mean = alpha / (alpha + beta)
        if self.strain.matters:
            mean = min(mean * self.strain.left(arm, self._clock), SUREST)
        self.strain.write(arm, self._clock, 1 - down, accepted=accepted)
        alpha, beta = _ALPHA + (alpha - _ALPHA) * _KEPT, _BETA + (beta - _BETA) * _KEPT
        up_says, down_says = (mean, DOWN_RATE) if accepted else (1 - mean, 1 - DOWN_RATE)
        is_down = down * down_says
        self.down[arm] = down = is_down / (is_down + (1 - down) * up_says)
        if accepted:
            alpha += 1 - down
        else:
            beta += 1 - down
        self.alpha[arm], self.beta[arm] = alpha, beta

    def pack(self) -> list[float | list[float] | None]:
        """The whole state but for that of ``strain``, as plain JSON; `unpack` takes both."""
        self.strain.weigh()
        return [self.now, list(self.alpha), list(self.beta), list(self.down)]

    def unpack(self, state: Sequence[float | list[float] | None], strain: PackedStrain | None) -> None:
        """Go on from a packed state; older ones do not speak of strain.

        Raises:
            ValueError: it is not one.
        """
        now, *packed = state
        alpha, beta, down = (np.array(numbers, dtype=float) for numbers in packed[:3])  # older states have more
        if isinstance(now, list) or {alpha.shape, beta.shape, down.shape} != {(len(self.alpha),)}:
            raise ValueError("not as many numbers as arms")
        if not ((alpha > 0) & (alpha < math.inf) & (beta > 0) & (beta < math.inf) & (down >= 0) & (down <= 1)).all():
            raise ValueError("numbers that no belief holds")
        if strain is not None:
            self.strain.unpack(strain)
        self.now, self.alpha, self.beta, self.down = now, alpha.tolist(), beta.tolist(), down.tolist()
