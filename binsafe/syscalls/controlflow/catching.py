"""Landing pads: where exceptions are caught, or objects destroyed by them, and out of which code. No branch shows that.

One range of code is asked for at a time: a large C++ program has a hundred thousand functions that catch.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.eh_frame_hdr import Listed
from binsafe.formats.eh_pointers import OMITTED
from binsafe.formats.exception_table import call_sites
from binsafe.model import Slice
from binsafe.syscalls.controlflow.catchers import Catchers, catchers
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS
from binsafe.syscalls.machines.edges import Addresses, Edges

_MOST_KEPT = 1 << 16
"""Entries that are kept to be asked for again."""


class Caught(NamedTuple):
    """An exception out of code from ``start`` up to ``end`` leads to ``pad``."""

    start: int
    end: int
    pad: int
    level: bool
    """Whether the stack pointer is at the landing pad what it was in that code: nothing was pushed for a call."""


class Catching:
    """The landing pads of a slice."""

    def __init__(self, slice_: Slice, listed: Listed | None, spend: Callable[[int], None]) -> None:
        """``listed`` is the index, None where it was not read; ``spend`` is told what reading costs, and may refuse."""
        self._slice = slice_
        self._listed = listed
        self._spend = spend
        self._known: dict[int, tuple[Caught, ...]] = {}
        self._kept = 0

    def around(self, start: int, end: int) -> tuple[Caught, ...] | None:
        """What is caught of exceptions out of a range of code, and what is caught there; None where that is not told.

        Raises:
            OutOfInstructions: the budget was used up.
        """
        functions, elsewhere = self._functions, self._elsewhere
        if functions is None or elsewhere is None:
            return None
        first, last = (bisect_left(elsewhere, address, key=lambda each: each.pad) for address in (start, end))
        found = elsewhere[first:last]
        at = bisect_left(functions.starts, end)
        while at and functions.reach[at - 1] > start:
            at -= 1
            try:
                caught = self._caught(functions, at)
            except (LookupError, ValueError):
                return None
            found += [each for each in caught if (each.start < end and each.end > start) or start <= each.pad < end]
        return _apart(found)

    def leading_elsewhere(self) -> Edges:
        """From code to landing pads outside of its function, which was split; none where that is not told."""
        found = self._elsewhere or ()
        sources, targets = ([each.start for each in found], [each.pad for each in found])
        return Edges(np.array(sources, np.int64), np.array(targets, np.int64))

    @cached_property
    def _functions(self) -> Catchers | None:
        return catchers(self._slice, self._listed, self._spend)

    @cached_property
    def _elsewhere(self) -> list[Caught] | None:
        """What leads out of its function, by landing pad; None where not all is told.

        Only where a function was split says its table from where landing pads count.
        """
        functions = self._functions
        if functions is None:
            return None
        found: list[Caught] = []
        for at in np.flatnonzero(_first_bytes(self._slice, functions.tables) != OMITTED).tolist():
            try:
                function = functions.read(at)
                found += [c for c in self._caught(functions, at) if not function.start <= c.pad < function.end]
            except (LookupError, ValueError):
                return None
        return sorted(found, key=lambda caught: caught.pad)

    def _caught(self, functions: Catchers, at: int) -> tuple[Caught, ...]:
        """What is caught of exceptions out of one function."""
        if at not in self._known:
            if self._kept > _MOST_KEPT:
                self._known.clear()
                self._kept = 0
            self._known[at] = tuple(self._read(functions, at))
            self._kept += len(self._known[at])
        self._spend(1 + len(self._known[at]))
        return self._known[at]

    def _read(self, functions: Catchers, at: int) -> Iterator[Caught]:
        function = functions.read(at)
        size = function.end - function.start
        sites = call_sites(self._slice, function.table, function.start, size, self._spend)
        yield from (Caught(*site, level=not function.pushes) for site in sites if site.pad <= HIGHEST_ADDRESS)


def _apart(found: list[Caught]) -> tuple[Caught, ...] | None:
    """What was found, by the code that it is about; None where two things are said of the same code."""
    ordered = sorted(found)
    return None if any(one.end > other.start for one, other in pairwise(ordered)) else tuple(ordered)


def _first_bytes(slice_: Slice, addresses: Addresses) -> NDArray[np.uint8]:
    """What stands in memory at each address; 0 where nothing does."""
    file, found = np.frombuffer(slice_.data, np.uint8), np.zeros(len(addresses), np.uint8)
    for segment in slice_.segments:
        inside = np.flatnonzero((addresses >= segment.address) & (addresses < segment.address + segment.file_size))
        if len(inside):
            found[inside] = file[addresses[inside] - segment.address + segment.offset]
    return found
