"""x86-64's large code model: code names addresses by their distance from the global offset table.

A function that does so computes the table's address first, from its own and the distance (AMD64 ABI, section 3.5.3):
``lea r15, [rip - 7]; movabs r11, table; add r15, r11``, with other instructions in between. To each further
``movabs rax, distance`` it adds r15. Static programs of a compiler that makes PIE by default do that, too.
"""

from collections import Counter

import numpy as np

from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS, Bytes, CodeRange
from binsafe.syscalls.machines.machine import Addresses, Edges, joined

AROUND = 48
"""Bytes in which compilers leave the instructions that compute the table's address."""
_MOVABS_SIZE = 10
_REX_W, _MOV = 0x48, 0xB8
_TABLES = 4
"""A file has one global offset table; what else looks like it is chance."""


def references(code: CodeRange, leas: Edges) -> Edges:
    """What ``movabs`` may name; ``leas`` are those that compute an address not far before their own."""
    data = code.array()
    count = max(0, len(data) - _MOVABS_SIZE + 1)
    words = np.ndarray((count,), np.dtype("<i8"), buffer=code.data[2:], strides=(1,)) if count else leas.sources
    tables: Counter[int] = Counter()
    for source, target in zip(leas.sources.tolist(), leas.targets.tolist(), strict=True):
        start = max(0, source - code.address - AROUND)
        named = (target + int(words[start + at]) for at in _movabs(data[start:][: 2 * AROUND], count - start))
        tables.update(table for table in named if 0 <= table <= HIGHEST_ADDRESS)
    if not tables:
        return Edges(leas.sources[:0], leas.targets[:0])
    at = _movabs(data, count)
    likely = sorted(tables, key=tables.__getitem__, reverse=True)[:_TABLES]
    return joined(*(Edges(code.address + at, words[at] + table) for table in likely))


def _movabs(data: Bytes, count: int) -> Addresses:
    """Where among the first ``count`` bytes a 64-bit constant is moved into a register."""
    found = (data[:-1] & 0xFE == _REX_W) & (data[1:] & 0xF8 == _MOV)
    return np.flatnonzero(found[: max(0, count)])
