"""Who leads where: all direct branches of the code, and all addresses that it computes, found by scanning its bytes.

Scanning finds every branch at memory speed, and on x86 some bytes by chance that are none: whoever uses an edge checks
that an instruction really starts at its source.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from binsafe.syscalls.decoding.code import Code, CodeRange
from binsafe.syscalls.machines.machine import Edges, References

_PIECE = 1 << 24
"""Bytes that are scanned at a time: the scans' temporary arrays are several times that large."""
_OVERLAP = 1 << 14
"""Bytes of the next piece that are scanned too; nothing that is looked for is longer, pairs of arm64's included."""


class Index:
    """Edges into the code, by target."""

    def __init__(self, code: Code, scan: Callable[[CodeRange], Edges], spend: Callable[[int], None]) -> None:
        """Scan all of ``code``; ``spend`` is told how many edges were found, and may refuse."""
        found = [Edges(np.array([], np.int64), np.array([], np.int64))]
        for piece in pieces(code.ranges):
            edges = _inside(scan(piece), code, piece.address + _PIECE)
            spend(len(edges.targets))
            found.append(edges)
        sources, targets = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(targets, kind="stable")
        self.edges = Edges(sources[order], targets[order])
        """All of them, by target."""
        self._columns = self.edges.sources.data, self.edges.targets.data

    def into(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(source, target) of the edges whose target lies in a range."""
        sources, targets = self._columns  # to look one up in numpy takes longer than Python's bisect does
        first = bisect_left(targets, start)
        last = bisect_left(targets, end, first)
        return zip(sources[first:last].tolist(), targets[first:last].tolist(), strict=True)


def pieces(ranges: Iterable[CodeRange]) -> Iterator[CodeRange]:
    """The ranges in overlapping pieces: what starts in the last `_OVERLAP` bytes of one starts in the next one too."""
    for code in ranges:
        for at in range(0, len(code.data), _PIECE):
            yield CodeRange(code.address + at, code.data[at : at + _PIECE + _OVERLAP])


def _inside(edges: Edges, code: Code, end: int) -> Edges:
    """Those that start below ``end`` and lead into code."""
    kept = edges.sources < end
    if len(code.ranges):
        starts, ends = (
            np.array(column, np.int64) for column in zip(*((r.address, r.end) for r in code.ranges), strict=True)
        )
        at = np.searchsorted(starts, edges.targets, side="right") - 1
        kept &= (at >= 0) & (edges.targets < ends[at])
    return Edges(edges.sources[kept], edges.targets[kept])


class Referring:
    """Instructions that name addresses of the loaded image, by the address."""

    def __init__(self, code: Code, scan: Callable[[CodeRange], References], spend: Callable[[int], None]) -> None:
        """Scan all of ``code``; ``spend`` is told how many were found, and may refuse."""
        empty = np.array([], np.int64)
        found = [References(empty, empty, np.array([], np.int8))]
        spans = [(s.address, s.address + s.memory_size) for s in code.slice.segments]
        for piece in pieces(code.ranges):
            sources, targets, uses = scan(piece)
            kept = np.zeros(len(targets), np.bool_)
            for start, end in spans:
                kept |= (targets >= start) & (targets < end)
            kept &= sources < piece.address + _PIECE
            spend(int(kept.sum()))
            found.append(References(sources[kept], targets[kept], uses[kept]))
        sources, targets, uses = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(targets, kind="stable")
        self.sources, self.targets, self.uses = sources[order], targets[order], uses[order]
        self._columns = self.sources.data, self.targets.data, self.uses.data

    def into(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(source, target, use) of those whose target lies in a range."""
        targets = self._columns[1]
        first = bisect_left(targets, start)
        last = bisect_left(targets, end, first)
        return zip(*(column[first:last].tolist() for column in self._columns), strict=True)
