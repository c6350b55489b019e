"""What a parser saw: an artifact as slices, segments, sections and names, whatever its format.

Addresses are preferred virtual addresses of their slice; offsets count from the start of the *slice*.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from binsafe.model.facts import Library

Format = Literal["mach-o", "elf", "pe"]
Linkage = Literal["dynamic", "static", "static-pie"]


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One range of memory that the loader maps (a program header, a segment, or a PE section)."""

    name: str
    address: int
    memory_size: int
    offset: int
    file_size: int
    readable: bool
    writable: bool
    executable: bool


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One named range of the file; ``size`` is 0 in the file where ``offset`` is None (bss)."""

    name: str
    address: int
    size: int
    offset: int | None
    executable: bool = False


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """A name that the slice defines; ``size`` is 0 where the format does not say it."""

    name: str
    address: int
    size: int = 0


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """A name that another library must supply; ``address`` is where it is called through (stub, GOT or IAT slot)."""

    name: str
    library: str | None = None
    address: int | None = None


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """One program for one processor: the whole of an ELF or PE file, or one member of a universal Mach-O.

    ``traits`` are plain header facts under the format's own names (``pie``, ``bind_now``, ``guard_cf``, ...): what the
    mitigations are derived from. ``signature_range`` is where the file keeps its signature: (offset, size). ``symbols``
    are made as they are looked at where there may be a million of them.
    """

    format: Format
    arch: str
    bits: Literal[32, 64]
    byte_order: Literal["little", "big"]
    system: str
    kind: str
    linkage: Linkage | None
    entry: int
    data: memoryview
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    libraries: tuple[Library, ...]
    rpaths: tuple[str, ...]
    imports: tuple[Import, ...]
    symbols: Sequence[Symbol]
    traits: Mapping[str, bool | int | str]
    signature_range: tuple[int, int] | None = None
    offset: int = 0
    """Where the slice begins in the artifact."""
    problems: tuple[str, ...] = ()
    """What our own structure rules object to: 'parsed' is not 'valid'."""
    linking: Any = None
    """`binsafe.formats.elf_linking.Linking` of a 64-bit little-endian ELF file: of a large one it takes seconds."""

    def section(self, name: str) -> Section | None:
        """The first section of that name."""
        return next((s for s in self.sections if s.name == name), None)

    def contents(self, section: Section) -> memoryview:
        """The bytes of a section as the file holds them; empty where it holds none."""
        if section.offset is None:
            return self.data[:0]
        return self.data[section.offset : section.offset + section.size]

    def data_ranges(self) -> Iterator[tuple[int, int]]:
        """Start and end of all stored bytes that no section calls code, ascending: where texts are."""
        at = 0
        code = sorted((s.offset, s.offset + s.size) for s in self.sections if s.executable and s.offset is not None)
        for start, end in code:
            if start > at:
                yield at, start
            at = max(at, end)
        if at < len(self.data):
            yield at, len(self.data)

    def offset_of(self, address: int) -> int | None:
        """Where in the slice the byte at a virtual address is stored; None outside all stored bytes."""
        for segment in self.segments:
            delta = address - segment.address
            if 0 <= delta < segment.file_size:
                return segment.offset + delta
        return None

    def read(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes at a virtual address; shorter (or empty) where the file ends or nothing is mapped."""
        offset = self.offset_of(address)
        return b"" if offset is None or size <= 0 else bytes(self.data[offset : offset + size])


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """The format-neutral view of an artifact."""

    format: Format
    slices: tuple[Slice, ...]
    problems: tuple[str, ...] = ()
