"""The load commands of Mach-O: what each says, and whether what it points to is there.

Layouts: Apple's ``mach-o/loader.h``. Rules: XNU's ``bsd/kern/mach_loader.c`` and dyld's ``mach_o/Header.cpp``.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import msgspec

from binsafe.formats.macho_headers import LC_REQ_DYLD, MAPPED_KINDS, Command, Header
from binsafe.formats.macho_segments import SEGMENT, SEGMENT_64, MachSection, MachSegment, read_segment
from binsafe.formats.structure import Range, Reader, excessive, is_layered, malformed, refuse_overlap, text, truncated
from binsafe.limits import MAX_SECTIONS, MAX_SEGMENTS
from binsafe.model import Library

_SYMTAB, _UNIXTHREAD, _DYSYMTAB = 0x2, 0x5, 0xB
_LOAD_DYLINKER, _UUID, _CODE_SIGNATURE, _DYLD_ENVIRONMENT = 0xE, 0x1B, 0x1D, 0x27
_RPATH, _MAIN, _BUILD_VERSION = 0x1C | LC_REQ_DYLD, 0x28 | LC_REQ_DYLD, 0x32
_ENCRYPTION = (0x21, 0x2C)
_DYLD_INFO = (0x22, 0x22 | LC_REQ_DYLD)
_CHAINED_FIXUPS = 0x34 | LC_REQ_DYLD
_EXPORTS_TRIE = 0x33 | LC_REQ_DYLD
_LINKEDIT_DATA = (_CODE_SIGNATURE, 0x1E, 0x26, 0x29, 0x2B, 0x2E, _EXPORTS_TRIE, _CHAINED_FIXUPS)
_VERSION_MIN = {0x24: 1, 0x25: 2, 0x2F: 3, 0x30: 4}
"""``LC_VERSION_MIN_*`` -> the platform that ``LC_BUILD_VERSION`` would name."""
_DYLIBS: Mapping[int, Literal["load", "weak", "reexport", "lazy", "upward"]] = {
    0xC: "load",
    0x18 | LC_REQ_DYLD: "weak",
    0x1F | LC_REQ_DYLD: "reexport",
    0x20: "lazy",
    0x23 | LC_REQ_DYLD: "upward",
}
_DYLIB_USE_MARKER = 0x1A741800
"""Stands in a dylib command's timestamp where flags follow (dylib_use_command, since macOS 15)."""
_DYLIB_USES: tuple[tuple[int, Literal["weak", "reexport", "upward", "lazy"]], ...] = (
    (2, "reexport"),
    (4, "upward"),
    (1, "weak"),
    (8, "lazy"),
)
_ONCE = (
    (_SYMTAB,),
    (_DYSYMTAB,),
    (_UUID,),
    (_LOAD_DYLINKER,),
    (_CODE_SIGNATURE,),
    (_CHAINED_FIXUPS,),
    (_EXPORTS_TRIE,),
    (_UNIXTHREAD, _MAIN),
    _DYLD_INFO,
)
"""Of each line, a file may have one command: of two, one would be shown and the other obeyed."""

_PROGRAM_COUNTERS: Mapping[tuple[int, int], tuple[str, int]] = {
    (0x7, 1): ("I", 10),
    (0x0100_0007, 4): ("Q", 16),
    (0xC, 1): ("I", 15),
    (0x0100_000C, 6): ("Q", 32),
    (0x12, 1): ("I", 0),
    (0x0100_0012, 5): ("Q", 0),
}
"""Processor and thread-state flavor -> the register's type, and which register the program counter is."""


class SymbolTable(NamedTuple):
    """``LC_SYMTAB``."""

    offset: int
    entries: int
    strings: int
    strings_size: int


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
    relocations: Range = (0, 0)
    """Where the relocations by symbol are, and how many."""
    signature: Range | None = None
    entry_offset: int | None = None
    program_counter: int | None = None
    uuid: str | None = None
    encrypted: bool = False
    dylinker: bool = False
    bindings: list[Range] = []
    """Where dyld's binding opcodes are: plain, weak and lazy."""
    fixups: Range | None = None
    """Where the chained fixups are."""
    exports: Range = (0, 0)
    """Where the export trie is."""


