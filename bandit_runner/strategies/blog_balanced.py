"""``blog-balanced``: the original project's sketch of balanced exploration. Not the paper's algorithm."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.strategies.knapsack import Knapsack, KnapsackOptions


class SketchOptions(KnapsackOptions, frozen=True):
    """``epsilon``: how often ``should_explore`` says yes. The blog defines neither: the values here are ours."""

    epsilon: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1


class BlogBalanced(Knapsack):
    """With probability ``epsilon`` the arm with the fewest attempts, else the largest UCB(reward) / LCB(cost).

    An arm's cost is one attempt plus its probability to answer 429. The blog leaves open when to explore and what a
    cost of nothing is worth; this is our reading.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("blog-balanced", arms=2, seed=1, epsilon=0.0)
    >>> for _ in range(50):
    ...     strategy.update(arm=0, outcome=Outcome.OK, now=0.0, attempt=0, latency=0.001)
    ...     strategy.update(arm=1, outcome=Outcome.ERROR, now=0.0, attempt=0, latency=0.001)
    >>> strategy.select(now=0.1, attempt=0, tried=(), available=range(2))
    0
    """

    name = "blog-balanced"
    options_type = SketchOptions
    options: SketchOptions

    def _informed(self, fresh: Sequence[int]) -> int:
        if self._random.random() < self.options.epsilon:
            return min(fresh, key=self._attempts)
        bounds = self._bounds
        return max(fresh, key=lambda arm: bounds[arm][0] / (1.0 + bounds[arm][1]))
