"""AArch64: what the scans for sites, branches and addresses look for, in words of four bytes.

Encodings: Arm ARM (DDI 0487), section C4.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.machines import arm64_sums
from binsafe.syscalls.machines.edges import (
    LOADED,
    LOADED_WIDE,
    MAYBE_TAKEN,
    SUMMED,
    TAKEN,
    Addresses,
    Edges,
    References,
    joined,
)

Words = NDArray[np.uint32]
Chosen = NDArray[np.bool_]

_SVC, _WITHOUT_IMMEDIATE = 0xD400_0001, 0xFFE0_001F
_OF_16_BYTES = 4
"""The logarithm, in which encodings say a size."""
_NEAR = 16
"""Instructions behind an ``adrp`` in which mostly its ``add`` stands."""
_HALVES_APART = 8
"""Instructions between those that give a register the halves of an address."""
_PAGE_REACH = 2048
"""Instructions in which a page that is kept may be used: those of large functions."""
_NO_REGISTER = 32
_AT_ONCE = 256
"""Pages that are looked after at once: Go's programs keep tens of thousands."""


def find_sites(code: CodeRange) -> Iterator[int]:
    """Aligned words that are ``svc``; the kernel looks at no immediate (``arch/arm64/kernel/entry-common.c``)."""
    start, words = _words(code)
    return iter((start + 4 * np.flatnonzero(words & _WITHOUT_IMMEDIATE == _SVC)).tolist())


def calls(code: CodeRange) -> Edges:
    """``bl``: see `Machine.calls`."""
    start, words = _words(code)
    return _edges(start, words, (words >> 26) == 0b100101, 0, 26)


def jumps(code: CodeRange) -> Edges:
    """``b``; ``b.cond``, ``cbz`` and ``cbnz``; ``tbz`` and ``tbnz``: see `Machine.jumps`."""
    start, words = _words(code)
    conditional = (words >> 24 == 0x54) | (words & 0x7E00_0000 == 0x3400_0000)
    return joined(
        _edges(start, words, (words >> 26) == 0b000101, 0, 26),
        _edges(start, words, conditional, 5, 19),
        _edges(start, words, words & 0x7E00_0000 == 0x3600_0000, 5, 14),
    )


def closes(last: Bytes) -> Chosen:
    """``b`` and ``bl``; ``br``, ``blr``, ``ret`` and what else branches to a register; traps: see `Machine.closes`."""
    words = np.ascontiguousarray(last[:, -4:]).view("<u4")[:, 0]
    direct, trap = words & 0x7C00_0000 == 0x1400_0000, (words >> 16 == 0) | (words & 0xFFE0_001F == 0xD420_0000)
    found: Chosen = direct | trap | (words & 0xFE00_0000 == 0xD600_0000)
    return found


def references(code: CodeRange, *, fixed: bool) -> References:
    """``adr``, and ``adrp`` with what is added to the same register, or loaded from there, later.

    Mostly that is the next instruction. Where a page is kept for longer, or a branch takes it elsewhere, everything
    counts that uses its register in the next `_PAGE_REACH` instructions, whatever is written to it meanwhile.
    """
    start, words = _words(code)
    plain = np.flatnonzero(words & 0x9F00_0000 == 0x1000_0000)
    found = [_used(start + 4 * plain, start + 4 * plain + _adr_immediate(words[plain]), TAKEN)]
    found += [_whole(start, words)] if fixed else []
    at = np.flatnonzero(words & 0x9F00_0000 == 0x9000_0000)
    held, elsewhere = np.ones(len(at), np.bool_), np.zeros(len(at), np.bool_)
    for reach in range(1, _NEAR + 1):
        inside = at + reach < len(words)
        second = words[np.where(inside, at + reach, 0)]
        for chosen, taken in ((held, TAKEN), (elsewhere & ~held, MAYBE_TAKEN)):
            first = at[inside & chosen]
            found += _pairs(start, words, first, first + reach, taken)
        elsewhere |= held & _branches(second)
        held &= ~_fills(second, words[at] & 31)
    found += _kept(start, words, at[held | elsewhere])
    every = References(*(np.concatenate(column) for column in zip(*found, strict=True)))
    return References(*(np.concatenate(column) for column in zip(every, *_added(start, words, every), strict=True)))


def _kept(start: int, words: Words, pages: Addresses) -> Iterator[References]:
    """What pages name whose register keeps them: whatever uses it in the next `_PAGE_REACH` instructions."""
    used = np.concatenate(((words >> 5 & 31).astype(np.uint8), np.full(_PAGE_REACH, _NO_REGISTER, np.uint8)))
    width = _PAGE_REACH - _NEAR - 1
    ahead = np.ndarray((len(used) - width + 1, width), np.uint8, used.data, strides=(1, 1))  # one row an instruction
    for begin in range(0, len(pages), _AT_ONCE):
        some = pages[begin : begin + _AT_ONCE]
        page, step = np.nonzero(ahead[some + _NEAR + 1] == (words[some] & 31)[:, None])
        yield from _pairs(start, words, some[page], some[page] + _NEAR + 1 + step, MAYBE_TAKEN)


def _added(start: int, words: Words, found: References) -> Iterator[References]:
    """What is added to addresses of code that were ``found``."""
    taken = (found.uses == TAKEN) | (found.uses == MAYBE_TAKEN)
    taken &= (found.targets >= start) & (found.targets < start + 4 * len(words))
    added = arm64_sums.sums(start, words, Edges(found.sources[taken], found.targets[taken]))
    return (_used(*edges, use) for edges, use in ((added.known, TAKEN), (added.unknown, SUMMED)))


