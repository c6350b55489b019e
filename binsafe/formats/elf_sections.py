"""The section headers of ELF: a convenience, which no loader reads; those that contradict the segments are left out.

Layout: the gABI (System V ABI, chapter 4).
"""

from typing import NamedTuple

from binsafe.formats.elf_headers import DYN, EXEC, Header, ProgramHeader
from binsafe.formats.structure import Memory, Reader, is_layered, text
from binsafe.limits import MAX_SECTIONS
from binsafe.model import Section

SHT_NULL, SHT_SYMTAB, SHT_NOBITS = 0, 2, 8
_SHN_XINDEX = 0xFFFF
_SHF_ALLOC, _SHF_EXECINSTR, _SHF_TLS = 2, 4, 0x400


class SectionHeader(NamedTuple):
    """One section header."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int


def section_headers(head: Header, reader: Reader) -> tuple[list[SectionHeader], str | None]:
    """The section headers that are inside the file, and what is wrong with the table (None where nothing is)."""
    wide = head.bits == 64
    layout, entry_size = ("IIQQQQIIQQ", 64) if wide else ("IIIIIIIIII", 40)
    if head.shoff == 0:
        return [], "the file has none"
    if head.shentsize != entry_size or head.shoff + entry_size > len(reader.data):
        return [], "it lies outside of the file or has entries of an impossible size"
    count = head.shnum or reader.unpack(layout, head.shoff, "the first section header")[5]  # gABI: extended numbering
    if count > MAX_SECTIONS or head.shoff + count * entry_size > len(reader.data):
        return [], f"{count:,} entries do not fit into the file"
    rows = reader.rows(layout, head.shoff, count * entry_size, "the section headers")
    return [SectionHeader(*row[:7]) for row in rows], None if count else "it is empty"


def sections(
    head: Header, headers: list[SectionHeader], loaded: list[ProgramHeader], data: memoryview
) -> tuple[tuple[Section, ...], str | None]:
    """The sections that are true, and what is wrong with the others (None where nothing is).

    A section is true if it lies inside the file and, where it says that it is loaded, if the segments put those very
    bytes at that address. What contradicts the segments is left out: a loader never reads it, an analyst might.
    """
    index = headers[0].link if head.shstrndx == _SHN_XINDEX and headers else head.shstrndx
    strings = headers[index] if 0 < index < len(headers) else None
    inside = strings is not None and strings.offset + strings.size <= len(data)
    table = data[strings.offset : strings.offset + strings.size] if strings is not None and inside else data[:0]
    memory = Memory(loaded)
    found, lies = [], 0
    for entry in headers[1:]:
        if entry.type == SHT_NULL:
            continue
        if not _is_true(entry, memory, len(data), check_address=head.type in {EXEC, DYN}):
            lies += 1
            continue
        found.append(
            Section(
                name=text(table, entry.name),
                address=entry.address,
                size=entry.size,
                offset=None if entry.type == SHT_NOBITS else entry.offset,
                executable=bool(entry.flags & _SHF_EXECINSTR),
            )
        )
    if is_layered(((s.offset, s.size) for s in found if s.offset is not None), len(data)):
        return (), "its sections lie over each other"
    if lies:
        return tuple(found), f"{lies} of {len(headers) - 1} sections contradict the segments or the file's size"
    if headers and not found:
        return (), "all of its entries are empty"
    return tuple(found), None if inside or not headers else "the sections' names are not in the file"


def _is_true(entry: SectionHeader, memory: Memory[ProgramHeader], size: int, *, check_address: bool) -> bool:
    stored = entry.type != SHT_NOBITS
    if stored and entry.offset + entry.size > size:
        return False
    if not (check_address and entry.flags & _SHF_ALLOC and entry.size):
        return True
    if not stored and entry.flags & _SHF_TLS:  # thread-local bss takes no room in the image
        return True
    segment = memory.at(entry.address)
    if segment is None:
        return False
    room = segment.file_size if stored else segment.memory_size
    at = entry.address - segment.address
    return at + entry.size <= room and (not stored or at == entry.offset - segment.offset)
