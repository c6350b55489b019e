"""Where functions start and end. Decoding begins at their starts, and they are the nodes of the call graph.

Sources, the most trusted first: Go's own table; unwind tables (they survive ``strip``) and symbols with a size, which
say where a function ends, too; symbols without a size; and targets of calls and pointers that lie in no function whose
end is known. Inside of one they are chance, or labels.
"""

from bisect import bisect_right
from itertools import chain
from typing import NamedTuple

import numpy as np

from binsafe.arrays import ArrayLike, NDArray
from binsafe.formats.eh_frame import Frames
from binsafe.formats.eh_frame_hdr import Listed
from binsafe.formats.elf_linking import FUNCTION, IFUNC, Linking
from binsafe.formats.gopclntab import FunctionTable
from binsafe.formats.symbols import places
from binsafe.model import Slice
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS, Code
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.sets import among, distinct

_FILLING = bytes((0x00, 0x0F, 0x1F, 0x2E, 0x40, 0x41, 0x44, 0x48, 0x66, 0x80, 0x84, 0x90, 0xCC, 0xD5, 0x03, 0x20))
"""The bytes of x86's and arm64's padding: the long forms of ``nop``, ``int3``, zeros."""
_SMALL_GAP = 15
_PIECE = 1 << 12
"""Bytes of a gap that are looked at at once: mostly the first ones are enough."""
_ALIGNED = {"arm64": 4}
"""Processor -> bytes to multiples of which its instructions are aligned: what else looks like a start is chance."""
_NOTHING = np.array([], np.int64)


class Layout(NamedTuple):
    """Functions by address: their starts, their ends (0: not known), and whether control may fall into the next one."""

    starts: Addresses
    ends: Addresses
    falls: NDArray[np.bool_]
    loose: Addresses
    """Starts for which the only evidence is a branch or pointer to them: on x86 such a branch may be chance."""
    named: Addresses
    """The addresses of the file's symbols, of code and of data."""

    def containing(self, addresses: Addresses) -> Addresses:
        """Index of the function that holds each address; -1 before the first."""
        return np.searchsorted(self.starts, addresses, side="right") - 1

    def function(self, address: int) -> int:
        """Index of the function that holds an address; of the first function for addresses before it."""
        return max(0, bisect_right(self.starts.data, address) - 1)  # of one, in numpy it takes longer

    def exact(self, addresses: Addresses) -> Addresses:
        """Index of the function that starts at each address; -1 where none does."""
        at = np.searchsorted(self.starts, addresses)
        found = self.starts[np.minimum(at, len(self.starts) - 1)] == addresses if len(self.starts) else at < 0
        return np.where(found, at, -1)

    def begins(self, addresses: Addresses) -> NDArray[np.bool_]:
        """Whether a function starts at each address; fast for many addresses within a few megabytes."""
        if not len(addresses):
            return addresses > 0
        low, high = int(addresses.min()), int(addresses.max())
        begun = np.zeros(high - low + 1, np.bool_)
        first, last = np.searchsorted(self.starts, (low, high + 1))
        begun[self.starts[first:last] - low] = True
        return begun[addresses - low]


def layout(
    slice_: Slice,
    code: Code,
    *,
    linking: Linking | None,
    table: FunctionTable | None,
    stubs: Addresses,
    led_to: Addresses,
    unwound: Listed | None,
    told: Frames | None,
) -> Layout:
    """The functions of a slice.

    ``table`` is Go's own, ``unwound`` the unwinder's index, None where it was not read, ``told`` what it is told where
    it has none; ``led_to`` are the targets of calls and pointers.
    """
    named = np.fromiter(chain.from_iterable(places(slice_.symbols)), np.uint64).reshape(-1, 2)
    known = _extents(code, linking, named[named[:, 1] > 0], _unwound(unwound, told))
    sure = [np.array([r.address for r in code.ranges], np.int64), stubs]
    sure.append(_inside([min(slice_.entry, HIGHEST_ADDRESS), *(linking.started if linking else ())], code))
    sure.append(_inside(named[:, 0], code))
    if table is not None:
        sure.append(_inside(np.frombuffer(table.addresses, np.uint64), code))
    gaps = _gaps(code, known)
    loose = _NOTHING if table is not None else _uncovered(_inside(led_to, code), known)
    trusted = distinct(np.concatenate([known[0], *sure]))
    starts = distinct(np.concatenate([trusted, loose, gaps]))
    ends = np.zeros(len(starts), np.int64)
    ends[np.searchsorted(starts, known[0])] = known[1]
    following = np.concatenate([starts[1:], [0]])
    next_loose = np.concatenate([~among(starts[1:], trusted), [False]])
    falls = (ends > following) & (following > 0) | next_loose & ((ends == 0) | among(following, gaps))
    alone = loose[~among(loose, np.concatenate([trusted, gaps]))]
    falls &= ~among(following, stubs)  # one extent covers all stubs, each ends in a jump
    return Layout(starts, ends, falls, alone, named[named[:, 0] <= HIGHEST_ADDRESS, 0].astype(np.int64))


