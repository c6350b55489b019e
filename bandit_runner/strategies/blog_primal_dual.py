"""``blog-primal-dual``: the original project's sketch of a primal-dual method. Not the paper's algorithm."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.model import Outcome
from bandit_runner.strategies.knapsack import Knapsack, KnapsackMemory, KnapsackOptions
from bandit_runner.strategies.masked_thompson import LimitedArm

MAX_PRICE = 1e6


class OnePriceMemory(KnapsackMemory, kw_only=True):
    """``price``: the sketch's lambda, one for all servers."""

    price: Annotated[float, msgspec.Meta(ge=0, le=MAX_PRICE)] = 0.0


class OnePriceOptions(KnapsackOptions, frozen=True):
    """``eta``: how fast the price moves. The blog does not define it: the value is ours."""

    eta: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.1


class BlogPrimalDual(Knapsack):
    """The arm of the largest UCB(reward) - lambda LCB(429s), as the blog writes it down.

    After each attempt lambda is multiplied by 1 + eta (consumed - allowed): 1 for a 429, minus the budget per attempt.
    It starts at 0 and is only ever multiplied, so that it stays 0, and this is an optimistic bandit without prices.

    >>> from bandit_runner.strategies import Outcome, create
    >>> def price_after_ten_429s(name):
    ...     strategy = create(name, arms=2, seed=1)
    ...     for _ in range(10):
    ...         strategy.update(arm=0, outcome=Outcome.RATE_LIMITED, now=0.0, attempt=0, latency=0.001)
    ...     return round(strategy.memory.price, 2)
    >>> price_after_ten_429s("blog-primal-dual"), price_after_ten_429s("blog-primal-dual-fixed")
    (0.0, 2.48)
    """

    name = "blog-primal-dual"
    options_type = OnePriceOptions
    options: OnePriceOptions
    memory: OnePriceMemory

    def _informed(self, fresh: Sequence[int]) -> int:
        bounds, price = self._bounds, self.memory.price
        return max(fresh, key=lambda arm: bounds[arm][0] - price * bounds[arm][1])

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        allowed = min(1.0, self.options.allowed / self.options.horizon)
        moved = self.memory.price * (1 + self.options.eta * ((outcome is Outcome.RATE_LIMITED) - allowed))
        self.memory.price = min(MAX_PRICE, moved)

    def _new_memory(self, arms: int) -> OnePriceMemory:
        return OnePriceMemory(arms=[LimitedArm() for _ in range(arms)])


class BlogPrimalDualFixed(BlogPrimalDual):
    """The sketch with a lambda that starts at 1 and does not fall below 0.01, so that it can move."""

    name = "blog-primal-dual-fixed"

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        super()._learn(arm, outcome, now)
        self.memory.price = max(0.01, self.memory.price)

    def _new_memory(self, arms: int) -> OnePriceMemory:
        return OnePriceMemory(arms=[LimitedArm() for _ in range(arms)], price=1.0)
