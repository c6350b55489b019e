"""Words of Go's run-time types that look like addresses of code and are none.

A type says where its name stands, and where the type of pointers to it does, as two distances of 32 bits
(``internal/abi/type.go``: ``Str`` and ``PtrToThis``). Where there is no such type the second one is zero: both together
are a small number then, and where Go's code begins at 64 KiB, as on arm64, mostly one that lies in it.
"""

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.structure import let_go
from binsafe.model import Slice
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.sets import among

_POINTERS, _ALIGN, _FIELD_ALIGN, _KIND, _EQUAL, _DATA, _NAME = 8, 21, 22, 23, 24, 32, 40
"""Offsets in ``abi.Type``, since Go 1.4."""
_KIND_MASK, _LAST_KIND = 0x1F, 26
_LARGEST = 1 << 40
_AT_ONCE = 1 << 15
"""Words that are looked at together: what stands before each of them is copied."""


def are_names(slice_: Slice, slots: Addresses) -> NDArray[np.bool_]:
    """Whether each of these words, by address, is that of a type."""
    found = np.zeros(len(slots), np.bool_)
    file = np.frombuffer(slice_.data, np.uint8)
    for segment in slice_.segments:
        first, last = np.searchsorted(slots, (segment.address + _NAME, segment.address + segment.file_size)).tolist()
        for at in range(first, last, _AT_ONCE):
            some = slots[at : min(at + _AT_ONCE, last)]
            starts = some - segment.address + segment.offset - _NAME
            inside = starts <= len(file) - _NAME
            types = file[np.where(inside, starts, 0)[:, None] + np.arange(_NAME)]
            found[at : at + len(some)] = inside & _are_types(slice_, types)
            let_go(slice_.data)
    return found


def _are_types(slice_: Slice, types: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether rows of bytes are types: sizes, alignments and a kind, then pointers into the program's memory."""
    words = types.view("<u8")
    kinds, aligned = types[:, _KIND] & _KIND_MASK, types[:, _ALIGN]
    plausible: NDArray[np.bool_] = (kinds > 0) & (kinds <= _LAST_KIND) & among(aligned, (1, 2, 4, 8))
    plausible &= types[:, _FIELD_ALIGN] == aligned
    plausible &= (words[:, 0] < _LARGEST) & (words[:, _POINTERS // 8] <= words[:, 0])
    loaded = np.zeros((len(types), 2), np.bool_)
    pointed = words[:, _EQUAL // 8 : _DATA // 8 + 1]
    for segment in slice_.segments:
        start = np.uint64(segment.address)
        loaded |= (pointed >= start) & (pointed - start < np.uint64(segment.memory_size))
    plausible &= (loaded[:, 0] | (pointed[:, 0] == 0)) & loaded[:, 1]
    return plausible
