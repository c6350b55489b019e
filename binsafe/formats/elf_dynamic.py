"""The dynamic section of an ELF file, found as the program loader finds it: by address, through the segments."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import msgspec

from binsafe.formats.elf_headers import PT_DYNAMIC, PT_LOAD, Bits, ProgramHeader
from binsafe.formats.structure import Memory, Reader, decoded, excessive, malformed
from binsafe.model import Library

_NEEDED, _STRTAB, _SYMTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 1, 5, 6, 10, 14, 15, 29
_TEXTREL, _BIND_NOW, _FLAGS, _FLAGS_1 = 22, 24, 30, 0x6FFFFFFB
_AUDIT, _DEPAUDIT, _AUXILIARY, _FILTER = 0x6FFFFEFC, 0x6FFFFEFB, 0x7FFFFFFD, 0x7FFFFFFF
_SPARC_REGISTER = 0x7000_0001
"""One for each register that a library uses (SPARC Compliance Definition 2.4.1); other processors' is not read here."""
DIVERTING = (_AUDIT, _DEPAUDIT, _AUXILIARY, _FILTER)
"""Tags of files in which another file decides what names mean."""
_DF_TEXTREL, _DF_BIND_NOW, _DF_1_NOW, _DF_1_NODEFLIB, _DF_1_PIE = 4, 8, 1, 0x800, 0x0800_0000
_TABLES = {5: 10, 7: 8, 17: 18, 23: 2, 36: 35}
"""Tag of a table's address -> tag of its size: strings, RELA, REL, PLT and RELR relocations (gABI figure 5-10)."""
_MANY = frozenset({_NEEDED, _AUDIT, _DEPAUDIT, _AUXILIARY, _FILTER, _SPARC_REGISTER})
"""Tags that may be there more than once; of any other the loader takes the last, and who reads for it the first."""
_PLTGOT, _RELRSZ = 3, 35
_MAX_RELR_BYTES = 256 * 1024
"""A word of DT_RELR stands for up to 63 relocations, each an object in the parser; libLLVM has 19 KB of words."""
_MAX_ENTRIES = 65_536
_MAX_NAME = 65_536
"""Bytes of one name: search paths of some distributions are thousands of characters long."""


class Dynamic(msgspec.Struct, frozen=True, kw_only=True):
    """What the dynamic section asks the program loader for."""

    libraries: tuple[Library, ...] = ()
    rpath: tuple[str, ...] = ()
    """``DT_RPATH``: searched for this object and for all that it loads."""
    runpath: tuple[str, ...] = ()
    """``DT_RUNPATH``: searched for this object's own libraries only; where it is there, ``rpath`` does not count."""
    current_folder: bool = False
    """An empty entry in either of them, between or beside colons: the folder that the program is started in."""
    no_default: bool = False
    """``DF_1_NODEFLIB``: the loader's own directories are not searched."""
    soname: str | None = None
    bind_now: bool = False
    textrel: bool = False
    pie: bool = False
    plt_got: int = 0


