"""Indices of the code, made by scanning its bytes: all direct branches, and all instructions that name addresses.

Scanning finds every branch at memory speed. On x86 it also finds bytes that are no instruction: users of an edge check
that an instruction starts at its source.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.structure import let_go
from binsafe.syscalls.decoding.code import Code, CodeRange
from binsafe.syscalls.machines.edges import Addresses, Edges, References
from binsafe.syscalls.sets import joined, packed

_PIECE = 1 << 22
"""Bytes that are scanned at a time: the scans' temporary arrays are several times that large."""
_AT_ONCE = 1 << 18
"""Edges that are looked at at a time, for the same reason."""
BEFORE_TABLE = 64
"""Bytes before a table at which code may begin to count."""
_OVERLAP = 1 << 14
"""Bytes of the next piece that are scanned too; nothing that is looked for is longer, pairs of arm64's included."""


class Index:
    """Direct branches of one kind, sorted by target. Each is one number of 64 bits: there may be millions."""

    def __init__(self, code: Code, scan: Callable[[CodeRange], Edges], spend: Callable[[int], None]) -> None:
        """Scan all of ``code``; ``spend`` is told how many edges were found, and may refuse."""
        self._code = code
        found = [np.array([], np.uint64)]
        for piece in pieces(code.ranges):
            edges = scan(piece)
            if not len(edges.targets):
                continue  # most files have sections of a few bytes
            edges = _inside(edges, code, piece.address + _PIECE)
            spend(len(edges.targets))
            found.append(packed(code.positions(edges.targets), code.positions(edges.sources)))
        self._pairs = joined(found)
        """The position of each target, see `Code.position`, and in the lower half that of its source."""
        self._pairs.sort()
        self._column = self._pairs.data

    @property
    def targets(self) -> Addresses:
        """The addresses to which they lead, ascending."""
        return self._code.addresses((self._pairs >> np.uint64(32)).astype(np.int64))

    def parts(self) -> Iterator[Edges]:
        """All of them, by target, some at a time."""
        for first in range(0, len(self._pairs), _AT_ONCE):
            pairs = self._pairs[first : first + _AT_ONCE]
            targets, sources = pairs >> np.uint64(32), pairs & np.uint64(0xFFFF_FFFF)
            yield Edges(*(self._code.addresses(each.astype(np.int64)) for each in (sources, targets)))

    def shortly_ahead(self, reach: int) -> Edges:
        """Those that lead less than some bytes ahead, by target."""
        distances = (self._pairs >> np.uint64(32)) - (self._pairs & np.uint64(0xFFFF_FFFF))  # huge where backward
        pairs = self._pairs[(distances > 0) & (distances < reach)]
        targets, sources = pairs >> np.uint64(32), pairs & np.uint64(0xFFFF_FFFF)
        return Edges(*(self._code.addresses(each.astype(np.int64)) for each in (sources, targets)))

    def into(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(source, target) of the edges whose target lies in a range."""
        first = bisect_left(self._column, self._code.position(start) << 32)  # in numpy it takes longer
        last = bisect_left(self._column, self._code.position(end) << 32, first)
        address = self._code.address
        return ((address(pair & 0xFFFF_FFFF), address(pair >> 32)) for pair in self._column[first:last].tolist())

    def last(self, addresses: Addresses) -> Addresses:
        """The last target up to each address, -1 for none."""
        if not len(self._pairs):
            return np.full(len(addresses), -1, np.int64)
        behind = (self._code.positions(addresses) + 1).astype(np.uint64) << np.uint64(32)
        at = np.searchsorted(self._pairs, behind) - 1
        return np.where(at >= 0, self._code.addresses((self._pairs[at] >> np.uint64(32)).astype(np.int64)), -1)

    def entering(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """`into`, less the edges from inside of the range: most jumps stay in their function."""
        position, address = self._code.position, self._code.address
        low, high = position(start), position(end)
        first = bisect_left(self._column, low << 32)
        last = bisect_left(self._column, high << 32, first)
        for pair in self._column[first:last].tolist():
            if not low <= pair & 0xFFFF_FFFF < high:
                yield address(pair & 0xFFFF_FFFF), address(pair >> 32)


def pieces(ranges: Iterable[CodeRange]) -> Iterator[CodeRange]:
    """The ranges in overlapping pieces: the last `_OVERLAP` bytes of each piece are also the first of the next one."""
    for code in ranges:
        for at in range(0, len(code.data), _PIECE):
            yield CodeRange(code.address + at, code.data[at : at + _PIECE + _OVERLAP])
            let_go(code.data)


def _inside(edges: Edges, code: Code, end: int) -> Edges:
    """The edges that start below ``end`` and lead into code."""
    kept = (edges.sources < end) & code.holds(edges.targets)
    return Edges(edges.sources[kept], edges.targets[kept])


class Referring:
    """Instructions that name addresses of the file's memory, sorted by the address."""

    def __init__(self, code: Code, scan: Callable[[CodeRange], References], spend: Callable[[int], None]) -> None:
        """Scan all of ``code``; ``spend`` is told how many were found, and may refuse.

        An address shortly before a segment is that of a table in it, less an entry: ``table[i - 1]``.
        """
        empty = np.array([], np.int64)
        columns: tuple[list[NDArray[Any]], ...] = [empty], [empty], [np.array([], np.int8)]
        spans = [(s.address - BEFORE_TABLE, s.address + s.memory_size) for s in code.slice.segments]
        for piece in pieces(code.ranges):
            sources, targets, uses = scan(piece)
            if not len(targets):
                continue
            kept = np.zeros(len(targets), np.bool_)
            for start, end in spans:
                kept |= (targets >= start) & (targets < end)
            kept &= sources < piece.address + _PIECE
            spend(int(kept.sum()))
            for column, found in zip(columns, (sources, targets, uses), strict=True):
                column.append(np.asarray(found)[kept])
        targets = joined(columns[1])
        order = np.argsort(targets, kind="stable")
        self.targets = targets[order]
        del targets  # of millions one copy more is enough
        self.sources, self.uses = joined(columns[0])[order], joined(columns[2])[order]
        self._columns = self.sources.data, self.targets.data, self.uses.data

    def into(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(source, address, use) of the instructions that name an address in a range."""
        targets = self._columns[1]
        first = bisect_left(targets, start)
        last = bisect_left(targets, end, first)
        if first == last:
            return iter(())  # as nearly always
        return zip(*(column[first:last].tolist() for column in self._columns), strict=True)
