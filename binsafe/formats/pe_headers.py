"""The headers of PE: DOS stub, COFF header, optional header and section table, and the rules of Windows' loader.

Layout: Microsoft's "PE Format" (https://learn.microsoft.com/windows/win32/debug/pe-format).
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from binsafe.formats.structure import Range, Reader, excessive, is_layered, malformed, refuse_overlap, text
from binsafe.formats.symbols import Allowance
from binsafe.limits import MAX_SECTIONS, MAX_SYMBOLS

_LFANEW = 0x3C
_SHORT_NAMES = 1024**2
"""Letters of names beyond twice the file's own bytes."""
_PE32, _PE32_PLUS = 0x10B, 0x20B
_MAX_DIRECTORIES = 16
_SECTOR = 512
"""The loader rounds a section's offset down to this, whatever ``FileAlignment`` says."""
_PAGE = 4096
EFI = range(10, 14)
"""Subsystems of UEFI, whose loader copies sections whatever their alignment."""
EXPORT, IMPORT, RESOURCES, SECURITY, DEBUG, LOAD_CONFIGURATION, DELAY_IMPORT, CLI = 0, 1, 2, 4, 6, 10, 13, 14
SCN_EXECUTE, SCN_READ, SCN_WRITE = 0x2000_0000, 0x4000_0000, 0x8000_0000
_ARCHES: Mapping[int, tuple[str, int]] = {
    0x14C: ("i386", _PE32),
    0x8664: ("x86_64", _PE32_PLUS),
    0x1C0: ("arm", _PE32),
    0x1C2: ("arm", _PE32),
    0x1C4: ("arm", _PE32),
    0xAA64: ("arm64", _PE32_PLUS),
    0x5032: ("riscv32", _PE32),
    0x5064: ("riscv64", _PE32_PLUS),
    0x6264: ("loongarch64", _PE32_PLUS),
}


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The COFF and optional headers; ``directories`` are ranges of RVAs, but for SECURITY, a range of the file.

    ``starts_at`` is where the PE header stands, ``linker`` the major and minor version of what wrote it.
    """

    starts_at: int
    linker: tuple[int, int]
    bits: Literal[32, 64]
    arch: str
    characteristics: int
    sections_at: int
    section_count: int
    coff_symbols: int
    coff_symbol_count: int
    entry: int
    image_base: int
    section_alignment: int
    headers_size: int
    subsystem: int
    dll_characteristics: int
    directories: tuple[Range, ...]

    def directory(self, number: int) -> Range:
        """A data directory; (0, 0) where the file has fewer."""
        return self.directories[number] if number < len(self.directories) else (0, 0)


class PeSection(NamedTuple):
    """One section; ``size`` bytes at ``offset`` are what the loader maps of the file."""

    name: str
    rva: int
    memory_size: int
    offset: int
    size: int
    flags: int


def header(data: memoryview) -> tuple[Header, Reader]:
    """All headers up to the section table.

    Raises:
        NotAnalysable: they are cut off, contradict each other, or it is a DOS program.
    """
    reader = Reader(data, "little")
    (start,) = reader.unpack("I", _LFANEW, "the DOS header")
    if bytes(reader.range(start, 4, "the PE signature")) != b"PE\0\0":
        raise malformed("a DOS program, or a PE file whose header is not where it should be")
    machine, sections, _, symbols, symbol_count, size, characteristics = reader.unpack(
        "HHIIIHH", start + 4, "the COFF header"
    )
    at = start + 24
    (magic,) = reader.unpack("H", at, "the optional header")
    arch, wanted = _ARCHES.get(machine, (f"machine-{machine:#x}", magic))
    if magic not in {_PE32, _PE32_PLUS} or magic != wanted:
        raise malformed(f"an optional header of kind {magic:#x} for {arch}")
    wide = magic == _PE32_PLUS
    first = 112 if wide else 96
    optional = Reader(reader.range(at, size, "the optional header"), "little")
    (count,) = optional.unpack("I", first - 4, "the optional header")
    count = min(count, _MAX_DIRECTORIES)  # the loader does the same
    directories = optional.rows("II", first, count * 8, "the data directories")
    section_alignment, file_alignment = optional.unpack("II", 32, "the optional header")
    for alignment in (section_alignment, file_alignment):
        if alignment == 0 or alignment & (alignment - 1):
            raise malformed(f"an alignment of {alignment}, which is no power of two")
    headers_size, _, subsystem, flags = optional.unpack("IIHH", 60, "the optional header")
    reader.range(0, headers_size, "the headers")
    return Header(
        starts_at=start,
        linker=optional.unpack("BB", 2, "the optional header"),
        bits=64 if wide else 32,
        arch=arch,
        characteristics=characteristics,
        sections_at=at + size,
        section_count=sections,
        coff_symbols=symbols,
        coff_symbol_count=symbol_count,
        entry=optional.unpack("I", 16, "the optional header")[0],
        image_base=optional.unpack("Q", 24, "the optional header")[0] if wide else optional.unpack("I", 28, "")[0],
        section_alignment=section_alignment,
        headers_size=headers_size,
        subsystem=subsystem,
        dll_characteristics=flags,
        directories=tuple((rva, length) for rva, length in directories),
    ), reader


def letters(reader: Reader) -> Allowance:
    """How many letters the names of a directory may have: short ones may stand for several things."""
    return Allowance(2 * len(reader.data) + _SHORT_NAMES)


def sections(head: Header, reader: Reader) -> tuple[PeSection, ...]:
    """The section table.

    Raises:
        NotAnalysable: "section-table" where it lies outside of the file, "truncated" where a section's bytes do,
            "malformed" where sections overlap in memory.
    """
    end = head.sections_at + 40 * head.section_count
    if head.section_count == 0 or head.section_count > MAX_SECTIONS or end > len(reader.data):
        raise malformed(f"a table of {head.section_count:,} sections does not fit", finding="section-table")
    strings = _strings(head, reader)
    flat = head.section_alignment < _PAGE and head.subsystem not in EFI  # Windows maps such a file as it is
    rows = reader.rows("8sIIIIIIHHI", head.sections_at, 40 * head.section_count, "the section table")
    found = []
    for name, memory_size, rva, raw_size, raw, _, _, _, _, flags in rows:
        offset = raw & ~(_SECTOR - 1) if head.section_alignment >= _PAGE else raw
        stored = 0 if raw == 0 else raw_size
        if stored and flat and raw != rva:
            raise malformed(f"section {text(name)} is not where a file without pages is mapped")
        if stored:
            reader.range(offset, stored, f"section {text(name)}")
        found.append(
            PeSection(
                name=_name(name, strings),
                rva=rva,
                memory_size=memory_size or raw_size,
                offset=offset,
                size=min(stored, _rounded(memory_size or raw_size, head.section_alignment)),
                flags=flags,
            )
        )
    if is_layered(((section.offset, section.size) for section in found), len(reader.data)):
        raise excessive("its sections lie over each other in the file")
    refuse_overlap([(0, head.headers_size), *((s.rva, s.memory_size) for s in found)], "sections in memory")
    return tuple(found)


def _rounded(size: int, alignment: int) -> int:
    return (size + alignment - 1) & ~(alignment - 1)


def _strings(head: Header, reader: Reader) -> memoryview:
    """The string table, which follows the COFF symbols; empty where it is not inside the file."""
    at = head.coff_symbols + 18 * head.coff_symbol_count
    if head.coff_symbols == 0 or head.coff_symbol_count > MAX_SYMBOLS or at + 4 > len(reader.data):
        return reader.data[:0]
    return reader.data[at : at + reader.unpack("I", at, "the string table")[0]]


def _name(name: bytes, strings: memoryview) -> str:
    """A section's name; ``/123`` is an offset into the string table (GNU's extension, for names over 8 bytes)."""
    plain = text(name)
    if plain.startswith("/") and plain[1:].isdecimal() and plain.isascii() and int(plain[1:]) < len(strings):
        return text(strings, int(plain[1:]))
    return plain


class CoffSymbols(NamedTuple):
    """The COFF symbol table and the string table behind it."""

    table: memoryview
    strings: memoryview


def coff_symbols(head: Header, reader: Reader) -> CoffSymbols | None:
    """The symbol tables; None where the file has none, or they are not inside it (no loader reads them)."""
    end = head.coff_symbols + 18 * head.coff_symbol_count
    if head.coff_symbols == 0 or head.coff_symbol_count > MAX_SYMBOLS or end > len(reader.data):
        return None
    return CoffSymbols(reader.data[head.coff_symbols : end], _strings(head, reader))
