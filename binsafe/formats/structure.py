"""Reading fields of hostile bytes, and the rules that all formats share.

Whether a file is *valid* is decided by the rules here and in the ``*_headers`` modules, before anything is made of it
(and before LIEF sees it, which returns something for almost any bytes).
"""

import mmap
import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from operator import attrgetter
from typing import Any, Generic, Literal, Protocol, TypeVar

from binsafe.errors import NotAnalysable

ByteOrder = Literal["little", "big"]
Range = tuple[int, int]
"""A start and a size."""

STRUCT_ORDER = {"little": "<", "big": ">"}
_DO_NOT_RUN = "no loader should take it, and it may have been made to mislead"
_WEARS_OUT = "no program that is known comes near to that; it may have been made to wear readers out"
_FETCH_AGAIN = "it is incomplete; fetch it again and compare its checksum with the sender's"


def malformed(detail: str, *, finding: str = "malformed") -> NotAnalysable:
    """The error for bytes that contradict their format."""
    return NotAnalysable(f"the file is malformed: {_printable(detail)}", hint=_DO_NOT_RUN, finding=finding)


def excessive(detail: str) -> NotAnalysable:
    """The error for a file that a loader may take, and that has more than we look at."""
    return NotAnalysable(f"the file is not read: {_printable(detail)}", hint=_WEARS_OUT)


def truncated(detail: str) -> NotAnalysable:
    """The error for a file that ends before what its headers promise."""
    return NotAnalysable(f"the file is cut off: {_printable(detail)}", hint=_FETCH_AGAIN, finding="truncated")


def _printable(detail: str) -> str:
    """One line without control characters: names in it come from the file."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in detail)


class Reader:
    """Fields of ``data`` in one byte order; whatever would lie outside of it raises NotAnalysable("truncated")."""

    __slots__ = ("_order", "byte_order", "data")

    def __init__(self, data: memoryview, byte_order: ByteOrder) -> None:
        self.data = data
        self.byte_order = byte_order
        self._order = STRUCT_ORDER[byte_order]

    def unpack(self, layout: str, offset: int, what: str) -> tuple[Any, ...]:
        """The fields of a ``struct`` layout without its byte-order mark."""
        layout = self._order + layout
        return struct.unpack(layout, self.range(offset, struct.calcsize(layout), what))

    def rows(self, layout: str, offset: int, size: int, what: str) -> list[tuple[Any, ...]]:
        """The records of a table of ``size`` bytes, which must be a multiple of the record's."""
        return list(struct.iter_unpack(self._order + layout, self.range(offset, size, what)))

    def range(self, offset: int, size: int, what: str) -> memoryview:
        """``size`` bytes at ``offset``, not copied."""
        if offset < 0 or size < 0 or offset + size > len(self.data):
            raise truncated(f"{what}: bytes {offset:,} to {offset + size:,} of a file that has {len(self.data):,}")
        return self.data[offset : offset + size]


class Mapped(Protocol):
    """A range of memory that is filled from the file; ELF's, Mach-O's and PE's own records have this form."""

    @property
    def address(self) -> int:
        """Where it begins in memory."""

    @property
    def memory_size(self) -> int:
        """How many bytes of memory it takes."""

    @property
    def offset(self) -> int:
        """Where its bytes begin in the file."""

    @property
    def file_size(self) -> int:
        """How many bytes of it the file stores; the rest is 0."""


M = TypeVar("M", bound=Mapped)


class Memory(Generic[M]):
    """Ranges that do not overlap, found by address in logarithmic time: hostile files have thousands."""

    __slots__ = ("_ranges", "_starts")

    def __init__(self, ranges: Iterable[M]) -> None:
        self._ranges = sorted(ranges, key=attrgetter("address"))
        self._starts = [mapped.address for mapped in self._ranges]

    def at(self, address: int) -> M | None:
        """The range whose memory holds ``address``."""
        index = bisect_right(self._starts, address) - 1
        found = self._ranges[index] if index >= 0 else None
        return found if found is not None and address < found.address + found.memory_size else None

    def stored(self, address: int) -> tuple[int, int] | None:
        """Offset of the byte at ``address`` and of the end of its range; None where the file stores nothing for it."""
        found = self.at(address)
        if found is None or address - found.address >= found.file_size:
            return None
        return found.offset + address - found.address, found.offset + found.file_size


