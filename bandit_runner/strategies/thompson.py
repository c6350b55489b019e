"""``v4``: Thompson sampling. Each arm is played as often as it is likely to be the best."""

from collections.abc import Sequence
from typing import Any

import msgspec

from bandit_runner.errors import StateMismatch
from bandit_runner.model import Outcome, Scoring
from bandit_runner.strategies.base import Choice, Options, Strategy
from bandit_runner.strategies.draws import Betas, Drawn
from bandit_runner.strategies.fixed import StopWhenNotWorthIt


class Thompson(Strategy):
    """V4 as the original plays it: one sample of Beta(1+s, 1+f) per arm, the largest is played.

    From the fourth attempt on: the best observed rate, whatever this id has tried. Source: Thompson, "On the likelihood
    that one unknown probability exceeds another", Biometrika 25, 1933; Agrawal and Goyal, "Analysis of Thompson
    Sampling for the Multi-armed Bandit Problem", COLT 2012, algorithm 1; leaving out arms that were tried for the same
    id is the original project's addition.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("v4", arms=2, seed=1)
    >>> for _ in range(20):
    ...     strategy.update(arm=0, outcome=Outcome.ERROR, now=0.0, attempt=0, latency=0.001)
    ...     strategy.update(arm=1, outcome=Outcome.OK, now=0.0, attempt=0, latency=0.001)
    >>> [strategy.select(now=0.1, attempt=0, tried=(), available=range(2)) for _ in range(5)]
    [1, 1, 1, 1, 1]
    """

    name = "v4"

    def __init__(self, *, arms: int, seed: int, scoring: Scoring, options: Options) -> None:
        super().__init__(arms=arms, seed=seed, scoring=scoring, options=options)
        self._betas = Betas(arms=arms, seed=seed)
        self._posteriors: dict[int, dict[int, tuple[float, float]]] = {}
        """By attempt and arm, until the arm's counts change."""

    def snapshot(self) -> dict[str, Any]:
        """As every strategy's."""
        return {**super().snapshot(), "drawn": msgspec.to_builtins(self._betas.pack())}

    def restore(self, state: dict[str, Any]) -> None:
        """As every strategy's."""
        betas = Betas(arms=len(self.memory.arms), seed=0)
        try:
            betas.unpack(msgspec.convert(state.get("drawn"), Drawn))
        except ValueError as error:
            raise StateMismatch(f"the saved state is damaged: {error}", hint="start without it") from error
        super().restore({name: value for name, value in state.items() if name != "drawn"})
        self._betas = betas
        self._posteriors.clear()

    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        del now, usable
        return self._sample_best(fresh, attempt)

    def _sample_best(self, candidates: Sequence[int], attempt: int) -> int:
        known = self._posteriors.setdefault(attempt, {})
        for arm in candidates:
            if arm not in known:
                known[arm] = self._posterior(arm, attempt)
        samples = self._betas.draw([known[arm] for arm in candidates])
        return candidates[samples.index(max(samples))]

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        for known in self._posteriors.values():
            known.pop(arm, None)

    def _posterior(self, arm: int, attempt: int) -> tuple[float, float]:
        """Alpha and beta of what is believed of an arm's success rate: a uniform prior and the counts."""
        del attempt
        counts = self.memory.arms[arm]
        return 1.0 + counts.successes, 1.0 + counts.failures


class ThompsonFixed(StopWhenNotWorthIt, Thompson):
    """V4 that stops when another attempt is not worth its penalty, instead of going on with the best-rate arm."""

    name = "v4-fixed"
