"""Strings of a file that say what it will load, or look up, at run time; by the functions that refer to them."""

from collections.abc import Iterator

import numpy as np

from binsafe.formats.structure import find_all, let_go
from binsafe.model import Segment
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS
from binsafe.syscalls.glibc import ASKED_BEGIN, asks_for_names, names_asked_for, places
from binsafe.syscalls.linking.summary import Text
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.sets import distinct

_MAX_TEXT = 200
_AT_ONCE = 1 << 16
"""Offsets that are looked at before the memory that was read is let go."""


def texts(program: Program) -> Iterator[Text]:
    """Names of libraries; where a file looks names up by itself also those, and paths on which its functions depend."""
    asking = asks_for_names(program.slice)
    for segment in program.slice.segments:
        if segment.writable or segment.address + segment.file_size > HIGHEST_ADDRESS:
            continue
        data = program.slice.data[segment.offset : segment.offset + segment.file_size]
        found = [*_library_names(data)]
        if asking:
            begins = _beginning(data, _named(program, segment))
            found += [*names_asked_for(data, begins.tolist()), *places(data)]
        for start, text in found:
            address = segment.address + start
            sources = (source for source, _, _ in program.references.into(address, address + 1))
            yield from (Text(node, text) for node in sorted({program.layout.function(source) for source in sources}))


def _named(program: Program, segment: Segment) -> Addresses:
    """Offsets in a segment that code names, ascending, each once."""
    targets = program.references.targets
    first, last = np.searchsorted(targets, (segment.address, segment.address + segment.file_size))
    return distinct(targets[first:last]) - segment.address


def _beginning(data: memoryview, offsets: Addresses) -> Addresses:
    """Those of the offsets at which there are the first letters of a name that is looked up."""
    letters = min(map(len, ASKED_BEGIN))
    offsets = offsets[offsets + letters <= len(data)]
    begun = np.zeros(len(offsets), np.bool_)
    bytes_ = np.frombuffer(data, np.uint8)
    for first in range(0, len(offsets), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        for word in ASKED_BEGIN:
            begun[part] |= np.logical_and.reduce([bytes_[offsets[part] + at] == word[at] for at in range(letters)])
        let_go(data)
    return offsets[begun]


def _library_names(data: memoryview) -> Iterator[tuple[int, str]]:
    """Offset and text of each printable string with ``.so`` in it."""
    for at in find_all(data, b".so"):
        _, begun, head = bytes(data[max(0, at - _MAX_TEXT) : at]).rpartition(b"\0")
        tail, ended, _ = bytes(data[at : at + _MAX_TEXT]).partition(b"\0")
        text = head + tail if begun and ended else b""
        if text.isascii() and text.decode("ascii").isprintable() and text:
            yield at - len(head), text.decode("ascii")
