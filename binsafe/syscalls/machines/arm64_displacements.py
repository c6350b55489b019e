"""AArch64: what code reaches from an address by a number that an instruction says, in words of four bytes.

GCC has one anchor for many variables (``-fsection-anchors``), LLVM makes one variable of many (``GlobalMerge``): then
the address of one leads to all of them. Encodings: Arm ARM (DDI 0487), section C4.
"""

from collections.abc import Callable
from itertools import product

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.machines.edges import Addresses, Edges, between
from binsafe.syscalls.sets import among, distinct, packed

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
_PAGE_MASK, _PAGE = 0x9F00_0000, 0x9000_0000
"""``adrp``."""
_ALIGNED = 8
"""Where pointers stand."""
_NEAR = 16
"""Instructions behind an ``adrp`` in which mostly what needs it stands."""
_SPAN = 2 * REACH
_COPIES = 2
"""How often an address is copied, or something added to it, before it is used."""


def reached(
    code: CodeRange, functions: Callable[[Addresses], Addresses], named: Edges, spend: Callable[[int], None]
) -> Edges:
    """See `Machine.reached`: by numbers that are said with a register that gets the address, in whatever order."""
    skew = -code.address % 4
    start, words = code.address + skew, np.frombuffer(code.data[skew : skew + (len(code.data) - skew & ~3)], "<u4")
    naming = functions(named.sources)
    said = _said(start, words, functions, distinct(naming), spend)
    at = (named.sources - start) // 4
    holders = naming * _REGISTERS + (words[at] & 31)
    whole = words[at] & _PAGE_MASK != _PAGE  # of a page, only what the same function makes an address of it
    whole |= among(holders * _SPAN + (named.targets & 0xFFF), _added(start, words, functions))
    named, holders = Edges(named.sources[whole], named.targets[whole]), holders[whole]
    which, keys = between(said, holders * _SPAN, (holders + 1) * _SPAN, spend)
    targets = named.targets[which] + keys % _SPAN - REACH
    aligned = targets % _ALIGNED == 0
    return Edges(named.sources[which][aligned], targets[aligned])


def _said(
    start: int,
    words: NDArray[np.uint32],
    functions: Callable[[Addresses], Addresses],
    naming: Addresses,
    spend: Callable[[int], None],
) -> Addresses:
    """(function, register, number) as one, ascending: what is counted from what a register holds, or a copy of it.

    Only of functions that are ``naming`` something: of all there would be too many.
    """
    found, lower = [np.array([], np.int64)], _lower_halves(words)
    parts = (slice(first, first + _PIECE) for first in range(0, len(words), _PIECE))
    for part, (mask, value, low, bits, unit) in product(parts, _NUMBERS):
        chosen = (words[part] & mask == value) & (words[part] >> 5 & 31 != _STACK) & ~lower[part]
        at = part.start + np.flatnonzero(chosen)
        field = (words[at] >> low).astype(np.int64) & ((1 << bits) - 1)
        number = unit * (field if bits == _UNSIGNED else field - (field >> (bits - 1) << bits))
        near = (abs(number) < REACH) & (number != 0)
        function = functions(start + 4 * at[near])
        holder = function * _REGISTERS + (words[at[near]] >> 5 & 31)
        found.append((holder * _SPAN + number[near] + REACH)[among(function, naming)])
    said = distinct(np.concatenate(found))
    to, by = _copies(start, words, functions)
    for _ in range(_COPIES):
        which, keys = between(said, to * _SPAN, (to + 1) * _SPAN, spend)
        said = distinct(np.concatenate([said, by[which] * _SPAN + keys % _SPAN]))
    return said


def _added(start: int, words: NDArray[np.uint32], functions: Callable[[Addresses], Addresses]) -> Addresses:
    """(function, register, number) as one, ascending: what is added, be it the lower half of an address."""
    at = np.flatnonzero(words & 0xFFC0_0000 == 0x9100_0000)
    holders = functions(start + 4 * at) * _REGISTERS + (words[at] >> 5 & 31)
    return distinct(holders * _SPAN + (words[at] >> 10 & 0xFFF))


def _lower_halves(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which instructions have a page as their base for sure, so that their number is the lower half of an address.

    Those that follow an ``adrp`` before anything may write its register, and before any branch.
    """
    found = np.zeros(len(words), np.bool_)
    at = np.flatnonzero(words & _PAGE_MASK == _PAGE)
    page = words[at] & 31
    for reach in range(1, _NEAR + 1):
        inside = at + reach < len(words)
        at, page = at[inside], page[inside]
        word = words[at + reach]
        found[at[word >> 5 & 31 == page] + reach] = True
        kept = word & 0x1C00_0000 != 0x1400_0000  # branches, and what leads into the kernel
        for field in (0, 10, 16):
            kept &= word >> field & 31 != page
        at, page = at[kept], page[kept]
    return found


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
    pairs = distinct(packed(np.concatenate(to), np.concatenate(by)))
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFF_FFFF)).astype(np.int64)
