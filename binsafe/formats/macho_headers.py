"""The headers of Mach-O: universal header, file header and load commands, and the rules that dyld and XNU hold them to.

Layouts: Apple's ``mach-o/loader.h`` and ``mach-o/fat.h``. Rules: XNU's ``bsd/kern/mach_loader.c`` and dyld's
``mach_o/Header.cpp``.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from binsafe.formats.structure import ByteOrder, Range, Reader, malformed, refuse_overlap, text, truncated
from binsafe.limits import MAX_SECTIONS, MAX_SEGMENTS, MAX_SLICES
from binsafe.model import Library

FAT_MAGIC, FAT_MAGIC_64 = 0xCAFEBABE, 0xCAFEBABF
_MAGICS: Mapping[bytes, tuple[Literal[32, 64], ByteOrder]] = {
    b"\xfe\xed\xfa\xce": (32, "big"),
    b"\xfe\xed\xfa\xcf": (64, "big"),
    b"\xce\xfa\xed\xfe": (32, "little"),
    b"\xcf\xfa\xed\xfe": (64, "little"),
}
OBJECT, EXECUTE, DYLIB, DYLINKER, BUNDLE = 1, 2, 6, 7, 8
_MAPPED_KINDS = (EXECUTE, DYLIB, DYLINKER, BUNDLE)
_MAX_COMMANDS = 65_536
_MAX_ALIGNMENT = 15
"""Largest alignment of a slice as a power of two (MAXSECTALIGN of cctools)."""
_SUBTYPE_MASK = 0x00FF_FFFF
"""The upper byte of a processor subtype holds capability bits."""

_LC_REQ_DYLD = 0x8000_0000
_SEGMENT, _SYMTAB, _UNIXTHREAD, _DYSYMTAB, _SEGMENT_64 = 0x1, 0x2, 0x5, 0xB, 0x19
_LOAD_DYLINKER, _UUID, _CODE_SIGNATURE, _DYLD_ENVIRONMENT = 0xE, 0x1B, 0x1D, 0x27
_RPATH, _MAIN, _BUILD_VERSION = 0x1C | _LC_REQ_DYLD, 0x28 | _LC_REQ_DYLD, 0x32
_ENCRYPTION = (0x21, 0x2C)
_DYLD_INFO = (0x22, 0x22 | _LC_REQ_DYLD)
_CHAINED_FIXUPS = 0x34 | _LC_REQ_DYLD
_EXPORTS_TRIE = 0x33 | _LC_REQ_DYLD
_LINKEDIT_DATA = (_CODE_SIGNATURE, 0x1E, 0x26, 0x29, 0x2B, 0x2E, _EXPORTS_TRIE, _CHAINED_FIXUPS)
_VERSION_MIN = {0x24: 1, 0x25: 2, 0x2F: 3, 0x30: 4}
"""``LC_VERSION_MIN_*`` -> the platform that ``LC_BUILD_VERSION`` would name."""
_DYLIBS: Mapping[int, Literal["load", "weak", "reexport", "lazy", "upward"]] = {
    0xC: "load",
    0x18 | _LC_REQ_DYLD: "weak",
    0x1F | _LC_REQ_DYLD: "reexport",
    0x20: "lazy",
    0x23 | _LC_REQ_DYLD: "upward",
}
_DYLIB_USE_MARKER = 0x1A741800
"""Stands in a dylib command's timestamp where flags follow (dylib_use_command, since macOS 15)."""
_DYLIB_USES: tuple[tuple[int, Literal["weak", "reexport", "upward", "lazy"]], ...] = (
    (2, "reexport"),
    (4, "upward"),
    (1, "weak"),
    (8, "lazy"),
)
_ONCE = (_SYMTAB, _UNIXTHREAD, _DYSYMTAB, _UUID, _CODE_SIGNATURE, _MAIN, *_DYLD_INFO, _CHAINED_FIXUPS, _EXPORTS_TRIE)
"""Commands that may stand in a file once: of two, one would be shown and the other obeyed."""

SECTION_TYPE = 0xFF
_ZEROFILL = (0x1, 0xC, 0x12)
"""Section types without stored bytes: zero-fill, gigabyte zero-fill, thread-local zero-fill."""
_PROGRAM_COUNTERS: Mapping[tuple[int, int], tuple[str, int]] = {
    (0x7, 1): ("I", 10),
    (0x0100_0007, 4): ("Q", 16),
    (0xC, 1): ("I", 15),
    (0x0100_000C, 6): ("Q", 32),
    (0x12, 1): ("I", 0),
    (0x0100_0012, 5): ("Q", 0),
}
"""Processor and thread-state flavor -> the register's type, and which register the program counter is."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One slice of a universal file."""

    cpu: int
    subtype: int
    data: memoryview