def changed_returns(code: CodeRange) -> Iterator[int]:
    """See `Machine.changed_returns`."""
    return arm64_sums.changed_returns(*_words(code))


def _words(code: CodeRange) -> tuple[int, Words]:
    skew = -code.address % 4
    data = code.data[skew:]
    return code.address + skew, np.frombuffer(data[: len(data) & ~3], np.dtype("<u4"))


def _edges(start: int, words: Words, chosen: Chosen, shift: int, bits: int) -> Edges:
    """Branches whose displacement, in words, is a signed field of the instruction."""
    at = np.flatnonzero(chosen)
    sources = start + 4 * at
    return Edges(sources, sources + 4 * _signed(words[at] >> shift, bits))


def _pairs(start: int, words: Words, first: Addresses, second: Addresses, taken: int) -> list[References]:
    """What pairs of an ``adrp`` and a later instruction name, where that one adds to its register or loads from it."""
    page = ((start + 4 * first) & ~0xFFF) + (_adr_immediate(words[first]) << 12)
    later = words[second]
    same = (later >> 5) & 31 == words[first] & 31
    adds = same & (later & 0xFFC0_0000 == 0x9100_0000)
    loads = same & (later & 0x3B00_0000 == 0x3900_0000)
    pairs = same & (later & 0x3A00_0000 == 0x2800_0000)
    vector = later & 0x0400_0000 != 0
    size = (later >> 30 | np.where(vector, later >> 21 & 4, 0)).astype(np.int64)
    each = 2 + (later >> np.where(vector, 30, 31)).astype(np.int64)
    offsets = ((later >> 10) & 0xFFF).astype(np.int64)
    scaled, wide = offsets << size, size == _OF_16_BYTES
    twice = _signed(later >> 15, 7) << each
    ways = (
        (adds, offsets, taken),
        (loads & ~wide, scaled, LOADED),
        (loads & wide, scaled, LOADED_WIDE),
        (pairs, twice, LOADED_WIDE),
    )
    return [_used(start + 4 * first[chosen], page[chosen] + by[chosen], use) for chosen, by, use in ways]


def _whole(start: int, words: Words) -> References:
    """Addresses of which two instructions hold 16 bits each, ``movz`` and ``movk`` of one register.

    So does the large code model of programs at fixed addresses (``-mcmodel=large``); their upper halves are zero.
    """
    constants = np.flatnonzero(words & 0x5F80_0000 == 0x5280_0000)  # movz, movk; 32 bits or 64
    halves, bits = (words[constants] >> 21) & 3, (words[constants] >> 5).astype(np.int64) & 0xFFFF
    sources: list[Addresses] = []
    targets: list[Addresses] = []
    for reach in range(1, _HALVES_APART + 1):
        first, second = slice(None, -reach), slice(reach, None)
        same = (words[constants][first] ^ words[constants][second]) & 31 == 0
        same &= constants[second] - constants[first] <= _HALVES_APART
        pair = same & (halves[first] ^ halves[second] == 1) & (halves[first] < 2)
        parts = (bits[each] << 16 * halves[each].astype(np.int64) for each in (first, second))
        sources.append(start + 4 * constants[first][pair])
        targets.append(np.add(*parts)[pair])
    return _used(np.concatenate(sources), np.concatenate(targets), TAKEN)


def _branches(words: Words) -> Chosen:
    """``b``, ``b.cond``, ``cbz``, ``tbz`` and their opposites, ``br``, ``braa``: there it may be used."""
    found: Chosen = (words >> 26 == 0b000101) | (words >> 24 == 0x54) | (words & 0x7C00_0000 == 0x3400_0000)
    found |= words & 0xFEFF_F000 == 0xD61F_0000
    return found


def _fills(words: Words, registers: NDArray[np.integer[Any]]) -> Chosen:
    """Whether an instruction leaves nothing of what a register held.

    Looked for are those that follow an ``adrp``: additions, loads, copies and constants; and returns. A call may leave
    any register alone: GCC knows of functions that it has seen which they use (``-fipa-ra``).
    """
    fills = words & 0x7F80_0000 == 0x1100_0000  # add, with a constant
    fills |= words & 0x3F40_0000 == 0x3940_0000  # ldr and its like, but for vectors
    fills |= words & 0x1F00_0000 == 0x1000_0000  # adr, adrp
    fills |= words & 0x7FE0_FFE0 == 0x2A00_03E0  # mov, from a register
    fills |= words & 0x7F80_0000 == 0x5280_0000  # movz
    returns = words == 0xD65F_03C0
    found: Chosen = (fills & (words & 31 == registers)) | returns
    return found


def _adr_immediate(words: Words) -> Addresses:
    return _signed((words >> 3) & 0x1F_FFFC | (words >> 29) & 3, 21)


def _signed(words: NDArray[np.integer[Any]], bits: int) -> Addresses:
    """The low bits of words as signed numbers."""
    field = words.astype(np.int64) & ((1 << bits) - 1)
    return field - ((field >> (bits - 1)) << bits)


def _used(sources: Addresses, targets: Addresses, use: int) -> References:
    return References(sources, targets, np.full(len(sources), use, np.int8))
