"""Names of a Mach-O slice: what it defines, and what it imports with the stub or pointer each is called through.

The symbol and indirect symbol tables are read here, because a stub's name is found by its place in the second one;
bindings (opcodes or chained fixups) and the export trie come from LIEF.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from binsafe.formats import _lief, symbols
from binsafe.formats.macho_bindings import refuse_floods
from binsafe.formats.macho_commands import SECTION_TYPE, Commands
from binsafe.formats.macho_headers import Header
from binsafe.formats.structure import decoded, malformed
from binsafe.limits import MAX_SYMBOLS
from binsafe.model import Import, Symbol

_N_STAB, _N_TYPE, _N_EXT = 0xE0, 0x0E, 0x01
_N_UNDF, _N_SECT, _N_PBUD = 0x0, 0xE, 0xC
_TWO_LEVEL = 0x80
_MAX_LIBRARY_ORDINAL = 0xFD
_NON_LAZY, _LAZY, _STUBS = 0x6, 0x7, 0x8
_ARM64, _ARM64_STUB = 0x0100_000C, 12
_LOCAL_OR_ABSOLUTE = 0xC000_0000
"""Marks of the indirect symbol table for entries that name no symbol."""


class Names(NamedTuple):
    """``problems`` is not empty where names are bound that could not be read: then the imports are not all."""

    imports: tuple[Import, ...]
    symbols: tuple[Symbol, ...]
    problems: tuple[str, ...] = ()


def names(head: Header, found: Commands, data: memoryview) -> Names:
    """Imports and defined symbols.

    Raises:
        NotAnalysable: LIEF cannot read the bindings, or there are more symbols than the limit.
    """
    table = _symbol_table(head, found, data)
    strings = data[:0]
    if found.symbol_table is not None:
        strings = data[found.symbol_table.strings :][: found.symbol_table.strings_size]
    kinds, external = table["type"] & _N_TYPE, (table["type"] & _N_EXT) != 0
    plain = (table["type"] & _N_STAB) == 0
    undefined = np.flatnonzero(plain & external & np.isin(kinds, (_N_UNDF, _N_PBUD)) & (table["value"] == 0))
    through = _through(head, found, data)
    imports: dict[str, Import] = {}
    for index, name in zip(undefined.tolist(), symbols.names(strings, table["name"][undefined].tolist()), strict=True):
        if name:
            library = _library(head, found, int(table["description"][index]) >> 8 & 0xFF)
            imports[name] = Import(name=name, library=library, address=through.get(index))
    here = table[plain & (kinds == _N_SECT)]
    defined = {
        (name, address): None
        for name, address in zip(symbols.names(strings, here["name"].tolist()), here["value"].tolist(), strict=True)
        if name
    }
    problems: tuple[str, ...] = ()
    if found.fixups:
        for offset, size in found.bindings:
            refuse_floods(data[offset : offset + size])
        owner = _lief.macho(data)
        binary = owner.at(0)
        with _lief.reading():
            bound = list(_bound(binary))
            defined |= dict.fromkeys(_exported(binary))
        for entry in bound:
            imports[entry.name] = _merged(imports.get(entry.name), entry)
        if found.binds and not bound:
            problems = ("malformed: the names that dyld binds could not be read",)
    exported = tuple(Symbol(name=name, address=address) for name, address in defined)
    return Names(tuple(imports.values()), exported, problems)


def _merged(known: Import | None, bound: Import) -> Import:
    """What the symbol table knows, completed by the binding."""
    if known is None:
        return bound
    address = bound.address if known.address is None else known.address
    return Import(name=known.name, library=known.library or bound.library, address=address)


def _symbol_table(head: Header, found: Commands, data: memoryview) -> symbols.Records:
    value = "u8" if head.bits == 64 else "u4"  # noqa: PLR2004
    layout = [("name", "u4"), ("type", "u1"), ("section", "u1"), ("description", "u2"), ("value", value)]
    if found.symbol_table is None:
        return symbols.records(data[:0], layout, head.byte_order)
    size = found.symbol_table.entries * (16 if head.bits == 64 else 12)  # noqa: PLR2004
    return symbols.records(data[found.symbol_table.offset :][:size], layout, head.byte_order)


def _library(head: Header, found: Commands, ordinal: int) -> str | None:
    """The library that a two-level name is looked up in; None for the flat name space and special ordinals."""
    if not head.flags & _TWO_LEVEL or not 1 <= ordinal <= min(len(found.libraries), _MAX_LIBRARY_ORDINAL):
        return None
    return found.libraries[ordinal - 1].name


def _through(head: Header, found: Commands, data: memoryview) -> dict[int, int]:
    """Symbol index -> the address it is called through: a stub if there is one, else a pointer's slot."""
    offset, count = found.indirect
    indirect = symbols.records(data[offset:][: 4 * count], [("symbol", "u4")], head.byte_order)["symbol"]
    word = head.bits // 8
    through: dict[int, int] = {}
    for wanted in ((_STUBS,), (_NON_LAZY, _LAZY)):
        for section in found.sections:
            if section.flags & SECTION_TYPE not in wanted:
                continue
            first, stub_size = section.reserved
            step = _stub_size(head, stub_size) if wanted == (_STUBS,) else word
            entries = indirect[first : first + section.size // step] if step else indirect[:0]
            for number, symbol in enumerate(entries.tolist()):
                if not symbol & _LOCAL_OR_ABSOLUTE:
                    through.setdefault(symbol, section.address + number * step)
    return through


def _stub_size(head: Header, stated: int) -> int:
    """Go's linker states x86-64's 6 bytes on arm64, too, where a stub has three instructions."""
    return _ARM64_STUB if head.cpu == _ARM64 and stated % 4 else stated


def _bound(binary: Any) -> Iterator[Import]:
    """Names that dyld binds, each with the first pointer that it fills in."""
    for number, binding in enumerate(binary.bindings):
        if number >= MAX_SYMBOLS:
            raise malformed(f"more than {MAX_SYMBOLS:,} bindings")
        if binding.has_symbol:
            library = decoded(binding.library.name) if binding.has_library else None
            yield Import(name=decoded(binding.symbol.name), library=library, address=binding.address)


def _exported(binary: Any) -> Iterator[tuple[str, int]]:
    """Names of the export trie, which stays where the symbol table was stripped."""
    base = binary.imagebase
    for table in (binary.dyld_exports_trie, binary.dyld_info):
        for entry in table.exports if table is not None else ():
            if entry.has_symbol and entry.address:
                yield decoded(entry.symbol.name), base + entry.address
