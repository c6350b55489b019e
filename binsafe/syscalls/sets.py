"""Sets of numbers as sorted arrays. numpy's own functions for them load its masked arrays, a quarter of a second."""

from typing import Any

import numpy as np
import numpy.typing as npt


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values in ascending order, each once."""
    ordered = np.sort(values, kind="stable")
    new = np.ones(len(ordered), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new]


def packed(high: npt.NDArray[Any], low: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Pairs of numbers below 2^32 as one number each: half the memory, and sorted in a tenth of the time."""
    return high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)


def firsts(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """The values in ascending order, each once, and where each of them stands first."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    new = np.ones(len(ordered), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new], order[new]


def among(values: npt.NDArray[Any], wanted: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether each value is one of those wanted."""
    known = distinct(np.asarray(wanted, values.dtype))
    if not len(known):
        return np.zeros(len(values), np.bool_)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.asarray(known[at] == values, np.bool_)
