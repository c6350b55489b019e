"""A linear program with its shadow prices, by the simplex method. Small dense ones only."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

TINY: Final = 1e-9
"""What counts as zero: coefficients here are between 0 and 1."""

Vector = NDArray[np.float64]


class Optimum(NamedTuple):
    """The largest value, and of each constraint what one more unit of its bound would add."""

    value: float
    prices: Vector


def maximize(gain: Vector, used: Vector, bound: Vector) -> Optimum:
    """The optimum of: maximize gain x subject to used x <= bound, x >= 0; all bounds are 0 or more.

    The start is x = 0. Bland's rule picks pivots, so that it ends even where bounds of 0 make the program degenerate.
    Source: Bland, "New finite pivoting rules for the simplex method", Mathematics of Operations Research 2, 1977.

    >>> maximize(np.array([3.0, 2.0]), np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([4.0, 2.0]))
    Optimum(value=10.0, prices=array([2., 1.]))
    """
    rows, columns = used.shape
    table = np.zeros((rows + 1, columns + rows + 1))
    table[:rows, :columns] = used
    table[:rows, columns:-1] = np.eye(rows)
    table[:rows, -1] = bound
    table[rows, :columns] = -gain
    basis = np.arange(columns, columns + rows)
    while (entering := _first(table[rows, :-1] < -TINY)) is not None:
        column = table[:rows, entering]
        positive = np.flatnonzero(column > TINY)
        if not positive.size:
            raise ValueError("the program has no bound")
        ratios = table[positive, -1] / column[positive]
        ties = positive[ratios <= ratios.min() + TINY]
        leaving = ties[np.argmin(basis[ties])]
        table[leaving] /= table[leaving, entering]
        factors = table[:, entering].copy()
        factors[leaving] = 0.0
        table -= np.outer(factors, table[leaving])
        basis[leaving] = entering
    return Optimum(float(table[rows, -1]), table[rows, columns:-1])


def _first(where: NDArray[np.bool_]) -> int | None:
    index = int(np.argmax(where))
    return index if where[index] else None
