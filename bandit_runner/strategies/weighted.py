"""What weighted guesses of one server, or of all, come to."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bandit_runner.strategies import guesses
from bandit_runner.strategies.guesses import TOKENS, Floats

NEGLIGIBLE: Final = 1e-6
"""A guess that is believed no more than this is not looked at."""
CERTAIN: Final = (0.005, 0.998)
"""No prediction is surer than this."""


def fewest(x: Floats, weights: Floats) -> Floats:
    """The fewest tokens of any guess that counts."""
    found: Floats = np.where(weights > NEGLIGIBLE, x[TOKENS], np.float32(guesses.UNLIMITED)).min(axis=-1)
    return found


def bounded(chance: float) -> float:
    """As sure as a prediction may be."""
    low, high = CERTAIN
    return min(max(chance, low), high)


def chosen(belief: Floats, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """So many guesses, each as often as it deserves (systematic resampling), in random order."""
    steps = (np.arange(count) + rng.random()) / count
    return np.minimum(np.searchsorted(np.cumsum(belief, dtype=float), steps), len(belief) - 1)


def quantile(values: Floats, weights: Floats, share: float) -> float:
    """The value that so large a share of the belief does not exceed.

    >>> quantile(np.float32([3, 1, 2]), np.float32([0.5, 0.25, 0.25]), 0.2)
    1.0
    """
    order = values.argsort()
    place = int(np.searchsorted(weights[order].cumsum(dtype=float), share))
    return float(values[order[min(place, len(order) - 1)]])
