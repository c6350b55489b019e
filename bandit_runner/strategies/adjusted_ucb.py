"""``v3``: adjusted UCB. More optimism while an attempt is free."""

from typing import Annotated

import msgspec

from bandit_runner.strategies.fixed import StopWhenNotWorthIt
from bandit_runner.strategies.ucb1 import UCB1, UCB1Options


class AdjustedUCBOptions(UCB1Options, frozen=True):
    """``c``: the factor of the confidence radius during the free attempts."""

    c: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 3.0


class AdjustedUCB(UCB1):
    """V3 as the original plays it: V2 with the factor 3 during the free attempts.

    The original's smaller factor for later attempts never shows: those go to the best observed rate.

    >>> from bandit_runner.strategies import Outcome, create
    >>> strategy = create("v3", arms=2, seed=1)
    >>> for arm, outcome in [(0, Outcome.OK), (1, Outcome.ERROR), (0, Outcome.OK), (0, Outcome.OK)]:
    ...     strategy.update(arm=arm, outcome=outcome, now=0.0, attempt=0, latency=0.001)
    >>> strategy.select(now=0.1, attempt=0, tried=(), available=range(2))  # 1 + 2.04 against 0 + 3.53
    1
    """

    name = "v3"
    options_type = AdjustedUCBOptions


class AdjustedUCBFixed(StopWhenNotWorthIt, AdjustedUCB):
    """V3 that stops when another attempt is not worth its penalty, instead of going on with the best-rate arm."""

    name = "v3-fixed"