class MachSegment(msgspec.Struct, frozen=True, kw_only=True):
    """``LC_SEGMENT`` or ``LC_SEGMENT_64``."""

    name: str
    address: int
    memory_size: int
    offset: int
    file_size: int
    max_protection: int
    protection: int


class MachSection(msgspec.Struct, frozen=True, kw_only=True):
    """A section; ``offset`` is None where nothing is stored, ``reserved`` depends on the type."""

    segment: str
    name: str
    address: int
    size: int
    offset: int | None
    flags: int
    reserved: tuple[int, int]


class SymbolTable(NamedTuple):
    """``LC_SYMTAB``."""

    offset: int
    entries: int
    strings: int
    strings_size: int


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
    if len({(cpu, subtype & _SUBTYPE_MASK) for cpu, subtype, *_ in rows}) < count:
        raise malformed("two slices for the same processor: which one runs is anybody's guess")
    for cpu, subtype, offset, length, align in rows:
        if align > _MAX_ALIGNMENT or offset % (1 << align):
            raise malformed(f"a slice at {offset:#x} that is not aligned as its header says")
        yield Member(cpu=cpu, subtype=subtype, data=reader.range(offset, length, "a slice"))


def header(data: memoryview) -> tuple[Header, list[Command]]:
    """The file header and the load commands, of which each lies inside the space that the header gives them.

    Raises:
        NotAnalysable: something is cut off, or a size or count cannot be.
    """
    if bytes(data[:4]) not in _MAGICS:
        raise malformed("a slice that is no Mach-O program")
    bits, byte_order = _MAGICS[bytes(data[:4])]
    reader = Reader(data, byte_order)
    start = 28 if bits == 32 else 32  # noqa: PLR2004
    reader.range(0, start, "the Mach-O header")
    cpu, subtype, file_type, count, size, flags = reader.unpack("iiIIII", 4, "the Mach-O header")
    if not 0 < count <= _MAX_COMMANDS or count * 8 > size:
        raise malformed(f"{count:,} load commands in {size:,} bytes")
    head = Header(bits=bits, byte_order=byte_order, cpu=cpu, subtype=subtype, file_type=file_type, flags=flags)
    return head, list(_commands(Reader(reader.range(start, size, "the load commands"), byte_order), count))


def _commands(reader: Reader, count: int) -> Iterator[Command]:
    offset, seen = 0, set()
    for number in range(count):
        kind, size = reader.unpack("II", offset, f"load command {number}")
        if size < 8 or size % 4 or offset + size > len(reader.data):  # noqa: PLR2004 - the header of a command
            raise malformed(f"load command {number} has an impossible size of {size:,} bytes")
        if kind in _ONCE and kind in seen:
            raise malformed(f"load command {kind & ~_LC_REQ_DYLD:#x} stands there twice")
        seen.add(kind)
        yield Command(kind, Reader(reader.data[offset : offset + size], reader.byte_order))
        offset += size


class Commands(msgspec.Struct, kw_only=True):
    """What the load commands say; filled in by ``commands`` and not changed after it."""

    segments: list[MachSegment] = []
    sections: list[MachSection] = []
    libraries: list[Library] = []
    rpaths: list[str] = []
    builds: list[tuple[int, int, int, str]] = []
    """Platform, minimum version, SDK version, tools."""
    dyld_environment: list[str] = []
    symbol_table: SymbolTable | None = None
    indirect: Range = (0, 0)
    """Where the indirect symbol table is, and how many entries it has."""
    signature: Range | None = None
    entry_offset: int | None = None
    program_counter: int | None = None
    uuid: str | None = None
    encrypted: bool = False
    dylinker: bool = False
    fixups: bool = False
    """It has bindings or exports outside of its symbol table."""


def commands(head: Header, found: list[Command], data: memoryview) -> Commands:
    """The meaning of the load commands; all that they point to is inside the slice.

    Raises:
        NotAnalysable: "truncated" where something ends behind the slice, "section-table" where sections lie outside
            of their segment, "malformed" otherwise.
    """
    result = Commands()
    file = Reader(data, head.byte_order)
    for command in found:
        handler = _HANDLERS.get(command.kind)
        if handler is not None:
            handler(head, command, file, result)
    if head.file_type in _MAPPED_KINDS:
        if not result.segments:
            raise malformed("a program without a segment to load")
        refuse_overlap(((s.address, s.memory_size) for s in result.segments), "segments in memory")
    return result


