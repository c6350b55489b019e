"""Which bytes of a slice are code, and what the program's memory holds before it starts.

Code is what executable segments hold; where there is a section table, only what their executable sections hold. (lld
puts constants into the executable segment, too: in Rust and musl programs two thirds of all ``0f 05`` there are data.)
"""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.structure import let_go
from binsafe.model import Segment, Slice
from binsafe.syscalls.sets import joined

Bytes = NDArray[np.uint8]

HIGHEST_ADDRESS = (1 << 57) - 1
"""The kernel loads no program above it: user space has 56 bits (x86-64 with five-level paging)."""

_PAGE = 1 << 12
_PIECE = 1 << 22
"""Bytes that are looked at at once."""


class CodeRange(NamedTuple):
    """A run of executable bytes."""

    address: int
    data: memoryview

    @property
    def end(self) -> int:
        """The address behind the last byte."""
        return self.address + len(self.data)

    def array(self) -> Bytes:
        """The bytes, not copied."""
        return np.frombuffer(self.data, np.uint8)


class Code:
    """The executable ranges of a slice, ascending and disjoint, and its loaded memory."""

    def __init__(self, slice_: Slice) -> None:
        self.slice = slice_
        self.ranges = tuple(_ranges(slice_))
        self._starts = [r.address for r in self.ranges]
        self._ends = [r.end for r in self.ranges]
        self._firsts = [*accumulate((len(r.data) for r in self.ranges), initial=0)]
        self.size = sum(len(r.data) for r in self.ranges)
        self.loaded_size = sum(len(_stored(slice_, s)) for s in slice_.segments)
        """Bytes that all segments take from the file; some may be counted more than once."""

    def range_of(self, address: int) -> CodeRange | None:
        """The executable range that holds an address."""
        at = bisect_right(self._starts, address) - 1
        return self.ranges[at] if at >= 0 and address < self._ends[at] else None

    def holds(self, addresses: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each address lies in executable memory."""
        inside = np.zeros(len(addresses), np.bool_)
        if not self.ranges:
            return inside
        number = addresses.dtype.type
        first, end = number(self._starts[0]), number(self._ends[-1])
        near = np.flatnonzero((addresses >= first) & (addresses < end))  # of words of memory these are few
        some = addresses[near].astype(np.int64)
        starts, ends = self._spans
        inside[near] = some < ends[np.searchsorted(starts, some, side="right") - 1]
        return inside

    @cached_property
    def _spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return np.array(self._starts, np.int64), np.array(self._ends, np.int64)

    def position(self, address: int) -> int:
        """The offset of an address among all bytes of code, if the ranges stood one behind the other.

        For an address that is no code: that of the next code behind it.
        """
        at = bisect_right(self._starts, address) - 1
        return self._firsts[at] + min(address, self._ends[at]) - self._starts[at] if at >= 0 else 0

    def address(self, position: int) -> int:
        """The address at a `position`."""
        at = bisect_right(self._firsts, position) - 1
        return self._starts[at] + position - self._firsts[at]

    def positions(self, addresses: NDArray[np.int64]) -> NDArray[np.int64]:
        """`position` of many addresses, all of them of code."""
        at = np.searchsorted(self._spans[0], addresses, side="right") - 1
        return addresses - self._distances[at]

    def addresses(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """`address` of many positions."""
        return positions + self._distances[np.searchsorted(self._firsts[:-1], positions, side="right") - 1]

    @cached_property
    def _distances(self) -> NDArray[np.int64]:
        return self._spans[0] - np.array(self._firsts[:-1], np.int64)

    def read(self, start: int, end: int) -> bytes:
        """The executable bytes from ``start`` up to ``end``, or to the end of their range."""
        found = self.range_of(start)
        return b"" if found is None else bytes(found.data[start - found.address : max(0, end - found.address)])

    def constant(self, address: int, size: int) -> int | None:
        """The unsigned little-endian number at ``address`` if the program cannot write there, else None."""
        for segment in self.slice.segments:
            if segment.address <= address and address + size <= segment.address + segment.file_size:
                data = b"" if segment.writable else self.slice.read(address, size)
                return int.from_bytes(data, "little") if len(data) == size else None
        return None

    def constants(self, address: int, size: int) -> bytes:
        """The bytes from ``address`` on that the program cannot write, at most ``size``; none where it can."""
        for segment in self.slice.segments:
            if segment.address <= address < segment.address + segment.file_size:
                last = segment.address + segment.file_size
                return b"" if segment.writable else self.slice.read(address, min(size, last - address))
        return b""

    def words(self, value: int, size: int = 1) -> Iterator[int]:
        """The places of aligned 8-byte words in memory that hold an address from ``value`` up to ``value + size``.

        Only addresses of the program's own memory are found.
        """
        values, places = self._held
        first, last = np.searchsorted(values, (value, value + size)).tolist()
        return iter(places[first:last].tolist())

    @cached_property
    def _held(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(addresses, places) of all aligned words that hold an address of the program's memory, by address."""
        segments = [s for s in self.slice.segments if s.address + s.memory_size <= HIGHEST_ADDRESS]
        lowest = min((s.address for s in segments), default=0)
        size = max((s.address + s.memory_size for s in segments), default=0) - lowest
        values, places = ([np.array([], np.int64)] for _ in range(2))
        for segment in segments:
            skew = -segment.address % 8
            for first, words in aligned_words(_stored(self.slice, segment)[skew:]):
                at = np.flatnonzero(words - np.uint64(lowest) < np.uint64(size))
                values.append(words[at].astype(np.int64))
                places.append(segment.address + skew + first + 8 * at)
        held, at = joined(values), joined(places)
        order = np.argsort(held, kind="stable")
        return held[order], at[order]


def beside(code: Code) -> Iterator[CodeRange]:
    """Executable memory in no range of code: other sections of executable segments, and the rest of their pages.

    The kernel maps whole pages of the file: also what lies before a segment's first byte and behind its last one.
    """
    slice_ = code.slice
    for segment in slice_.segments:
        if not segment.executable or not segment.file_size or segment.address + segment.file_size > HIGHEST_ADDRESS:
            continue
        begin = segment.address - min(segment.offset, segment.address) % _PAGE
        end = segment.address + segment.file_size
        end += min(-end % _PAGE, max(0, len(slice_.data) - segment.offset - segment.file_size))
        for first, last in [*((r.address, r.end) for r in code.ranges if begin <= r.address < end), (end, end)]:
            distance = segment.offset - segment.address
            if begin < first:
                yield CodeRange(begin, slice_.data[begin + distance : first + distance])
            begin = max(begin, last)


def aligned_words(data: memoryview) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """(offset, words) of the 8-byte words of some memory, a piece at a time; what follows the last word is left out."""
    for first in range(0, len(data) & ~7, _PIECE):
        yield first, np.frombuffer(data[first : min(first + _PIECE, len(data) & ~7)], np.dtype("<u8"))
        let_go(data)


def _stored(slice_: Slice, segment: Segment) -> memoryview:
    return slice_.data[segment.offset : segment.offset + segment.file_size]


def _ranges(slice_: Slice) -> Iterator[CodeRange]:
    """Executable segments, cut to their executable sections if they have any; overlaps belong to the first one."""
    spans = sorted(
        (start, stop, segment.offset - segment.address)
        for segment in slice_.segments
        if segment.executable and segment.address + segment.file_size <= HIGHEST_ADDRESS
        for start, stop in _executable_spans(slice_, segment)
    )
    end = 0
    for start, stop, distance in spans:
        begin = max(start, end)
        data = slice_.data[max(0, begin + distance) : max(0, stop + distance)]
        if len(data):
            yield CodeRange(begin, data)
            end = begin + len(data)


def _executable_spans(slice_: Slice, segment: Segment) -> list[tuple[int, int]]:
    """(address, end) of the executable sections of a segment; of the segment itself if it has none."""
    last = segment.address + segment.file_size
    sections = [
        (section.address, min(section.address + section.size, last))
        for section in slice_.sections
        if section.executable and section.offset is not None and segment.address <= section.address < last
    ]
    return sections or [(segment.address, last)]
