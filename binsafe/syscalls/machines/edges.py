"""What scans of raw bytes find: branches, and the instructions that name an address with how they use it."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from binsafe.arrays import NDArray

Addresses = NDArray[np.int64]


class Edges(NamedTuple):
    """Direct branches, found by their bytes: from source to target. On x86 some are not instructions at all."""

    sources: Addresses
    targets: Addresses

    def into(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(source, target) of the edges to addresses from ``start`` up to ``end``, of those that are ordered by it."""
        first, last = bisect_left(self.targets.data, start), bisect_left(self.targets.data, end)
        if first == last:
            return iter(())  # as nearly always
        return zip(self.sources[first:last].tolist(), self.targets[first:last].tolist(), strict=True)


class References(NamedTuple):
    """Instructions that name an address relative to their own: where they stand, the address, and how they use it."""

    sources: Addresses
    targets: Addresses
    uses: NDArray[np.int8]
    """`LOADED`, `TAKEN`, `CALLED`, `LOADED_WIDE`, `MAYBE_TAKEN`, `LOADED_WIDEST` or `SUMMED`."""


LOADED, TAKEN, CALLED, LOADED_WIDE, MAYBE_TAKEN, LOADED_WIDEST, SUMMED = 0, 1, 2, 3, 4, 5, 6
"""How an address is used. `LOADED`: one word of memory there is read or written; `LOADED_WIDE` and `LOADED_WIDEST`: up
to 256 or 512 bits, by vector registers. `TAKEN`: the address itself is computed; `MAYBE_TAKEN`: it may be, if the two
instructions that are needed belong together. `CALLED`: a call or jump through the pointer there. `SUMMED`: what was
`TAKEN` of code may be added to what is not known."""
WORD, WIDE, WIDEST = 8, 32, 64
"""Bytes that are reached from a `LOADED`, a `LOADED_WIDE` and a `LOADED_WIDEST` address."""
_AS_ONE = 2
"""Keys that take as much memory as may be taken for the time of one decoded instruction."""


def joined(*edges: Edges) -> Edges:
    """The edges of several sets in one."""
    return Edges(*(np.concatenate(column) for column in zip(*edges, strict=True)))


def between(
    keys: Addresses, first: Addresses, last: Addresses, spend: Callable[[int], None]
) -> tuple[NDArray[np.intp], Addresses]:
    """(index of a range, key) for all of some ascending keys from each ``first`` up to its ``last``.

    ``spend`` is told of them before they are made, and may refuse: each range may hold all of the keys.
    """
    begin, end = np.searchsorted(keys, first), np.searchsorted(keys, last)
    counts = end - begin
    spend(int(counts.sum()) // _AS_ONE)
    which = np.repeat(np.arange(len(first)), counts)
    return which, keys[np.arange(len(which)) + np.repeat(end - np.cumsum(counts), counts)]
