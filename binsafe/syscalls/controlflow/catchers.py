"""The functions in which exceptions may be caught: those that have a table for it, by what the unwinder is told."""

from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.eh_frame import Extent, common, extent, frames
from binsafe.formats.eh_frame_hdr import Listed
from binsafe.formats.eh_pointers import OMITTED
from binsafe.formats.structure import find_all
from binsafe.model import Slice
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.sets import among, distinct

_CATCHING, _BEFORE = b"zPL", (b"\0\0\0\0\1", b"\0\0\0\0\3")
"""What functions with such a table have in common has these letters, and before them its mark and its version."""
_USUAL = {0x1B: 4, 0x1C: 8}
"""``DW_EH_PE_pcrel | DW_EH_PE_sdata4``, or ``sdata8`` as LLVM has it for arm64 -> bytes."""
_POINTER = 17
"""Where the pointer to its table then stands in a function's entry."""
_COST = 8
"""Reading an entry takes as long as decoding so many instructions."""


class Catchers(NamedTuple):
    """Those of one file, by where they start."""

    starts: list[int]
    reach: list[int]
    """How far all up to each one reach."""
    read: Callable[[int], Extent]
    """What is said of each, by its index; a LookupError or ValueError where that cannot be told."""
    tables: Addresses
    """Where the `exception_table` of each one is; negative where that is not told."""


def catchers(slice_: Slice, listed: Listed | None, spend: Callable[[int], None]) -> Catchers | None:
    """All of a file, of whose functions ``listed`` is the index, if it could be read; None where not all are told.

    Raises:
        OutOfInstructions: ``spend`` was told what it costs, and refused.
    """
    if listed is None:
        return None
    try:
        return _by_index(slice_, listed, spend) if len(listed.starts) else _one_by_one(slice_)
    except (LookupError, ValueError):
        return None


def _one_by_one(slice_: Slice) -> Catchers:
    told = frames(slice_)
    places = find_all(slice_.data, _CATCHING) if told is None else ()
    if any(slice_.data[max(0, at - len(_BEFORE[0])) : at] in _BEFORE for at in places):
        raise ValueError("entries that are not understood")
    catching = [] if told is None else [each for each in told.extents if each.catches]
    return Catchers(
        [each.start for each in catching],
        [*accumulate((each.end for each in catching), max)],
        catching.__getitem__,
        np.array([each.table for each in catching], np.int64),
    )


def _by_index(slice_: Slice, listed: Listed, spend: Callable[[int], None]) -> Catchers:
    """Only what is written in another form than usual is read now; of the rest mostly nothing is asked."""
    sure = listed.ends > 0
    commons = distinct(listed.commons[sure])
    spend(_COST * len(commons))
    languages = np.array([common(slice_, address).language for address in commons.tolist()], np.int64)
    other = ~sure | among(listed.commons, commons[~among(languages, (*_USUAL, OMITTED))])
    spend(_COST * int(other.sum()))
    there = (entry for entry in listed.entries[other].tolist() if slice_.offset_of(entry) is not None)
    others = [(each, entry) for entry in there if (each := extent(slice_, entry)).catches]
    columns = [
        _usual(slice_, listed, sure & among(listed.commons, commons[languages == encoding]), size)
        for encoding, size in _USUAL.items()
    ]
    rest = np.array([(each.start, each.end, entry, each.table) for each, entry in others], np.int64).reshape(-1, 4)
    all_ = np.concatenate([*columns, rest.T], axis=1)
    starts, ends, entries, tables = all_[:, np.argsort(all_[0], kind="stable")]
    found: list[int] = entries.tolist()
    reach = np.maximum.accumulate(ends) if len(ends) else ends
    return Catchers(starts.tolist(), reach.tolist(), lambda at: extent(slice_, found[at]), tables)


def _usual(slice_: Slice, listed: Listed, chosen: NDArray[np.bool_], size: int) -> Addresses:
    """Starts, ends, entries and tables of some functions, of those that have one: at a distance of so many bytes."""
    file = np.frombuffer(slice_.data, np.uint8)
    at = listed.offsets[chosen] + _POINTER
    distances = file[at[:, None] + np.arange(size)].view(f"<i{size}").reshape(-1).astype(np.int64)
    entries = listed.entries[chosen]
    columns = np.stack([listed.starts[chosen], listed.ends[chosen], entries, entries + _POINTER + distances])
    return columns[:, distances != 0]
