"""The metadata of .NET programs: which members of which types their code refers to, and which native functions.

Layout: ECMA-335, partition II, sections 24 (metadata) and 25.3.3 (CLI header). All that code calls outside of its own
assembly has a row in MemberRef; native functions have one in ImplMap.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.formats.structure import Range, Reader, malformed, text
from binsafe.model import Slice

_MAX_ROWS = 1_000_000
_MAX_STREAMS = 16
_TABLES = 64
_EXTRA_DATA = 0x40
"""Behind the counts, which obfuscators write and the runtime skips."""

_HEAPS = {"string": 1, "guid": 2, "blob": 4}
"""Kind of an index into a heap -> the bit that says it takes 4 bytes (II.24.2.6)."""
_CODED: Mapping[str, tuple[int, tuple[int, ...]]] = {
    "ResolutionScope": (2, (0x00, 0x1A, 0x23, 0x01)),
    "TypeDefOrRef": (2, (0x02, 0x01, 0x1B)),
    "MemberRefParent": (3, (0x02, 0x01, 0x1A, 0x06, 0x1B)),
    "HasConstant": (2, (0x04, 0x08, 0x17)),
    "HasCustomAttribute": (5, (0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0A, 0x00, 0x0E, 0x17, 0x14, 0x11, 0x1A, 0x1B,
                               0x20, 0x23, 0x26, 0x27, 0x28, 0x2A, 0x2C, 0x2B)),
    "CustomAttributeType": (3, (0x06, 0x0A)),
    "HasFieldMarshal": (1, (0x04, 0x08)),
    "HasDeclSecurity": (2, (0x02, 0x06, 0x20)),
    "HasSemantics": (1, (0x14, 0x17)),
    "MethodDefOrRef": (1, (0x06, 0x0A)),
    "MemberForwarded": (1, (0x04, 0x06)),
}  # fmt: skip
"""Coded index -> bits of its tag, and the tables it may point into (II.24.2.6)."""
_SCHEMA: Mapping[int, str] = {
    0x00: "2 string guid guid guid",
    0x01: "ResolutionScope string string",
    0x02: "4 string string TypeDefOrRef #04 #06",
    0x03: "#04",
    0x04: "2 string blob",
    0x05: "#06",
    0x06: "4 2 2 string blob #08",
    0x07: "#08",
    0x08: "2 2 string",
    0x09: "#02 TypeDefOrRef",
    0x0A: "MemberRefParent string blob",
    0x0B: "2 HasConstant blob",
    0x0C: "HasCustomAttribute CustomAttributeType blob",
    0x0D: "HasFieldMarshal blob",
    0x0E: "2 HasDeclSecurity blob",
    0x0F: "2 4 #02",
    0x10: "4 #04",
    0x11: "blob",
    0x12: "#02 #14",
    0x13: "#14",
    0x14: "2 string TypeDefOrRef",
    0x15: "#02 #17",
    0x16: "#17",
    0x17: "2 string blob",
    0x18: "2 #06 HasSemantics",
    0x19: "#02 MethodDefOrRef MethodDefOrRef",
    0x1A: "string",
    0x1B: "blob",
    0x1C: "2 MemberForwarded string #1A",
}
"""Table -> its columns: bytes, an index into a heap or a table, or a coded index (II.22). Later ones are not needed."""
_TYPE_REF, _MEMBER_REF, _MODULE_REF, _IMPL_MAP = 0x01, 0x0A, 0x1A, 0x1C


class Member(NamedTuple):
    """Something outside that the program refers to; ``address`` is where the metadata does it."""

    name: str
    address: int


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """``members`` are spelt with namespace and type, ``natives`` with their library."""

    runtime: str
    members: tuple[Member, ...]
    natives: tuple[Member, ...]


def metadata(slice_: Slice) -> Metadata | None:
    """What the program's metadata refers to; None where it has none that can be read."""
    place = slice_.traits.get("cli_metadata")
    if not isinstance(place, int):
        return None
    offset = slice_.offset_of(place)
    if offset is None:
        return None
    try:
        return _Tables(slice_.data[offset:], place).metadata()
    except NotAnalysable:
        return None


class _Table(NamedTuple):
    at: int
    rows: int
    columns: tuple[int, ...]

    @property
    def size(self) -> int:
        return sum(self.columns)