def text(data: memoryview | bytes, start: int = 0, *, limit: int = 4096) -> str:
    """The NUL-terminated string at ``start``, at most ``limit`` bytes of it; bytes that are not UTF-8 are escaped."""
    return decoded(bytes(data[start : start + limit]).split(b"\0", 1)[0])


_CHUNK = 1024 * 1024
_LET_GO = 16 * _CHUNK
"""Bytes of a mapped file that are read before they are let go; smaller files are kept."""
_LAYERS = 8
"""Real files store no byte for two segments, and next to none for two sections."""
_LONGEST = 256
"""Bytes that are searched at once: what fits into a processor's cache."""


def let_go(data: memoryview) -> None:
    """Give back the memory that a mapped file takes in this process; it comes back, unchanged, where it is read again.

    Who has read a large file from end to end would otherwise have all of it. A small one stays: to have it come back
    takes longer than to scan it. So does what is no mapped file.
    """
    mapped = data.obj
    if isinstance(mapped, mmap.mmap) and len(mapped) > _LET_GO and data.readonly and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def find_all(data: memoryview, needle: bytes) -> Iterator[int]:
    """Where ``needle`` begins in ``data``, ascending. A memoryview cannot be searched: it is copied bit by bit."""
    for start in range(0, len(data), _CHUNK):
        chunk = bytes(data[start : start + _CHUNK + len(needle) - 1])
        at = chunk.find(needle)
        while at >= 0:
            yield start + at
            at = chunk.find(needle, at + 1)
        if start % _LET_GO == 0:
            let_go(data)


def matches(data: memoryview, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Where a pattern of at most `_LONGEST` bytes matches, as ``finditer``, without keeping all of a mapped file."""
    for start in range(0, len(data), _LET_GO):
        for match in pattern.finditer(data, start, min(start + _LET_GO + _LONGEST, len(data))):
            if match.start() < start + _LET_GO:
                yield match
        let_go(data)


def decoded(name: str | bytes) -> str:
    """A name as text; bytes that are not UTF-8 are escaped, so that two different names stay different."""
    return name if isinstance(name, str) else name.decode("utf-8", "backslashreplace")


class Spans:
    """Ranges that may lie over each other, joined: what is in them is found in logarithmic time."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, size in sorted(ranges):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], start + size)
            else:
                self._starts.append(start)
                self._ends.append(start + size)

    def hold(self, start: int, size: int = 1) -> bool:
        """Whether all of a range is in them."""
        index = bisect_right(self._starts, start) - 1
        return index >= 0 and start + size <= self._ends[index]


def is_layered(ranges: Iterable[Range], size: int) -> bool:
    """Whether a file's ranges hold its bytes many times over: who looks at each of them would never end."""
    return sum(length for _, length in ranges) > _LAYERS * size


def overlap(ranges: Iterable[Range]) -> tuple[Range, Range] | None:
    """Two of the ranges that share a byte; None where all are apart."""
    ordered = sorted((start, size) for start, size in ranges if size > 0)
    return next(((a, b) for a, b in pairwise(ordered) if a[0] + a[1] > b[0]), None)


def refuse_overlap(ranges: Iterable[Range], what: str, *, finding: str = "malformed") -> None:
    """Refuse ranges that share a byte: which of two contents counts would depend on the reader.

    Raises:
        NotAnalysable: two of them overlap.
    """
    pair = overlap(ranges)
    if pair is not None:
        (first, first_size), (second, second_size) = pair
        raise malformed(
            f"{what} overlap: {first:#x} to {first + first_size:#x} and {second:#x} to {second + second_size:#x}",
            finding=finding,
        )
