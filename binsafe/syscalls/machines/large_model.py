"""x86-64's large code model: code names addresses by their distance from the global offset table.

A function that does so computes the table's address first, from its own and the distance (AMD64 ABI, section 3.5.3):
``lea r15, [rip - 7]; movabs r11, table; add r15, r11``, with other instructions in between. To each further
``movabs rax, distance`` it adds r15. Static programs of a compiler that makes PIE by default do that, too. The medium
model names large data so, by their distance from ``lea r15, [rip + table]``: few other ``movabs`` are as short.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS, Bytes, CodeRange
from binsafe.syscalls.machines.edges import Addresses, Edges, joined

_AROUND = 48
"""Bytes in which compilers leave the instructions that compute the table's address."""
_MOVABS_SIZE = 10
_REX_W, _MOV = 0x48, 0xB8
_BEFORE, _FARTHEST = 256, 1 << 31
"""Bytes between the table's address and a distance from it, and the longest distance."""
_TABLES = 4
"""A file has one global offset table; what else looks like it is chance."""


def references(code: CodeRange, leas: Edges) -> Edges:
    """What ``movabs`` may name; ``leas`` are those that compute an address."""
    if not len(leas.sources):
        return leas
    data = code.array()
    count = max(0, len(data) - _MOVABS_SIZE + 1)
    words = np.ndarray((count,), np.dtype("<i8"), buffer=code.data[2:], strides=(1,)) if count else leas.sources
    at = _movabs(data, count)
    short = at[(words[at] > -_FARTHEST) & (words[at] < _FARTHEST)]
    tables = Counter(_computed(code, leas, words)), Counter(_named(code, leas, short))
    return joined(
        Edges(leas.sources[:0], leas.targets[:0]),
        *(
            Edges(code.address + chosen, words[chosen] + table)
            for chosen, counted in zip((at, short), tables, strict=True)
            for table in sorted(counted, key=counted.__getitem__, reverse=True)[:_TABLES]
        ),
    )


def _computed(code: CodeRange, leas: Edges, words: Addresses) -> Iterator[int]:
    """What may be the table's address where code computes it from its own."""
    data = code.array()
    near = (leas.targets <= leas.sources) & (leas.targets > leas.sources - _AROUND)
    for source, target in zip(leas.sources[near].tolist(), leas.targets[near].tolist(), strict=True):
        start = max(0, source - code.address - _AROUND)
        named = (target + int(words[start + at]) for at in _movabs(data[start:][: 2 * _AROUND], len(words) - start))
        yield from (table for table in named if 0 <= table <= HIGHEST_ADDRESS)


def _named(code: CodeRange, leas: Edges, distances: Addresses) -> Iterator[int]:
    """What may be the table's address where code names it before a distance from it."""
    places = code.address + distances
    first, last = (np.searchsorted(leas.sources, each).tolist() for each in (places - _BEFORE, places))
    for start, end in zip(first, last, strict=True):
        yield from leas.targets[start:end].tolist()


def _movabs(data: Bytes, count: int) -> Addresses:
    """Where among the first ``count`` bytes a 64-bit constant is moved into a register."""
    opcodes = data[1 : max(0, count) + 1]
    return np.flatnonzero((data[: len(opcodes)] & 0xFE == _REX_W) & (opcodes & 0xF8 == _MOV))
