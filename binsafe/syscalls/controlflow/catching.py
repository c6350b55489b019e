"""Where exceptions may be caught, which no instruction leads to."""

from bisect import bisect_left
from functools import cached_property
from itertools import accumulate

from binsafe.formats.eh_frame import frames
from binsafe.formats.structure import find_all
from binsafe.model import Slice

_CATCHING = b"zPL"
"""In call frame information: functions have a personality routine and data of their language."""


class Catching:
    """Where functions catch exceptions, by what the call frame information of a slice says."""

    def __init__(self, slice_: Slice) -> None:
        self._slice = slice_

    def within(self, start: int, end: int) -> bool:
        """Whether control may come to a landing pad in a range of code; so too where that cannot be told."""
        told = self._functions
        if told is None:
            return next(find_all(self._slice.data, _CATCHING), None) is not None
        starts, reach = told
        at = bisect_left(starts, end)
        return at > 0 and reach[at - 1] > start

    @cached_property
    def _functions(self) -> tuple[list[int], list[int]] | None:
        """Where functions start in which exceptions may be caught, ascending, and how far all up to each one reach.

        None where that cannot be told.
        """
        told = frames(self._slice)
        catching = [] if told is None else [each for each in told.extents if each.catches]
        reach = [*accumulate((each.end for each in catching), max)]
        return None if told is None else ([each.start for each in catching], reach)
