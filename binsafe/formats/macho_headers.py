"""The headers of Mach-O: the universal header, the file header, and where each load command is.

Layouts: Apple's ``mach-o/loader.h`` and ``mach-o/fat.h``. Rules: XNU's ``bsd/kern/mach_loader.c`` and dyld's
``mach_o/Header.cpp``.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.formats.structure import ByteOrder, Range, Reader, malformed, refuse_overlap
from binsafe.limits import MAX_SLICES

FAT_MAGIC, FAT_MAGIC_64 = 0xCAFEBABE, 0xCAFEBABF
_STATIC_LIBRARIES = (b"!<arch>\n", b"!<thin>\n")
_MAGICS: Mapping[bytes, tuple[Literal[32, 64], ByteOrder]] = {
    b"\xfe\xed\xfa\xce": (32, "big"),
    b"\xfe\xed\xfa\xcf": (64, "big"),
    b"\xce\xfa\xed\xfe": (32, "little"),
    b"\xcf\xfa\xed\xfe": (64, "little"),
}
OBJECT, EXECUTE, DYLIB, DYLINKER, BUNDLE, DEBUG_SYMBOLS = 1, 2, 6, 7, 8, 10
MAPPED_KINDS = (EXECUTE, DYLIB, DYLINKER, BUNDLE)
"""File types that the kernel or dyld maps."""
_MAX_COMMANDS = 65_536
_CHUNK = 1024 * 1024
_MAX_ALIGNMENT = 15
"""Largest alignment of a slice as a power of two (MAXSECTALIGN of cctools)."""
SUBTYPE_MASK = 0x00FF_FFFF
"""The upper byte of a processor subtype holds capability bits."""

LC_REQ_DYLD = 0x8000_0000
"""The bit of commands that dyld must know or refuse the file."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One slice of a universal file."""

    cpu: int
    subtype: int
    offset: int
    data: memoryview


class Command(NamedTuple):
    """A load command whose size was checked; ``reader`` sees the command's own bytes only."""

    kind: int
    reader: Reader


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The file header."""

    bits: Literal[32, 64]
    byte_order: ByteOrder
    cpu: int
    subtype: int
    file_type: int
    flags: int


def members(data: memoryview) -> Iterator[Member]:
    """The slices of a universal file, in its order.

    Raises:
        NotAnalysable: one lies outside of the file, two overlap or are for the same processor.
    """
    reader = Reader(data, "big")
    magic, count = reader.unpack("II", 0, "the universal header")
    if not 1 <= count <= MAX_SLICES:
        raise malformed(f"a universal file of {count} slices")
    layout, size = ("iiQQII", 32) if magic == FAT_MAGIC_64 else ("iiIII", 20)
    rows = [row[:5] for row in reader.rows(layout, 8, count * size, "the universal header")]
    ranges: list[Range] = [(0, 8 + count * size), *((offset, length) for _, _, offset, length, _ in rows)]
    refuse_overlap(ranges, "slices", finding="overlapping-slices")
    if len({(cpu, subtype & SUBTYPE_MASK) for cpu, subtype, *_ in rows}) < count:
        raise malformed("two slices for the same processor: which one runs is anybody's guess")
    for cpu, subtype, offset, length, align in rows:
        if align > _MAX_ALIGNMENT or offset % (1 << align):
            raise malformed(f"a slice at {offset:#x} that is not aligned as its header says")
        yield Member(cpu=cpu, subtype=subtype, offset=offset, data=reader.range(offset, length, "a slice"))


def stray_bytes(data: memoryview, slices: list[Member]) -> int:
    """How many bytes that are not zero stand between, before and behind the slices; the header's own do not count."""
    ends = sorted((member.offset, member.offset + len(member.data)) for member in slices)
    header_end = 8 + len(slices) * (32 if int.from_bytes(data[:4], "big") == FAT_MAGIC_64 else 20)
    gaps = zip([header_end, *(end for _, end in ends)], [*(start for start, _ in ends), len(data)], strict=True)
    chunks = (data[at : min(at + _CHUNK, end)] for start, end in gaps for at in range(start, end, _CHUNK))
    return sum(len(chunk) - bytes(chunk).count(0) for chunk in chunks)


def header(data: memoryview) -> tuple[Header, list[Command]]:
    """The file header and the load commands, of which each lies inside the space that the header gives them.

    Raises:
        NotAnalysable: something is cut off, or a size or count cannot be.
    """
    if bytes(data[:8]) in _STATIC_LIBRARIES:
        raise NotAnalysable(
            "the file is a static library, not an executable",
            hint="unpack it and inspect what is in it",
            finding="archive",
        )
    if bytes(data[:4]) not in _MAGICS:
        raise malformed("a slice that is no Mach-O program")
    bits, byte_order = _MAGICS[bytes(data[:4])]
    reader = Reader(data, byte_order)
    start = 28 if bits == 32 else 32
    reader.range(0, start, "the Mach-O header")
    cpu, subtype, file_type, count, size, flags = reader.unpack("iiIIII", 4, "the Mach-O header")
    if not 0 < count <= _MAX_COMMANDS or count * 8 > size:
        raise malformed(f"{count:,} load commands in {size:,} bytes")
    head = Header(bits=bits, byte_order=byte_order, cpu=cpu, subtype=subtype, file_type=file_type, flags=flags)
    return head, list(_commands(Reader(reader.range(start, size, "the load commands"), byte_order), count))


def _commands(reader: Reader, count: int) -> Iterator[Command]:
    offset = 0
    for number in range(count):
        kind, size = reader.unpack("II", offset, f"load command {number}")
        if size < 8 or size % 4 or offset + size > len(reader.data):  # the header of a command
            raise malformed(f"load command {number} has an impossible size of {size:,} bytes")
        yield Command(kind, Reader(reader.data[offset : offset + size], reader.byte_order))
        offset += size
