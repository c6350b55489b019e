"""x86-64: what is found by scanning bytes: system calls, branches, and instructions that name addresses.

Instructions are not aligned, so some bytes mean this by chance: whoever uses what is found checks that an instruction
really starts there. Encodings: Intel SDM volume 2.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.machines import large_model
from binsafe.syscalls.machines.edges import (
    CALLED,
    LOADED,
    LOADED_WIDE,
    LOADED_WIDEST,
    MAYBE_TAKEN,
    SUMMED,
    TAKEN,
    Addresses,
    Edges,
    References,
    joined,
)
from binsafe.syscalls.machines.x86_64_sums import sums

PREFIXES = frozenset((0x26, 0x2E, 0x36, 0x3E, *range(0x40, 0x50), 0x64, 0x65, 0x66, 0x67, 0xF2, 0xF3))
_SYSCALL = b"\x0f\x05"
_INT_80, _SYSENTER = b"\xcd\x80", b"\x0f\x34"
_MOST_PREFIXES = 13
"""To what enters the kernel none means anything (SDM volume 2, 2.1.1): an instruction has up to 15 bytes."""
_SHORT_JUMP = re.compile(rb"[\x70-\x7f\xe0-\xe3\xeb](?=.)", re.DOTALL)


def _by_opcode(sizes: Mapping[int, int]) -> NDArray[np.int64]:
    return np.array([sizes.get(opcode, 0) for opcode in range(256)], np.int64)


_IMMEDIATE = _by_opcode({0x69: 4, 0x6B: 1, 0x80: 1, 0x81: 4, 0x83: 1, 0xC0: 1, 0xC1: 1, 0xC6: 1, 0xC7: 4})
_IMMEDIATE_0F = _by_opcode(dict.fromkeys((0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6), 1))
"""Opcode of one byte, and of two -> bytes of the immediate that follows its memory operand (SDM volume 2, appendix A).

F6 and F7 have one only as ``test``.
"""


def find_sites(code: CodeRange) -> Iterator[int]:
    """``0f 05`` and the prefixes before it."""
    return _prefixed(code, _pairs(code, *_SYSCALL))


def find_foreign(code: CodeRange) -> Iterator[int]:
    """``int 0x80`` and ``sysenter``, which make those of i386 from whatever code (``entry_64_compat.S``)."""
    return chain.from_iterable(_prefixed(code, _pairs(code, *each)) for each in (_INT_80, _SYSENTER))


def calls(code: CodeRange) -> Edges:
    """``e8`` and four bytes of displacement."""
    return _relative(code, np.flatnonzero(code.array() == 0xE8), 1)


def jumps(code: CodeRange) -> Edges:
    """``e9`` and ``0f 8x``, each with four bytes of displacement."""
    data = code.array()
    near = _relative(code, np.flatnonzero(data == 0xE9), 1)
    conditional = np.flatnonzero((data[:-1] == 0x0F) & (data[1:] & 0xF0 == 0x80))
    return joined(near, _relative(code, conditional, 2))


def short_jumps(code: CodeRange) -> Edges:
    """``eb``, ``7x`` and ``e0`` to ``e3`` with one byte of displacement: what a tail call to a neighbour is."""
    data = code.array()
    first = data[:-1]
    at = np.flatnonzero((first & 0xF0 == 0x70) | (first == 0xEB) | (first & 0xFC == 0xE0))
    distances = data.view(np.int8)[at + 1].astype(np.int64)
    return Edges(code.address + at, code.address + at + 2 + distances)


def short_jumps_into(code: bytes, address: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Of a few bytes the same as pairs, those to a range of addresses."""
    for match in _SHORT_JUMP.finditer(code):
        source = address + match.start()
        target = source + 2 + (code[match.end()] ^ 0x80) - 0x80
        if start <= target < end:
            yield source, target


