"""The segment commands of Mach-O (``LC_SEGMENT``, ``LC_SEGMENT_64``) with their sections, checked against the file.

Layouts: Apple's ``mach-o/loader.h``. Rules: XNU's ``bsd/kern/mach_loader.c`` and dyld's ``mach_o/Header.cpp``.
"""

from typing import Any

import msgspec

from binsafe.formats.macho_headers import DEBUG_SYMBOLS, MAPPED_KINDS, OBJECT, Command, Header
from binsafe.formats.structure import Reader, excessive, malformed, text
from binsafe.limits import MAX_SECTIONS

SEGMENT, SEGMENT_64 = 0x1, 0x19
SECTION_TYPE = 0xFF
_PROTECTED = 0x8
_ZEROFILL = (0x1, 0xC, 0x12)
"""Section types without stored bytes: zero-fill, gigabyte zero-fill, thread-local zero-fill."""


class MachSegment(msgspec.Struct, frozen=True, kw_only=True):
    """``LC_SEGMENT`` or ``LC_SEGMENT_64``."""

    name: str
    address: int
    memory_size: int
    offset: int
    file_size: int
    protection: int
    encrypted: bool
    """``SG_PROTECTED_VERSION_1``: the kernel decrypts its pages, but for the first ones."""


class MachSection(msgspec.Struct, frozen=True, kw_only=True):
    """A section; ``offset`` is None where nothing is stored, ``reserved`` depends on the type."""

    name: str
    address: int
    size: int
    offset: int | None
    flags: int
    reserved: tuple[int, int]


def read_segment(head: Header, command: Command, file: Reader) -> tuple[MachSegment, list[MachSection]]:
    """A segment and its sections, all of which lie inside the slice and the segment.

    Raises:
        NotAnalysable: "truncated" where something ends behind the slice, "section-table" where sections lie outside
            of their segment, "malformed" otherwise.
    """
    wide = command.kind == SEGMENT_64
    layout, size = ("16sQQQQiiII", 64) if wide else ("16sIIIIiiII", 48)
    name, address, memory_size, offset, file_size, _, protection, count, flags = command.reader.unpack(
        layout, 8, "a segment"
    )
    if wide != (head.bits == 64):
        raise malformed("a segment command of the other word size")
    if count > MAX_SECTIONS:
        raise excessive("too many segments or sections")
    segment = MachSegment(
        name=text(name),
        address=address,
        memory_size=memory_size,
        offset=offset,
        file_size=file_size,
        protection=protection,
        encrypted=bool(flags & _PROTECTED),
    )
    if file_size:
        file.range(offset, file_size, f"segment {segment.name}")
    # Go's linker leaves debugging data in a segment without memory, which dyld does not map.
    overfull = head.file_type in MAPPED_KINDS and file_size > memory_size > 0
    if overfull or address + memory_size > 1 << head.bits:
        raise malformed(f"segment {segment.name} does not fit into its memory")
    entry_size = 80 if wide else 68
    if 8 + size + count * entry_size > len(command.reader.data):
        raise malformed(f"{count:,} sections do not fit into segment {segment.name}'s command", finding="section-table")
    rows = command.reader.rows(
        "16s16sQQIIIIIIII" if wide else "16s16sIIIIIIIII", 8 + size, count * entry_size, "a section"
    )
    loaded = head.file_type not in {DEBUG_SYMBOLS, OBJECT} and memory_size > 0
    return segment, [_section(segment, row, file, loaded=loaded) for row in rows]


def _section(segment: MachSegment, row: tuple[Any, ...], file: Reader, *, loaded: bool) -> MachSection:
    name, _, address, size, offset, _, _, _, flags, *reserved = row
    stored = flags & SECTION_TYPE not in _ZEROFILL and offset != 0 and size != 0
    if stored:
        within = segment.offset <= offset and offset + size <= segment.offset + segment.file_size
        agrees = not loaded or offset - segment.offset == address - segment.address
        if not within or not agrees or offset + size > len(file.data):
            raise malformed(f"section {text(name)} lies outside of segment {segment.name}", finding="section-table")
    return MachSection(
        name=text(name),
        address=address,
        size=size,
        offset=offset if stored else None,
        flags=flags,
        reserved=(reserved[0], reserved[1]),
    )