def _segment(head: Header, command: Command, file: Reader, result: Commands) -> None:
    wide = command.kind == _SEGMENT_64
    layout, size = ("16sQQQQiiII", 64) if wide else ("16sIIIIiiII", 48)
    name, address, memory_size, offset, file_size, max_protection, protection, count, _ = command.reader.unpack(
        layout, 8, "a segment"
    )
    if wide != (head.bits == 64):  # noqa: PLR2004
        raise malformed("a segment command of the other word size")
    if len(result.segments) >= MAX_SEGMENTS or len(result.sections) + count > MAX_SECTIONS:
        raise malformed("too many segments or sections")
    segment = MachSegment(
        name=text(name),
        address=address,
        memory_size=memory_size,
        offset=offset,
        file_size=file_size,
        max_protection=max_protection,
        protection=protection,
    )
    if file_size:
        file.range(offset, file_size, f"segment {segment.name}")
    # Go's linker leaves debugging data in a segment without memory, which dyld does not map.
    overfull = head.file_type in _MAPPED_KINDS and file_size > memory_size > 0
    if overfull or address + memory_size > 1 << head.bits:
        raise malformed(f"segment {segment.name} does not fit into its memory")
    entry_size = 80 if wide else 68
    if 8 + size + count * entry_size > len(command.reader.data):
        raise malformed(f"{count:,} sections do not fit into segment {segment.name}'s command", finding="section-table")
    result.segments.append(segment)
    rows = command.reader.rows(
        "16s16sQQIIIIIIII" if wide else "16s16sIIIIIIIII", 8 + size, count * entry_size, "a section"
    )
    result.sections.extend(_section(segment, row, file) for row in rows)


def _section(segment: MachSegment, row: tuple[Any, ...], file: Reader) -> MachSection:
    name, owner, address, size, offset, _, _, _, flags, *reserved = row
    stored = flags & SECTION_TYPE not in _ZEROFILL and offset != 0 and size != 0
    if stored:
        within = segment.offset <= offset and offset + size <= segment.offset + segment.file_size
        agrees = not segment.memory_size or offset - segment.offset == address - segment.address
        if not within or not agrees or offset + size > len(file.data):
            raise malformed(f"section {text(name)} lies outside of segment {segment.name}", finding="section-table")
    return MachSection(
        segment=text(owner),
        name=text(name),
        address=address,
        size=size,
        offset=offset if stored else None,
        flags=flags,
        reserved=(reserved[0], reserved[1]),
    )


def _string(command: Command, offset: int, minimum: int) -> str:
    """An ``lc_str``: an offset from the start of the command."""
    if not minimum <= offset < len(command.reader.data):
        raise malformed("a load command's name lies outside of the command")
    return text(command.reader.data, offset)


def _dylib(_: Header, command: Command, __: Reader, result: Commands) -> None:
    offset, marker, flags = (*command.reader.unpack("II", 8, "a library's command"), 0)
    kind = _DYLIBS[command.kind]
    if marker == _DYLIB_USE_MARKER and offset == 28:  # noqa: PLR2004 - the size of dylib_use_command
        (flags,) = command.reader.unpack("I", 24, "a library's flags")
    kind = next((use for bit, use in _DYLIB_USES if flags & bit), kind)
    result.libraries.append(Library(name=_string(command, offset, 24), kind=kind))


def _rpath(_: Header, command: Command, __: Reader, result: Commands) -> None:
    result.rpaths.append(_string(command, command.reader.unpack("I", 8, "a search path")[0], 12))


def _environment(_: Header, command: Command, __: Reader, result: Commands) -> None:
    result.dyld_environment.append(_string(command, command.reader.unpack("I", 8, "dyld's environment")[0], 12))


def _dylinker(_: Header, command: Command, __: Reader, result: Commands) -> None:
    _string(command, command.reader.unpack("I", 8, "the program loader")[0], 12)
    result.dylinker = True


def _symtab(head: Header, command: Command, file: Reader, result: Commands) -> None:
    table = SymbolTable(*command.reader.unpack("IIII", 8, "the symbol table's command"))
    if table.entries:
        file.range(table.offset, table.entries * (16 if head.bits == 64 else 12), "the symbol table")  # noqa: PLR2004
    if table.strings_size:
        file.range(table.strings, table.strings_size, "the symbols' names")
    result.symbol_table = table


