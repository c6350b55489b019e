"""A linear program with its shadow prices, by the simplex method. Small dense ones only. Pure."""

import itertools
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

TINY: Final = 1e-9
"""What counts as zero: coefficients here are about 1."""
PATIENCE: Final = 10
"""Pivots per constraint; a program seldom needs three."""

Vector = NDArray[np.float64]


class Optimum(NamedTuple):
    """The largest value, where it is reached, and of each constraint what one more unit of its bound would add."""

    value: float
    point: Vector
    prices: Vector


def maximize(gain: Vector, used: Vector, bound: Vector) -> Optimum:
    """The optimum of: maximize gain x subject to used x <= bound, x >= 0. No bound is below 0, so x = 0 is feasible.

    The largest coefficient picks pivots, which is quick; after many of them Bland's rule does, so that it ends even
    where bounds of 0 make the program degenerate. Source: Bland, "New finite pivoting rules for the simplex method",
    Mathematics of Operations Research 2, 1977; Chvatal, "Linear Programming", 1983, chapter 3.

    Raises:
        ValueError: a bound is below 0, or the value has no bound.

    >>> maximize(np.array([3.0, 2.0]), np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([4.0, 2.0]))
    Optimum(value=10.0, point=array([2., 2.]), prices=array([2., 1.]))
    """
    if bound.min() < 0:
        raise ValueError("a bound is below 0")
    rows, columns = used.shape
    table = np.zeros((rows + 1, columns + rows + 1))  # x, slacks, bounds
    table[:rows, :columns] = used
    table[:rows, columns:-1] = np.eye(rows)
    table[:rows, -1] = bound
    table[rows, :columns] = -gain
    basis = np.arange(columns, columns + rows)
    _climb(table, basis)
    point = np.zeros(columns + rows)
    point[basis] = table[:rows, -1]
    return Optimum(float(table[rows, -1]), point[:columns], table[rows, columns:-1].copy())


def _climb(table: Vector, basis: NDArray[np.intp]) -> None:
    rows = len(basis)
    costs = table[rows, :-1]
    for pivots in itertools.count():
        entering = int(np.argmin(costs) if pivots < PATIENCE * rows else np.argmax(costs < -TINY))
        if costs[entering] >= -TINY:
            return
        column = table[:rows, entering]
        positive = np.flatnonzero(column > TINY)
        if not positive.size:
            raise ValueError("the program has no bound")
        ratios = table[positive, -1] / column[positive]
        ties = positive[ratios <= ratios.min() + TINY]
        _pivot(table, basis, int(ties[np.argmin(basis[ties])]), entering)


def _pivot(table: Vector, basis: NDArray[np.intp], leaving: int, entering: int) -> None:
    table[leaving] /= table[leaving, entering]
    factors = table[:, entering].copy()
    factors[leaving] = 0.0
    table -= factors[:, None] * table[leaving]
    basis[leaving] = entering
