"""What the parsers make of a file that has one slice, and where a Mach-O keeps its load commands."""

import struct

from binsafe.formats import parse
from binsafe.model import Slice


def only_slice(data: bytes) -> Slice:
    (found,) = parse(memoryview(data)).slices
    return found


def command_at(data: bytes, kind: int, number: int = 0):
    """Offset of the ``number``-th load command of a kind."""
    at, left = 32, struct.unpack_from("<I", data, 16)[0]
    for _ in range(left):
        found, size = struct.unpack_from("<II", data, at)
        if found == kind:
            if number == 0:
                return at
            number -= 1
        at += size
    raise LookupError(kind)
