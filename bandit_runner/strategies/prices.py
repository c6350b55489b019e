"""What attempts are worth to a tier: shadow prices of scarce servers, and values of attempts still to come."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeAlias

import msgspec
import numpy as np

from bandit_runner.linear import maximize
from bandit_runner.model import Scoring

LEAST: Final = 0.02
"""A server is worth at least this share of its success rate: prices choose among servers, but never stop an id."""

LOOKAHEAD: Final = 10.0
"""Seconds that prices are made for, at least."""
IDS_AHEAD: Final = 30
"""So many ids prices are made for where they come slowly: for one or two, hardly any server is scarce."""
REPRICE: Final = 0.5
"""Seconds that prices last."""

Worth: TypeAlias = Annotated[float, msgspec.Meta(ge=-1.0, le=1e6)]


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``servers[i]``: what one more admission by server i is worth; ``values[k]``: an id's attempts from k on."""

    servers: list[Worth]
    values: list[Worth]


def gain(success: float, left: float, price: float) -> float:
    """What an attempt that is admitted brings, where ``left`` of an id's worth is not made good by later ones."""
    return max(success * left - price, success * LEAST)


def depth(scoring: Scoring) -> int:
    """How many attempts prices are made for: the free ones, and all where others can be worth their penalty."""
    return scoring.max_attempts if scoring.penalty < 1 else min(scoring.free_attempts, scoring.max_attempts)


def no_prices(arms: int, scoring: Scoring) -> Prices:
    """Before anything is known: nothing is scarce."""
    return Prices(servers=[0.0] * arms, values=[0.0] * (depth(scoring) + 1))


def prices(success: Sequence[float], capacity: Callable[[int], float], scoring: Scoring) -> Prices:
    """The dual variables of the program that uses servers best: the simulator's, with beliefs in place of knowledge.

    Where the best server can serve every attempt of every id, which is asked first, there is nothing to solve.

    Args:
        success: the probability of each server to accept what it admits.
        capacity: how many attempts per id a server admits.
        scoring: what attempts cost.

    >>> prices([0.9, 0.5], lambda arm: 2.0, Scoring())
    Prices(servers=[0.0, 0.0], values=[0.999, 0.99, 0.9, 0.0])
    >>> [round(price, 3) for price in prices([0.9, 0.5], lambda arm: 0.5, Scoring()).servers]
    [0.9, 0.5]
    """
    attempts, arms = depth(scoring), len(success)
    costs = [scoring.penalty * (attempt >= scoring.free_attempts) for attempt in range(attempts)]
    best = max(success)
    if capacity(success.index(best)) * best >= 1 - (1 - best) ** attempts:
        values = [0.0] * (attempts + 1)
        for attempt in reversed(range(attempts)):
            values[attempt] = max(0.0, best - costs[attempt] + (1 - best) * values[attempt + 1])
        return Prices(servers=[0.0] * arms, values=values)
    used = np.zeros((attempts + arms, attempts, arms))
    for attempt in range(attempts):
        used[attempt, attempt] = 1.0
        used[attempts:, attempt] = np.eye(arms)
        if attempt + 1 < attempts:
            used[attempt + 1, attempt] = np.array(success) - 1.0
    bounds = np.array([1.0, *[0.0] * (attempts - 1), *map(capacity, range(arms))])
    gain = np.array(success) - np.array(costs)[:, None]
    duals: list[float] = maximize(gain.ravel(), used.reshape(attempts + arms, attempts * arms), bounds).prices.tolist()
    return Prices(servers=duals[attempts:], values=[*duals[:attempts], 0.0])
