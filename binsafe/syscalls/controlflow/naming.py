"""Any four bytes of code that equal an address in it, whatever instruction they are part of.

One search finds those of all addresses, in the time of two or three searches for one.
"""

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.structure import let_go
from binsafe.syscalls.decoding.code import Code
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.sets import among, joined, packed

_PIECE = 1 << 22
"""Bytes that are looked at at once."""


class FunctionStarts:
    """Functions that lie one behind the other, and of which nothing is named but where they start."""

    def __init__(self, starts: Addresses, end: int) -> None:
        """``starts`` are ascending, one at least; ``end`` is that of the last one."""
        self._starts, self._end = starts, end
        self._endings = np.zeros(1 << 16, np.bool_)
        """Whether a start ends with these two bytes: few addresses do where functions are aligned."""
        self._endings[starts & 0xFFFF] = True

    def are_named(self, addresses: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Whether each address is that of a start, or lies outside."""
        named: NDArray[np.bool_] = (addresses < self._starts[0]) | (addresses >= self._end)
        likely = np.flatnonzero(self._endings[addresses & 0xFFFF])
        named[likely] |= among(addresses[likely].astype(np.int64), self._starts)
        return named


class Naming:
    """The places, by the address."""

    def __init__(self, code: Code, functions: FunctionStarts | None) -> None:
        """Look through all of ``code``, for no more of ``functions`` than may be named."""
        self._code = code
        self._functions = functions
        self._lowest = min((r.address for r in code.ranges), default=0)
        self._size = max(0, min(max((r.end for r in code.ranges), default=0), 1 << 32) - self._lowest)
        found = [np.array([], np.uint64)]
        for r in code.ranges if self._size else ():
            for first in range(0, len(r.data), _PIECE):
                data = r.data[first : first + _PIECE + 3]
                found += (self._found(r.address + first + skew, data[skew:]) for skew in range(4))
                let_go(r.data)
        self._pairs = joined(found)
        """(what such bytes name, their position), packed."""
        self._pairs.sort()

    def of(self, address: int) -> list[int]:
        """Where such bytes stand that are an address, ascending."""
        if not 0 <= address < 1 << 32:
            return []
        first, last = np.searchsorted(self._pairs, packed(*np.array([[address] * 2, [0, 0xFFFF_FFFF]]))).tolist()
        return [self._code.address(pair & 0xFFFF_FFFF) for pair in self._pairs[first:last].tolist()]

    def _found(self, address: int, data: memoryview) -> NDArray[np.uint64]:
        """Those of every fourth byte of some data."""
        words = np.frombuffer(data[: len(data) & ~3], np.dtype("<u4"))
        at = np.flatnonzero(words - np.uint32(self._lowest) < self._size)
        if self._functions is not None:
            at = at[self._functions.are_named(words[at])]
        return packed(words[at], self._code.positions(address + 4 * at))
