"""AArch64: what code reaches from an address by a number that an instruction says, in words of four bytes.

GCC has one anchor for many variables (``-fsection-anchors``), LLVM makes one variable of many (``GlobalMerge``): then
the address of one leads to all of them. Encodings: Arm ARM (DDI 0487), section C4.
"""

from collections.abc import Callable
from itertools import product

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.machines.edges import Addresses, Edges
from binsafe.syscalls.sets import distinct

_NUMBERS = (
    (0xFFC0_0000, 0x9100_0000, 10, 12, 1),  # add, with a constant
    (0xFFC0_0000, 0xD100_0000, 10, 12, -1),  # sub
    (0xFFC0_0000, 0xF940_0000, 10, 12, 8),  # ldr
    (0xFFC0_0000, 0x3DC0_0000, 10, 12, 16),  # of 16 bytes
    (0xFFE0_0000, 0xF840_0000, 12, 9, 1),  # ldur, and ldr that changes its base
    (0xFFE0_0000, 0x3CC0_0000, 12, 9, 1),
    (0xFE40_0000, 0xA840_0000, 15, 7, 8),  # ldp
    (0xFE40_0000, 0xAC40_0000, 15, 7, 16),
)
"""Mask and value of instructions that count from a register, and the lowest bit, bits and unit of the number there."""
_COPYING = (
    (0xFFC0_0000, 0x9100_0000, 5),  # add, with a constant
    (0xFF00_0000, 0x8B00_0000, 5),  # add, of two registers
    (0xFF00_0000, 0x8B00_0000, 16),
    (0xFFE0_FFE0, 0xAA00_03E0, 16),  # mov
)
"""Mask and value of instructions that fill a register from another one, and the lowest bit of that one's number."""
_PIECE = 1 << 20
"""Instructions that are looked at at once."""
_UNSIGNED = 12
"""Bits of those numbers that have no sign."""
REACH = 1 << 12
"""Bytes within which GCC has the variables of an anchor, and LLVM those that it makes one of."""
_REGISTERS, _STACK = 32, 31
_SPAN = 2 * REACH
_COPIES = 2
"""How often an address is copied, or something added to it, before it is used."""


def reached(code: CodeRange, functions: Callable[[Addresses], Addresses], named: Edges) -> Edges:
    """See `Machine.reached`: by numbers that are said with a register that gets the address, in whatever order."""
    skew = -code.address % 4
    start, words = code.address + skew, np.frombuffer(code.data[skew : skew + (len(code.data) - skew & ~3)], "<u4")
    said = _said(start, words, functions)
    at = (named.sources - start) // 4
    first = (functions(named.sources) * _REGISTERS + (words[at] & 31)) * _SPAN
    begin, end = np.searchsorted(said, first), np.searchsorted(said, first + _SPAN)
    which = np.repeat(np.arange(len(at)), end - begin)
    keys = said[np.arange(len(which)) + np.repeat(end - np.cumsum(end - begin), end - begin)]
    return Edges(named.sources[which], named.targets[which] + keys % _SPAN - REACH)


def _said(start: int, words: NDArray[np.uint32], functions: Callable[[Addresses], Addresses]) -> Addresses:
    """(function, register, number) as one, ascending: what is counted from what a register holds, or a copy of it."""
    found = [np.array([], np.int64)]
    parts = (slice(first, first + _PIECE) for first in range(0, len(words), _PIECE))
    for part, (mask, value, low, bits, unit) in product(parts, _NUMBERS):
        at = part.start + np.flatnonzero((words[part] & mask == value) & (words[part] >> 5 & 31 != _STACK))
        field = (words[at] >> low).astype(np.int64) & ((1 << bits) - 1)
        number = unit * (field if bits == _UNSIGNED else field - (field >> (bits - 1) << bits))
        near = (abs(number) < REACH) & (number != 0)
        holder = functions(start + 4 * at[near]) * _REGISTERS + (words[at[near]] >> 5 & 31)
        found.append(holder * _SPAN + number[near] + REACH)
    said = distinct(np.concatenate(found))
    to, by = _copies(start, words, functions)
    for _ in range(_COPIES):
        begin, end = np.searchsorted(said, to * _SPAN), np.searchsorted(said, (to + 1) * _SPAN)
        which = np.repeat(np.arange(len(to)), end - begin)
        keys = said[np.arange(len(which)) + np.repeat(end - np.cumsum(end - begin), end - begin)]
        said = distinct(np.concatenate([said, by[which] * _SPAN + keys % _SPAN]))
    return said


def _copies(
    start: int, words: NDArray[np.uint32], functions: Callable[[Addresses], Addresses]
) -> tuple[Addresses, Addresses]:
    """(register that is filled, register that it gets its address from), each with its function."""
    to, by = [np.array([], np.int64)], [np.array([], np.int64)]
    parts = (slice(first, first + _PIECE) for first in range(0, len(words), _PIECE))
    for part, (mask, value, low) in product(parts, _COPYING):
        source = words[part] >> low & 31
        chosen = (words[part] & mask == value) & (source != _STACK) & (source != words[part] & 31)
        at = np.flatnonzero(chosen)
        holder = functions(start + 4 * (part.start + at)) * _REGISTERS
        to.append(holder + (words[part][at] & 31))
        by.append(holder + source[at])
    return np.concatenate(to), np.concatenate(by)
