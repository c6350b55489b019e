"""``bwk-primal-dual``: Bandits with Knapsacks by multiplicative weights. Reward for the price of what it uses."""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit_runner.model import Outcome
from bandit_runner.strategies.knapsack import Knapsack, KnapsackMemory
from bandit_runner.strategies.masked_thompson import LimitedArm

Weight = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class PricedMemory(KnapsackMemory, kw_only=True):
    """The logarithms of the paper's v: of the attempts, and of each arm's 429s."""

    log_time: Weight = 0.0
    log_prices: list[Weight]


class PrimalDual(Knapsack):
    """PrimalDualBwK (algorithm 2 of arXiv 1305.2545): the arm of the largest u / (L . v / |v|).

    u is the upper confidence bound of the reward, L the lower ones of the consumption of each resource, v the prices of
    the resources. After each attempt v_i is multiplied by (1 + epsilon)^L_i, epsilon = sqrt(ln d / B). Resources are
    scaled so that all have the smallest budget B: an attempt uses B / horizon of the attempts, a 429 B / budget of the
    arm's own.
    All arms are pulled once first, which changes no price. Prices start again with each horizon; estimates are kept.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("bwk-primal-dual", arms=2, seed=1, budgets=5)
    >>> for outcome in [Outcome.OK] * 30 + [Outcome.RATE_LIMITED] * 20:
    ...     strategy.update(arm=0, outcome=outcome, now=0.0, attempt=0, latency=0.001)
    >>> for _ in range(50):
    ...     strategy.update(arm=1, outcome=Outcome.OK, now=0.0, attempt=0, latency=0.001)
    >>> strategy.select(now=0.1, attempt=0, tried=(), available=range(2))
    1
    """

    name = "bwk-primal-dual"
    memory: PricedMemory

    def _informed(self, fresh: Sequence[int]) -> int:
        memory, bounds, scale = self.memory, self._bounds, self._scaled_rejection
        highest = max(memory.log_time, *memory.log_prices)
        time = self._scaled_attempt * math.exp(memory.log_time - highest)
        best, most = fresh[0], -1.0
        for arm in fresh:
            reward, rejection = bounds[arm]
            price = scale * math.exp(memory.log_prices[arm] - highest) if rejection else 0.0
            worth = reward / (time + rejection * price)
            if worth > most:
                best, most = arm, worth
        return best

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        memory, is_first = self.memory, not self._attempts(arm)
        rejection = 0.0 if is_first else self._rejection(arm)[0]  # as it was when the arm was chosen
        super()._learn(arm, outcome, now)
        if memory.spent == 0:
            memory.log_time, memory.log_prices = 0.0, [0.0] * len(memory.log_prices)
        elif not is_first:
            step = math.log1p(math.sqrt(math.log(len(memory.arms) + 1) / self._budget))
            memory.log_time += step * self._scaled_attempt
            memory.log_prices[arm] += step * self._scaled_rejection * rejection

    @property
    def _budget(self) -> float:
        """The smallest budget, to which all resources are scaled."""
        return min(self.options.horizon, self.options.allowed)

    @property
    def _scaled_attempt(self) -> float:
        return self._budget / self.options.horizon

    @property
    def _scaled_rejection(self) -> float:
        return self._budget / self.options.allowed

    def _new_memory(self, arms: int) -> PricedMemory:
        return PricedMemory(arms=[LimitedArm() for _ in range(arms)], log_prices=[0.0] * arms)