def commands(head: Header, found: list[Command], data: memoryview) -> Commands:
    """The meaning of the load commands; all that they point to is inside the slice.

    Raises:
        NotAnalysable: "truncated" where something ends behind the slice, "section-table" where sections lie outside
            of their segment, "malformed" otherwise.
    """
    result = Commands()
    kinds = [command.kind for command in found]
    for alternatives in _ONCE:
        if sum(kinds.count(kind) for kind in alternatives) > 1:
            raise malformed(f"two load commands of kind {alternatives[0] & ~LC_REQ_DYLD:#x}, where one counts")
    file = Reader(data, head.byte_order)
    for command in found:
        handler = _HANDLERS.get(command.kind)
        if handler is not None:
            handler(head, command, file, result)
    if head.file_type in MAPPED_KINDS:
        if not result.segments:
            raise malformed("a program without a segment to load")
        refuse_overlap(((s.address, s.memory_size) for s in result.segments), "segments in memory")
    segments = ((segment.offset, segment.file_size) for segment in result.segments)
    sections = ((section.offset, section.size) for section in result.sections if section.offset is not None)
    if is_layered(segments, len(data)) or is_layered(sections, len(data)):
        raise excessive("its segments or sections lie over each other in the file")
    return result


def _segment(head: Header, command: Command, file: Reader, result: Commands) -> None:
    segment, sections = read_segment(head, command, file)
    result.segments.append(segment)
    result.sections += sections
    if len(result.segments) > MAX_SEGMENTS or len(result.sections) > MAX_SECTIONS:
        raise excessive("too many segments or sections")


def _string(command: Command, offset: int, minimum: int) -> str:
    """An ``lc_str``: an offset from the start of the command."""
    if not minimum <= offset < len(command.reader.data):
        raise malformed("a load command's name lies outside of the command")
    return text(command.reader.data, offset)


def _dylib(_: Header, command: Command, __: Reader, result: Commands) -> None:
    offset, marker, flags = (*command.reader.unpack("II", 8, "a library's command"), 0)
    kind = _DYLIBS[command.kind]
    if marker == _DYLIB_USE_MARKER and offset == 28:  # the size of dylib_use_command
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
        file.range(table.offset, table.entries * (16 if head.bits == 64 else 12), "the symbol table")
    if table.strings_size:
        file.range(table.strings, table.strings_size, "the symbols' names")
    result.symbol_table = table


def _dysymtab(_: Header, command: Command, file: Reader, result: Commands) -> None:
    offset, count = command.reader.unpack("II", 56, "the dynamic symbol table's command")
    if count:
        file.range(offset, count * 4, "the indirect symbols")
    result.indirect = (offset, count)
    offset, count = command.reader.unpack("II", 64, "the dynamic symbol table's command")
    if count:
        file.range(offset, count * 8, "the relocations by symbol")
    result.relocations = (offset, count)


def _linkedit(_: Header, command: Command, file: Reader, result: Commands) -> None:
    offset, size = command.reader.unpack("II", 8, "a link-edit command")
    if size:
        file.range(offset, size, f"the data of load command {command.kind & ~LC_REQ_DYLD:#x}")
    if command.kind == _CODE_SIGNATURE:
        result.signature = (offset, size)
    elif command.kind == _CHAINED_FIXUPS and size:
        result.fixups = (offset, size)
    elif command.kind == _EXPORTS_TRIE and size:
        result.exports = (offset, size)


def _dyld_info(_: Header, command: Command, file: Reader, result: Commands) -> None:
    fields = command.reader.unpack("10I", 8, "dyld's tables")
    tables = list(zip(fields[::2], fields[1::2], strict=True))
    for offset, size in tables:
        if size:
            file.range(offset, size, "dyld's tables")
    *result.bindings, trie = tables[1:]
    result.exports = trie if trie[1] else result.exports


def _uuid(_: Header, command: Command, __: Reader, result: Commands) -> None:
    result.uuid = str(uuid.UUID(bytes=command.reader.unpack("16s", 8, "the UUID")[0])).upper()


def _main(_: Header, command: Command, __: Reader, result: Commands) -> None:
    (result.entry_offset,) = command.reader.unpack("Q", 8, "the entry point")


def _thread(head: Header, command: Command, _: Reader, result: Commands) -> None:
    """Flavor, number of words, words; of several sets of registers the kernel takes the last, linkers write one."""
    flavor, words = command.reader.unpack("II", 8, "the initial registers")
    register = _PROGRAM_COUNTERS.get((head.cpu, flavor))
    if register is None or len(command.reader.data) != 16 + 4 * words:
        raise malformed("initial registers of another processor, or more than one set of them")
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
    SEGMENT: _segment,
    SEGMENT_64: _segment,
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