def _inside(addresses: ArrayLike, code: Code) -> Addresses:
    """The addresses at which instructions can start (executable, aligned): ascending, each once."""
    values = distinct(np.asarray(addresses, np.uint64))
    values = values[values % np.uint64(_ALIGNED.get(code.slice.arch, 1)) == 0]
    spans = [np.searchsorted(values, np.array((r.address, r.end), np.uint64)) for r in code.ranges]
    kept = [values[first:last].astype(np.int64) for first, last in spans]
    return np.concatenate([_NOTHING, *kept])


def _unwound(index: Listed | None, told: Frames | None) -> tuple[Addresses, Addresses]:
    """(starts, ends) of the functions that the unwinder knows. Static programs mostly have no index of them."""
    if index is not None and len(index.starts):
        return index.starts, index.ends
    columns = np.array([each[:2] for each in told.extents] if told else [], np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def _extents(
    code: Code, linking: Linking | None, sized: NDArray[np.uint64], unwound: tuple[Addresses, Addresses]
) -> tuple[Addresses, Addresses]:
    """(starts, ends) of the functions whose ends are known, by start; the longest where several start together.

    ``sized`` are addresses and sizes of symbols, ``unwound`` starts and ends.
    """
    tables = [sized]
    if linking is not None:
        symbols = linking.symbols
        chosen = symbols.defined & (symbols.sizes > 0) & among(symbols.kinds, (FUNCTION, IFUNC))
        tables.append(np.stack([symbols.values[chosen], symbols.sizes[chosen]], axis=1).astype(np.uint64))
    columns = np.concatenate(tables)
    low = (columns <= HIGHEST_ADDRESS).all(axis=1)
    columns = columns[low & (columns.sum(axis=1) <= HIGHEST_ADDRESS)].astype(np.int64)
    starts, ends = np.concatenate([unwound[0], columns[:, 0]]), np.concatenate([unwound[1], columns.sum(axis=1)])
    order = np.lexsort((-ends, starts))
    starts, ends = starts[order], ends[order]
    first = np.concatenate([[True], starts[1:] != starts[:-1]])[: len(starts)]
    kept = first & among(starts, _inside(starts, code))
    return starts[kept], ends[kept]


def _uncovered(addresses: Addresses, known: tuple[Addresses, Addresses]) -> Addresses:
    """The addresses that lie in no known function."""
    starts, ends = known
    if not len(starts):
        return addresses
    at = np.searchsorted(starts, addresses, side="right") - 1
    reach = np.maximum.accumulate(ends)
    return addresses[(at < 0) | (reach[at] <= addresses)]


def _gaps(code: Code, known: tuple[Addresses, Addresses]) -> Addresses:
    """The ends of known functions behind which stands code of no known function, and not only padding."""
    starts, ends = known
    if not len(starts):
        return _NOTHING
    reach = np.maximum.accumulate(ends)
    following = np.concatenate([starts[1:], [HIGHEST_ADDRESS]])
    found = []
    for at in np.flatnonzero((ends > 0) & (reach < following - _SMALL_GAP)).tolist():
        begin, end = int(reach[at]), int(following[at])
        if _holds_more(code, begin, end):
            found.append(begin)
    return _inside(found, code)


def _holds_more(code: Code, begin: int, end: int) -> bool:
    """Whether there is anything but padding, up to ``end`` or to the end of the code."""
    holder = code.range_of(begin)
    pieces = range(begin, begin if holder is None else min(end, holder.end), _PIECE)
    return any(code.read(at, min(at + _PIECE, end)).translate(None, _FILLING) for at in pieces)
