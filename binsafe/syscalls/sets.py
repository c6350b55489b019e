"""Sets of numbers as sorted arrays. numpy's own functions for them load its masked arrays, a quarter of a second."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from binsafe.arrays import ArrayLike, NDArray

_FEW = 8
"""Values that are found sooner by comparing with each than by a search."""
_AT_ONCE = 1 << 18
"""Values that are looked at at a time: what is made of them on the way is several times as large."""


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The values in ascending order, each once."""
    ordered = np.sort(values, kind="stable")
    return ordered[changes(ordered)]


def changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value is another one than that before it, as the first one is."""
    new = np.ones(len(values), np.bool_)
    new[1:] = values[1:] != values[:-1]
    return new


def joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """All parts, of one at least, in one array; the list is emptied on the way: of millions one copy is enough."""
    whole = np.empty(sum(map(len, parts)), parts[0].dtype)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return whole


def merged(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """The values of all parts in ascending order, each once: in place, since of millions every copy counts."""
    values = joined([*parts])
    values.sort(kind="stable")
    return values[changes(values)]


def packed(high: NDArray[Any], low: NDArray[Any]) -> NDArray[np.uint64]:
    """Pairs of numbers below 2^32 as one number each: half the memory, and sorted in a tenth of the time."""
    return high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)


def firsts(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The values in ascending order, each once, and where each of them stands first."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    new = changes(ordered)
    return ordered[new], order[new]


def among(values: NDArray[Any], wanted: ArrayLike) -> NDArray[np.bool_]:
    """Whether each value is one of those wanted."""
    known = np.asarray(wanted, values.dtype)
    found = np.zeros(len(values), np.bool_)
    if len(known) <= _FEW:
        for each in known:
            found |= values == each
        return found
    known = distinct(known)
    for first in range(0, len(values), _AT_ONCE):
        part = values[first : first + _AT_ONCE]
        found[first : first + _AT_ONCE] = known[np.minimum(np.searchsorted(known, part), len(known) - 1)] == part
    return found
