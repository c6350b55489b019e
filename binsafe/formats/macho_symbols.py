"""Names of a Mach-O slice: what it defines, and what it imports with the stub or pointer each is called through.

A stub's name is found by its place in the indirect symbol table. The symbol table may leave out what dyld binds (and
hostile ones do), so that bindings complete it.
"""

import re
import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from binsafe.formats import macho_bindings as mb
from binsafe.formats import symbols
from binsafe.formats.macho_commands import Commands
from binsafe.formats.macho_headers import MAPPED_KINDS, Header
from binsafe.formats.macho_segments import SECTION_TYPE
from binsafe.model import Import, Symbol

_N_STAB, _N_TYPE, _N_EXT = 0xE0, 0x0E, 0x01
_N_UNDF, _N_SECT, _N_PBUD = 0x0, 0xE, 0xC
_TYPE_AT = 4
_TWO_LEVEL = 0x80
_MAX_LIBRARY_ORDINAL = 0xFD
_NON_LAZY, _LAZY, _STUBS = 0x6, 0x7, 0x8
_ARM64, _ARM64_STUB = 0x0100_000C, 12
_LOCAL_OR_ABSOLUTE = 0xC000_0000
"""Marks of the indirect symbol table for entries that name no symbol."""
_HEADER_SYMBOL = "__mh_"
"""How the names begin that the linker gives to the headers of what it makes: all have one."""

_OTHER, _WANTED, _DEFINED = range(3)


def _class(kind: int) -> int:
    """What the type byte of a symbol (``n_type`` of ``mach-o/nlist.h``) makes of it."""
    if kind & _N_STAB:
        return _OTHER
    if kind & _N_TYPE == _N_SECT:
        return _DEFINED
    return _WANTED if kind & _N_EXT and kind & _N_TYPE in {_N_UNDF, _N_PBUD} else _OTHER


_CLASSES = bytes(_class(kind) for kind in range(256))


class Names(NamedTuple):
    """Imports in the order of the symbol table, then of the bindings; and what the slice defines."""

    imports: tuple[Import, ...]
    symbols: Sequence[Symbol]


class _Table(NamedTuple):
    records: memoryview
    strings: memoryview
    layout: struct.Struct
    classes: bytes
    """The class of each record."""

    def of_class(self, wanted: int) -> "array[int]":
        """The numbers of the records of a class."""
        return array("I", (match.start() for match in re.finditer(bytes([wanted]), self.classes)))


def names(head: Header, found: Commands, data: memoryview) -> Names:
    """Imports and defined symbols.

    Raises:
        NotAnalysable: the bindings break a rule, or there are more symbols than the limit.
    """
    table = _table(head, found, data)
    through = _through(head, found, data)
    imports: dict[str, Import] = {}
    strings = symbols.Strings(table.strings)
    by_number = _bound_by_number(head, found, data).union(through) if _is_classic(head, found) else frozenset()
    for number in sorted({*table.of_class(_WANTED), *(n for n in by_number if n < len(table.classes))}):
        name_at, description, value = table.layout.unpack_from(table.records, number * table.layout.size)
        name, common = strings.at(name_at), value and number not in by_number
        if name and not common:  # a common symbol has its size as value, and the linker will allocate it
            library = _library(head, found, description >> 8 & 0xFF)
            imports[name] = Import(name=name, library=library, address=through.get(number))
    for bound in _bound(head, found, data):
        imports[bound.name] = _merged(imports.get(bound.name), bound)
    return Names(tuple(imports.values()), _defined(head, found, data, table))


def _is_classic(head: Header, found: Commands) -> bool:
    """Whether dyld has no tables of its own here: it binds by the symbols' numbers then, and asks no symbol's type."""
    return head.file_type in MAPPED_KINDS and found.fixups is None and not any(size for _, size in found.bindings)


def _bound_by_number(head: Header, found: Commands, data: memoryview) -> frozenset[int]:
    """The symbols that relocations name (``relocation_info`` of ``mach-o/reloc.h``)."""
    at, count = found.relocations
    bits = symbols.layout("4xI", head.byte_order).iter_unpack(data[at : at + 8 * count])
    shift, mask = (0, 0xFF_FFFF) if head.byte_order == "little" else (8, 0xFF_FFFF)
    return frozenset(word >> shift & mask for (word,) in bits)


