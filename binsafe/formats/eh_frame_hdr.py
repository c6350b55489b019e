"""The unwinder's index of functions: the table for binary search of ``.eh_frame_hdr``, and the entries it leads to.

Linux Standard Base Core 5.0, section 10.6. Of a hundred thousand functions nothing is read one by one.
"""

from typing import NamedTuple

import numpy as np

from binsafe.arrays import NDArray
from binsafe.errors import NotAnalysable
from binsafe.formats import elf_headers
from binsafe.formats.elf_linking import Linking
from binsafe.limits import MAX_UNWOUND
from binsafe.model import Slice

_TABLE = 12
"""Bytes before the table."""
_ENCODINGS = bytes((1, 0x1B, 0x03, 0x3B))
"""Version 1, pc-relative pointer, 4-byte count, 4-byte values relative to the header: all linkers write that."""
_HIGHEST_ADDRESS = 1 << 62
_NOTHING = np.array([], np.int64)

Addresses = NDArray[np.int64]


class Listed(NamedTuple):
    """Functions in the order of the table: columns of addresses, and of places in the file."""

    starts: Addresses
    ends: Addresses
    """0 where that is not said in the usual form."""
    entries: Addresses
    """Of `eh_frame`."""
    commons: Addresses
    """What each entry has in common with others; of no meaning where no end is said."""
    offsets: Addresses
    """Where each entry stands in the file; likewise."""


NOTHING_LISTED = Listed(*(_NOTHING,) * len(Listed._fields))


def listed(slice_: Slice, linking: Linking | None) -> Listed | None:
    """All functions of the table; none where there is no table, or one in another form; None for more than the cap.

    Only of entries in the segment that holds the first one is it said where they end: linkers put all into one.
    """
    address = _address(slice_, linking)
    head = b"" if address is None else slice_.read(address, _TABLE)
    if address is None or address > _HIGHEST_ADDRESS or not head.startswith(_ENCODINGS) or len(head) < _TABLE:
        return NOTHING_LISTED
    data = slice_.read(address + _TABLE, 8 * min(int.from_bytes(head[8:12], "little"), MAX_UNWOUND + 1))
    if len(data) > 8 * MAX_UNWOUND:
        return None
    pairs = np.frombuffer(data[: len(data) & ~7], np.dtype("<i4")).astype(np.int64) + address
    starts, entries = np.maximum(pairs[::2], 0), pairs[1::2]
    begin = int(entries[0]) if len(entries) else address
    segment = next((each for each in slice_.segments if 0 <= begin - each.address < each.file_size), slice_.segments[0])
    at = entries - segment.address + segment.offset
    readable = (at >= segment.offset) & (at + 16 <= min(segment.offset + segment.file_size, len(slice_.data)))
    numbers = np.ndarray(len(slice_.data) - 3, "<i4", buffer=slice_.data, strides=(1,))  # one at each byte
    common, first, size = (numbers[np.where(readable, at + field, 0)].astype(np.int64) for field in (4, 8, 12))
    sure = readable & (entries + 8 + first == starts) & (size > 0)
    ends = np.where(sure, starts + size, 0)
    return Listed(starts, ends, entries, commons=entries + 4 - common, offsets=at)


def _address(slice_: Slice, linking: Linking | None) -> int | None:
    """Where it is by the program header, which is what the unwinder looks at; else by the section table."""
    section = slice_.section(".eh_frame_hdr")
    found = _by_header(slice_.data) if linking is None else linking.unwind
    return found if found is not None or section is None else section.address


def _by_header(data: memoryview) -> int | None:
    """The same for a file that is not linked."""
    try:
        headers = elf_headers.program_headers(*elf_headers.header(data)) if bytes(data[:4]) == b"\x7fELF" else ()
    except NotAnalysable:
        return None
    return next((each.address for each in headers if each.type == elf_headers.PT_GNU_EH_FRAME), None)
