"""Symbol tables, read when they are asked for: a browser engine has a million entries, of which few are of interest."""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from binsafe.formats.structure import STRUCT_ORDER, ByteOrder, decoded, excessive
from binsafe.limits import MAX_SYMBOLS
from binsafe.model import Symbol

_USUAL_NAME = 128
_MAX_NAME = 65_536
"""Longest name that is kept whole: C++ templates reach tens of thousands of characters."""
_SHARED = 64
"""How often all of a table's bytes may be in names; linkers let one name end as another does."""


class Allowance:
    """How many letters a file's names may have in all: many long ones that lie over each other would fill memory."""

    __slots__ = ("_left",)

    def __init__(self, letters: int) -> None:
        self._left = letters

    def spent(self, name: str) -> str:
        """The name.

        Raises:
            NotAnalysable: together the names have more letters.
        """
        self._left -= len(name)
        if self._left < 0:
            raise excessive("its names lie over each other")
        return name


class Strings:
    """A table of names, of which each may be asked for."""

    __slots__ = ("_allowance", "_table")

    def __init__(self, table: memoryview) -> None:
        self._table = table
        self._allowance = _allowance(table)

    def at(self, offset: int) -> str:
        """The name at an offset, as `name_at`.

        Raises:
            NotAnalysable: together the names are far longer than the table.
        """
        return self._allowance.spent(name_at(self._table, offset))


def _allowance(table: memoryview) -> Allowance:
    return Allowance(_SHARED * len(table) + _MAX_NAME)


class Symbols(Sequence[Symbol]):
    """Some records of a table as symbols, each made when it is looked at; nothing of the file is copied.

    ``layout`` reads (offset of the name, address) or (offset, address, size) from a record; ``kept`` are the records'
    numbers. Equal to any sequence of the same symbols.
    """

    __slots__ = ("_kept", "_layout", "_strings", "_table")

    def __init__(self, table: memoryview, strings: memoryview, layout: struct.Struct, kept: Sequence[int]) -> None:
        self._table = table
        self._strings = strings
        self._layout = layout
        self._kept = kept

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> Symbol: ...

    @overload
    def __getitem__(self, index: slice) -> "Symbols": ...

    def __getitem__(self, index: int | slice) -> "Symbol | Symbols":
        if isinstance(index, slice):
            return Symbols(self._table, self._strings, self._layout, self._kept[index])
        name, *place = self._layout.unpack_from(self._table, self._kept[index] * self._layout.size)
        return Symbol(name=name_at(self._strings, name), address=place[0], size=place[1] if len(place) > 1 else 0)

    def __iter__(self) -> Iterator[Symbol]:
        return (self[index] for index in range(len(self._kept)))

    def places(self) -> Iterator[tuple[int, int]]:
        """See `places`."""
        for number in self._kept:
            _, address, *size = self._layout.unpack_from(self._table, number * self._layout.size)
            yield address, size[0] if size else 0

    def may_name(self, text: str) -> bool:
        """See `may_name`."""
        return re.search(re.escape(text.encode()), self._strings) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as for any sequence whose items are found when looked at


def places(symbols: Sequence[Symbol]) -> Iterator[tuple[int, int]]:
    """Address and size of each: to read the names, too, takes ten times as long."""
    return symbols.places() if isinstance(symbols, Symbols) else ((each.address, each.size) for each in symbols)


def may_name(symbols: Sequence[Symbol], text: str) -> bool:
    """Whether one of them may have a text in its name: to read all names takes a hundred times as long."""
    if isinstance(symbols, Symbols):
        return symbols.may_name(text)
    return any(text in each.name for each in symbols)


def layout(fields: str, byte_order: ByteOrder) -> struct.Struct:
    """The fields of a record, in the file's byte order."""
    return struct.Struct(STRUCT_ORDER[byte_order] + fields)


def whole(table: memoryview, record: struct.Struct) -> memoryview:
    """The table without a rest behind its last record.

    Raises:
        NotAnalysable: it has more records than the limit.
    """
    count = len(table) // record.size
    if count > MAX_SYMBOLS:
        raise excessive(f"a symbol table of {count:,} entries, more than {MAX_SYMBOLS:,}")
    return table[: count * record.size]


def name_at(strings: memoryview, offset: int) -> str:
    """The NUL-terminated name at ``offset`` of a string table; empty for an offset outside of it."""
    name = bytes(strings[offset : offset + _USUAL_NAME])
    end = name.find(b"\0")
    if end < 0 and len(name) == _USUAL_NAME:
        name = bytes(strings[offset : offset + _MAX_NAME])
        end = name.find(b"\0")
    return decoded(name if end < 0 else name[:end])


def names_at(strings: memoryview, offsets: Iterable[int]) -> Iterator[str]:
    """`name_at` of many offsets in a third of the time, which a copy of the table is worth.

    Raises:
        NotAnalysable: together the names are far longer than the table.
    """
    copied, allowance = bytes(strings), _allowance(strings)
    for offset in offsets:
        end = copied.find(b"\0", offset, offset + _MAX_NAME)
        yield allowance.spent(decoded(copied[offset : offset + _MAX_NAME if end < 0 else end]))