def _table(head: Header, found: Commands, data: memoryview) -> _Table:
    fields = "I2xHQ" if head.bits == 64 else "I2xHI"
    layout = symbols.layout(fields, head.byte_order)
    if found.symbol_table is None:
        return _Table(data[:0], data[:0], layout, b"")
    at, count, strings, strings_size = found.symbol_table
    records = symbols.whole(data[at : at + count * layout.size], layout)
    kinds = bytes(records[_TYPE_AT :: layout.size])
    return _Table(records, data[strings : strings + strings_size], layout, kinds.translate(_CLASSES))


def _defined(head: Header, found: Commands, data: memoryview, table: _Table) -> Sequence[Symbol]:
    """Symbols with an address; those of the export trie, which stays, where the symbol table was stripped of them."""
    layout = symbols.layout("I4xQ" if head.bits == 64 else "I4xI", head.byte_order)
    defined = symbols.Symbols(table.records, table.strings, layout, table.of_class(_DEFINED))
    if any(not symbol.name.startswith(_HEADER_SYMBOL) for symbol in defined[:2]):
        return defined
    at, size = found.exports
    base = _base(found)
    return [Symbol(name=name, address=base + offset) for name, offset in mb.exports(data[at : at + size])]


def _bound(head: Header, found: Commands, data: memoryview) -> Iterator[Import]:
    """What dyld binds, by opcodes or chained fixups."""
    bindings: list[mb.Binding] = []
    for at, size in found.bindings:
        bindings += mb.from_opcodes(data[at : at + size], found.segments, head.bits // 8)
    if found.fixups is not None:
        at, size = found.fixups
        bindings += mb.from_chains(data[at : at + size], data, found.segments, _base(found))
    at, size = found.exports
    own = mb.Exports(data[at : at + size])
    for binding in bindings:
        # What is looked up in no library of its own may be found in the program, which may pass it on.
        other = own.passed_on(binding.name) if binding.library <= 0 else None
        if other is not None:
            yield Import(name=other[0], library=_numbered(found, other[1]), address=binding.address)
        yield Import(name=binding.name, library=_numbered(found, binding.library), address=binding.address)


def _base(found: Commands) -> int:
    """Where the header is in memory: what the tables' offsets count from."""
    return next((segment.address for segment in found.segments if segment.file_size), 0)


def _merged(known: Import | None, bound: Import) -> Import:
    """What the symbol table knows, completed by the binding."""
    if known is None:
        return bound
    address = bound.address if known.address is None else known.address
    return Import(name=known.name, library=bound.library or known.library, address=address)


def _library(head: Header, found: Commands, ordinal: int) -> str | None:
    """The library that a two-level name is looked up in; None for the flat name space and special ordinals."""
    return _numbered(found, ordinal) if head.flags & _TWO_LEVEL and ordinal <= _MAX_LIBRARY_ORDINAL else None


def _numbered(found: Commands, number: int) -> str | None:
    return found.libraries[number - 1].name if 1 <= number <= len(found.libraries) else None


def _through(head: Header, found: Commands, data: memoryview) -> dict[int, int]:
    """Symbol index -> the address it is called through: a stub if there is one, else a pointer's slot."""
    offset, count = found.indirect
    indirect = [entry for (entry,) in symbols.layout("I", head.byte_order).iter_unpack(data[offset:][: 4 * count])]
    word = head.bits // 8
    through: dict[int, int] = {}
    for wanted in ((_STUBS,), (_NON_LAZY, _LAZY)):
        for section in found.sections:
            if section.flags & SECTION_TYPE not in wanted:
                continue
            first, stub_size = section.reserved
            step = _stub_size(head, stub_size) if wanted == (_STUBS,) else word
            entries = indirect[first : first + section.size // step] if step else indirect[:0]
            for number, symbol in enumerate(entries):
                if not symbol & _LOCAL_OR_ABSOLUTE:
                    through.setdefault(symbol, section.address + number * step)
    return through


def _stub_size(head: Header, stated: int) -> int:
    """Go's linker states x86-64's 6 bytes on arm64, too, where a stub has three instructions."""
    return _ARM64_STUB if head.cpu == _ARM64 and stated % 4 else stated