def dynamic(bits: Bits, reader: Reader, headers: tuple[ProgramHeader, ...]) -> Dynamic | None:
    """The dynamic section; None where the file has none.

    Raises:
        NotAnalysable: it, or a table it names, lies outside of the stored segments.
    """
    segment = _segment(headers)
    if segment is None:
        return None
    memory = Memory(h for h in headers if h.type == PT_LOAD)
    entries = _entries(bits, reader, _stored(reader, memory, segment.address))
    _check_tables(reader, memory, entries)
    strings = _stored(reader, memory, entries[_STRTAB][0]) if entries[_STRTAB] else reader.data[:0]
    strings = strings[: entries[_STRSZ][0]] if entries[_STRSZ] else strings

    def named(*tags: int) -> Iterator[str]:
        for tag in tags:
            for offset in entries[tag]:
                name, end, _ = bytes(strings[offset : offset + _MAX_NAME]).partition(b"\0")
                if not end:  # the loader reads on, whatever the table's size is said to be
                    raise malformed("a name of the dynamic section does not end in its string table")
                yield decoded(name)

    flags, flags_1 = (entries[tag][-1] if entries[tag] else 0 for tag in (_FLAGS, _FLAGS_1))
    # The loader loads auditors and filters like any needed library: https://man7.org/linux/man-pages/man7/rtld-audit.7.html
    auditors = [name for joined in named(_AUDIT, _DEPAUDIT) for name in joined.split(":") if name]
    return Dynamic(
        libraries=tuple(
            Library(name=name, kind="needed") for name in (*named(_NEEDED, _FILTER, _AUXILIARY), *auditors)
        ),
        rpath=tuple(path for joined in named(_RPATH) for path in joined.split(":") if path),
        runpath=tuple(path for joined in named(_RUNPATH) for path in joined.split(":") if path),
        current_folder=any(joined and "" in joined.split(":") for joined in named(_RPATH, _RUNPATH)),
        no_default=bool(flags_1 & _DF_1_NODEFLIB),
        soname=next(named(_SONAME), None),
        bind_now=bool(entries[_BIND_NOW] or flags & _DF_BIND_NOW or flags_1 & _DF_1_NOW),
        textrel=bool(entries[_TEXTREL] or flags & _DF_TEXTREL),
        pie=bool(flags_1 & _DF_1_PIE),
        plt_got=entries[_PLTGOT][0] if entries[_PLTGOT] else 0,
    )


def entries(bits: Bits, reader: Reader, headers: tuple[ProgramHeader, ...]) -> Mapping[int, list[int]]:
    """Tag -> values of the dynamic section; empty where the file has none.

    Raises:
        NotAnalysable: it lies outside of the stored segments.
    """
    segment = _segment(headers)
    if segment is None:
        return {}
    memory = Memory(h for h in headers if h.type == PT_LOAD)
    return _entries(bits, reader, _stored(reader, memory, segment.address))


def _check_tables(reader: Reader, memory: Memory[ProgramHeader], entries: Mapping[int, list[int]]) -> None:
    """What the loader follows must be there: a table that it alone finds would hide what the file asks for.

    One without a byte it does not follow: LLD's ``-static -rdynamic`` has such relocations of the PLT, at address 0.
    """
    for table, size in _TABLES.items():
        followed = entries[table] and entries[size] != [0]
        if followed and entries[size][:1] > [len(_stored(reader, memory, entries[table][0]))]:
            raise malformed(f"a table of the dynamic section (tag {table}) ends behind its segment")
    if entries[_SYMTAB]:
        _stored(reader, memory, entries[_SYMTAB][0])
    elif entries[_NEEDED]:
        raise malformed("a dynamic section that asks for libraries and has no symbols")
    if entries[_RELRSZ][:1] > [_MAX_RELR_BYTES]:
        raise excessive(f"more than {_MAX_RELR_BYTES:,} bytes of packed relocations")


def _segment(headers: tuple[ProgramHeader, ...]) -> ProgramHeader | None:
    """Where the dynamic section is; one that says it is empty is read all the same, as the loader does."""
    return next((h for h in headers if h.type == PT_DYNAMIC), None)


def _entries(bits: Bits, reader: Reader, stored: memoryview) -> defaultdict[int, list[int]]:
    """Tag -> values, up to the entry DT_NULL: the loader does not look at the segment's size either."""
    layout, size = ("QQ", 16) if bits == 64 else ("II", 8)
    entries: defaultdict[int, list[int]] = defaultdict(list)
    table = Reader(stored, reader.byte_order)
    for number in range(_MAX_ENTRIES):
        tag, value = table.unpack(layout, number * size, "the dynamic section")
        if tag == 0:
            return entries
        if tag not in _MANY and entries[tag] and entries[tag] != [value]:
            raise malformed(f"two values for one entry of the dynamic section (tag {tag:#x})")
        entries[tag].append(value)
    raise excessive(f"a dynamic section of more than {_MAX_ENTRIES:,} entries")


def _stored(reader: Reader, memory: Memory[ProgramHeader], address: int) -> memoryview:
    """The stored bytes from ``address`` to the end of its segment."""
    place = memory.stored(address)
    if place is None:
        raise malformed(f"the dynamic section names address {address:#x}, where nothing is stored")
    return reader.data[place[0] : place[1]]
