"""Where functions start: the addresses from which decoding is aligned.

Four sources, in order of trust: Go's own table, the unwind table's index (it survives ``strip``), symbols, and targets
of direct calls. All but Go's can be incomplete: assembler and old C have no unwind entries. A start too many does
little harm, see `binsafe.syscalls.regions`; a start too few only makes a region longer.
"""

import numpy as np
import numpy.typing as npt

from binsafe.formats.gopclntab import FunctionTable
from binsafe.model import Slice
from binsafe.syscalls.code import HIGHEST_ADDRESS, Code
from binsafe.syscalls.machine import Addresses

_EH_FRAME_HDR_TABLE = 12
_EH_FRAME_HDR_ENCODINGS = bytes((1, 0x1B, 0x03, 0x3B))
"""Version 1, pc-relative pointer, 4-byte count, 4-byte values relative to the header: all linkers write that."""


def starts(slice_: Slice, code: Code, table: FunctionTable | None, called: Addresses) -> Addresses:
    """All function starts inside code, ascending; ``table`` is Go's, ``called`` the targets of direct calls."""
    found = [np.array([r.address for r in code.ranges], np.int64), _inside([min(slice_.entry, HIGHEST_ADDRESS)], code)]
    found += [
        _unwind_starts(slice_, code),
        _inside([s.address for s in slice_.symbols if s.address <= HIGHEST_ADDRESS], code),
    ]
    found.append(_inside(called if table is None else np.frombuffer(table.addresses, np.uint64), code))
    return np.unique(np.concatenate(found))


def _inside(addresses: npt.ArrayLike, code: Code) -> Addresses:
    """Those that lie in executable ranges, ascending, each once."""
    values = np.unique(np.asarray(addresses, np.uint64))
    spans = [np.searchsorted(values, np.array((r.address, r.end), np.uint64)) for r in code.ranges]
    kept = [values[first:last].astype(np.int64) for first, last in spans]
    return np.concatenate([np.array([], np.int64), *kept])


def _unwind_starts(slice_: Slice, code: Code) -> Addresses:
    """First column of the binary-search table in ``.eh_frame_hdr`` (Linux Standard Base core, section 10.6.2)."""
    section = slice_.section(".eh_frame_hdr")
    data = b"" if section is None else bytes(slice_.contents(section))
    if section is None or section.address > HIGHEST_ADDRESS or not data.startswith(_EH_FRAME_HDR_ENCODINGS):
        return np.array([], np.int64)
    count = min(int.from_bytes(data[8:12], "little"), (len(data) - _EH_FRAME_HDR_TABLE) // 8)
    pairs = np.frombuffer(data, np.dtype("<i4"), 2 * max(0, count), _EH_FRAME_HDR_TABLE)
    return _inside(np.maximum(section.address + pairs[::2].astype(np.int64), 0), code)
