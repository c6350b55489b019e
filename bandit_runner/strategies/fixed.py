"""What the ``-fixed`` forms do otherwise than the original: they stop, and they respect what was tried."""

from collections.abc import Sequence

from bandit_runner.strategies.base import STOP, Choice, Strategy


class StopWhenNotWorthIt(Strategy):
    """The fix that all ``-fixed`` forms share: after the free attempts an attempt must be worth its penalty.

    An attempt on an arm with success probability p is worth p - penalty. With a penalty of 1 that is never positive:
    stop. With less, go on with the untried arm of the highest posterior mean (s+1)/(n+2) while it exceeds the penalty.
    """

    def _choose_extra(self, now: float, tried: Sequence[int], usable: Sequence[int]) -> Choice:
        arms = self.memory.arms

        def posterior_mean(arm: int) -> float:
            return (arms[arm].successes + 1) / (arms[arm].pulls + 2)

        candidates = [arm for arm in self._open(now, usable) if arm not in tried]
        best = max(candidates, key=posterior_mean, default=None)
        return STOP if best is None or posterior_mean(best) <= self.scoring.penalty else best