def _dysymtab(_: Header, command: Command, file: Reader, result: Commands) -> None:
    offset, count = command.reader.unpack("II", 56, "the dynamic symbol table's command")
    if count:
        file.range(offset, count * 4, "the indirect symbols")
    result.indirect = (offset, count)


def _linkedit(_: Header, command: Command, file: Reader, result: Commands) -> None:
    offset, size = command.reader.unpack("II", 8, "a link-edit command")
    if size:
        file.range(offset, size, f"the data of load command {command.kind & ~_LC_REQ_DYLD:#x}")
    if command.kind == _CODE_SIGNATURE:
        result.signature = (offset, size)
    elif command.kind in {_CHAINED_FIXUPS, _EXPORTS_TRIE}:
        result.fixups = result.fixups or size > 0


def _dyld_info(_: Header, command: Command, file: Reader, result: Commands) -> None:
    fields = command.reader.unpack("10I", 8, "dyld's tables")
    for offset, size in zip(fields[::2], fields[1::2], strict=True):
        if size:
            file.range(offset, size, "dyld's tables")
            result.fixups = True


def _uuid(_: Header, command: Command, __: Reader, result: Commands) -> None:
    result.uuid = str(uuid.UUID(bytes=command.reader.unpack("16s", 8, "the UUID")[0])).upper()


def _main(_: Header, command: Command, __: Reader, result: Commands) -> None:
    (result.entry_offset,) = command.reader.unpack("Q", 8, "the entry point")


def _thread(head: Header, command: Command, _: Reader, result: Commands) -> None:
    """Flavor, number of words, words; the first flavor is the general registers."""
    (flavor,) = command.reader.unpack("I", 8, "the initial registers")
    register = _PROGRAM_COUNTERS.get((head.cpu, flavor))
    if register is None:
        raise malformed("initial registers of another processor")
    layout, number = register
    (result.program_counter,) = command.reader.unpack(
        layout, 16 + number * (8 if layout == "Q" else 4), "the initial registers"
    )


def _encryption(_: Header, command: Command, __: Reader, result: Commands) -> None:
    result.encrypted = result.encrypted or command.reader.unpack("I", 16, "the encryption")[0] != 0


def _version_min(_: Header, command: Command, __: Reader, result: Commands) -> None:
    minimum, sdk = command.reader.unpack("II", 8, "the minimum version")
    result.builds.append((_VERSION_MIN[command.kind], minimum, sdk, ""))


_TOOLS = {1: "clang", 2: "swift", 3: "ld", 4: "lld"}


def _build_version(_: Header, command: Command, __: Reader, result: Commands) -> None:
    platform, minimum, sdk, count = command.reader.unpack("IIII", 8, "the build version")
    if 24 + count * 8 > len(command.reader.data):
        raise truncated("the build version's tools")
    rows = command.reader.rows("II", 24, count * 8, "the build version's tools")
    tools = ", ".join(f"{_TOOLS.get(tool, f'tool {tool}')} {version(number)}" for tool, number in rows)
    result.builds.append((platform, minimum, sdk, tools))


def version(packed: int) -> str:
    """``xxxx.yy.zz`` packed into 32 bits, the last part only where it is not 0."""
    major, minor, patch = packed >> 16, packed >> 8 & 0xFF, packed & 0xFF
    return f"{major}.{minor}.{patch}" if patch else f"{major}.{minor}"


_HANDLERS: Mapping[int, Callable[[Header, Command, Reader, Commands], None]] = {
    _SEGMENT: _segment,
    _SEGMENT_64: _segment,
    _SYMTAB: _symtab,
    _DYSYMTAB: _dysymtab,
    _UNIXTHREAD: _thread,
    _MAIN: _main,
    _LOAD_DYLINKER: _dylinker,
    _DYLD_ENVIRONMENT: _environment,
    _RPATH: _rpath,
    _UUID: _uuid,
    _BUILD_VERSION: _build_version,
    **dict.fromkeys(_DYLIBS, _dylib),
    **dict.fromkeys(_LINKEDIT_DATA, _linkedit),
    **dict.fromkeys(_DYLD_INFO, _dyld_info),
    **dict.fromkeys(_ENCRYPTION, _encryption),
    **dict.fromkeys(_VERSION_MIN, _version_min),
}
"""Load command -> what reads it. Commands that are not here change nothing that is reported."""