def closes(last: Bytes) -> NDArray[np.bool_]:
    """Returns, traps, and calls and jumps without a condition: see `Machine.closes`."""
    found: NDArray[np.bool_] = (last[:, -1] == 0xC3) | (last[:, -1] == 0xCC) | (last[:, -1] == 0xF4)
    found |= (last[:, -2] == 0x0F) & (last[:, -1] == 0x0B)
    found |= (last[:, -2] == 0xEB) | (last[:, -3] == 0xC2) | (last[:, -5] == 0xE8) | (last[:, -5] == 0xE9)
    for size in (2, 3, 4, 6, 7):  # with a register; with memory of all forms
        kind = last[:, 1 - size] >> 3 & 7
        found |= (last[:, -size] == 0xFF) & ((kind == 2) | (kind == 4))
    return found


def references(code: CodeRange, *, fixed: bool) -> References:
    """Every ModRM byte that says ``[rip + disp32]``; what stands before it says how much stands behind it."""
    data = code.array()
    at = np.flatnonzero(data & 0xC7 == 0x05)
    at = at[(at > 0) & (at <= len(data) - 5)]
    opcode, register, before = data[at - 1], data[at] >> 3 & 7, data[np.maximum(at - 2, 0)]
    group = (opcode & 0xFE == 0xF6) & (register < 2)
    behind = np.where(before == 0x0F, _IMMEDIATE_0F[opcode], _IMMEDIATE[opcode] + group * (1 + 3 * (opcode & 1)))
    count = len(data) - 3
    displacements = np.ndarray((max(count, 0),), np.dtype("<i4"), buffer=code.data, strides=(1,))
    third = data[np.maximum(at - 3, 0)]
    vector = (before == 0x0F) | (third == 0x0F) | (third == 0xC5) | (data[np.maximum(at - 4, 0)] == 0xC4)
    uses = np.where(vector, np.int8(LOADED_WIDE), np.int8(LOADED))
    uses[data[np.maximum(at - 5, 0)] == 0x62] = LOADED_WIDEST
    uses[(opcode == 0xFF) & ((register == 2) | (register == 4))] = CALLED
    uses[opcode == 0x8D] = TAKEN
    prefixed = (opcode == 0x8D) & (at > 1) & (before & 0xF0 == 0x40)
    sources, targets = code.address + at - 1 - prefixed, code.address + at + 5 + behind + displacements[at + 1]
    leas = Edges(sources[prefixed], targets[prefixed])
    added = sums(code, leas, fixed=fixed)
    taken = joined(large_model.references(code, leas), added.known)
    more = ((taken, TAKEN), (added.unknown, SUMMED), (added.data, MAYBE_TAKEN))
    return References(
        np.concatenate([sources, *(edges.sources for edges, _ in more)]),
        np.concatenate([targets, *(edges.targets for edges, _ in more)]),
        np.concatenate([uses, *(np.full(len(edges.sources), use, np.int8) for edges, use in more)]),
    )


def _prefixed(code: CodeRange, opcodes: Addresses) -> Iterator[int]:
    """Where instructions may begin that have their opcode at these offsets."""
    data = code.data
    for at in opcodes.tolist():
        start = at
        while start > max(at - _MOST_PREFIXES, 0) and data[start - 1] in PREFIXES:
            start -= 1
        yield from range(code.address + start, code.address + at + 1)


def _pairs(code: CodeRange, first: int, second: int) -> Addresses:
    """Offsets of two bytes: in a fifth of the time that ``bytes.find`` takes, as there are many of the first one."""
    data = code.array()
    return np.flatnonzero((data[:-1] == first) & (data[1:] == second))


def _relative(code: CodeRange, at: Addresses, opcode: int) -> Edges:
    """Instructions at these offsets that end in a displacement of four bytes behind ``opcode`` bytes."""
    at = at[at <= len(code.data) - opcode - 4]
    if not len(at):
        return Edges(at, at)
    count = len(code.data) - 3
    displacements = np.ndarray((count,), np.dtype("<i4"), buffer=code.data, strides=(1,))
    return Edges(code.address + at, code.address + at + (opcode + 4) + displacements[at + opcode])