class _Tables:
    """The tables behind a metadata root at ``address``."""

    def __init__(self, data: memoryview, address: int) -> None:
        self._reader = Reader(data, "little")
        self._address = address
        if bytes(data[:4]) != b"BSJB":
            raise malformed("metadata without its signature")
        (length,) = self._reader.unpack("I", 12, "the metadata")
        self.runtime = text(data, 16, limit=min(length, 255))
        streams = dict(self._streams(16 + length))
        heap, size = streams.get("#Strings", (0, 0))
        self._strings = data[heap : heap + size]
        self._heap_bits, self._counts, first_row = self._header(streams)
        self._tables = dict(self._layout(first_row))

    def metadata(self) -> Metadata:
        """Names of MemberRef and ImplMap."""
        return Metadata(runtime=self.runtime, members=tuple(self._members()), natives=tuple(self._natives()))

    def _streams(self, at: int) -> Iterator[tuple[str, Range]]:
        _, count = self._reader.unpack("HH", at, "the metadata's streams")
        at += 4
        for _ in range(min(count, _MAX_STREAMS)):
            offset, size = self._reader.unpack("II", at, "the metadata's streams")
            self._reader.range(offset, size, "a stream of the metadata")
            name = text(self._reader.data, at + 8, limit=32)
            yield name, (offset, size)
            at += 8 + (len(name) // 4 + 1) * 4

    def _header(self, streams: Mapping[str, Range]) -> tuple[int, list[int], int]:
        """Sizes of the heaps' indexes, rows of each table, and where the first row is."""
        place = streams.get("#~") or streams.get("#-")
        if place is None:
            raise malformed("metadata without tables")
        start, _ = place
        bits, valid = (self._reader.unpack(layout, start + at, "the tables")[0] for layout, at in (("B", 6), ("Q", 8)))
        counts, at = [0] * _TABLES, start + 24
        for number in range(_TABLES):
            if valid >> number & 1:
                (counts[number],) = self._reader.unpack("I", at, "the tables")
                at += 4
        if max(counts) > _MAX_ROWS:
            raise malformed("more metadata than any program has")
        return bits, counts, at + (4 if bits & _EXTRA_DATA else 0)

    def _layout(self, at: int) -> Iterator[tuple[int, _Table]]:
        for number, columns in _SCHEMA.items():
            table = _Table(at, self._counts[number], tuple(self._width(column) for column in columns.split()))
            self._reader.range(at, table.rows * table.size, "a table of the metadata")
            yield number, table
            at += table.rows * table.size

    def _width(self, column: str) -> int:
        if column in _HEAPS:
            return 4 if self._heap_bits & _HEAPS[column] else 2
        if column.startswith("#"):
            return 4 if self._counts[int(column[1:], 16)] >= 1 << 16 else 2
        if column in _CODED:
            bits, tables = _CODED[column]
            return 4 if max(self._counts[table] for table in tables) >= 1 << (16 - bits) else 2
        return int(column)

    def _rows(self, number: int) -> Iterator[tuple[int, ...]]:
        """The offset of each row in the metadata, and its columns."""
        table = self._tables[number]
        for row in range(table.rows):
            start = at = table.at + row * table.size
            values = []
            for width in table.columns:
                values.append(int.from_bytes(self._reader.data[at : at + width], "little"))
                at += width
            yield start, *values

    def _name(self, offset: int) -> str:
        return text(self._strings, offset, limit=512)

    def _types(self, number: int, name: int, namespace: int) -> list[str]:
        found = []
        for row in self._rows(number):
            space = self._name(row[1 + namespace])
            found.append(f"{space}.{self._name(row[1 + name])}" if space else self._name(row[1 + name]))
        return found

    def _members(self) -> Iterator[Member]:
        types = self._types(_TYPE_REF, 1, 2)
        for start, parent, name, _ in self._rows(_MEMBER_REF):
            index, tag = parent >> 3, parent & 7
            if tag == 1 and 0 < index <= len(types):
                yield Member(f"{types[index - 1]}.{self._name(name)}", self._address + start)

    def _natives(self) -> Iterator[Member]:
        modules = [self._name(name) for _, name in self._rows(_MODULE_REF)]
        for start, _, _, name, module in self._rows(_IMPL_MAP):
            library = modules[module - 1] if 0 < module <= len(modules) else "?"
            yield Member(f"{library}!{self._name(name)}", self._address + start)
