"""Go's own function table: every function's name and entry address, even where the symbol table was stripped.

The runtime needs the table to walk stacks, so ``-ldflags=-s`` cannot remove it. Four versions exist (Go 1.2, 1.16,
1.18, 1.20). Layout: https://go.dev/s/go12symtab, then ``runtime/symtab.go`` (pcHeader, moduledata) and
``debug/gosym/pclntab.go`` of Go's own source.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np

from binsafe.formats.structure import find_all, let_go
from binsafe.limits import MAX_SYMBOLS
from binsafe.model import Segment, Slice

_SECTIONS = (".gopclntab", "__gopclntab", ".data.rel.ro.gopclntab")
_MAGIC_1_2, _MAGIC_1_16, _MAGIC_1_18, _MAGIC_1_20 = 0xFFFFFFFB, 0xFFFFFFFA, 0xFFFFFFF0, 0xFFFFFFF1
_MAGICS = (_MAGIC_1_2, _MAGIC_1_16, _MAGIC_1_18, _MAGIC_1_20)
_RELATIVE = (_MAGIC_1_18, _MAGIC_1_20)
_MODULEDATA_TEXT = 22
"""Word of ``moduledata.text`` since Go 1.18: behind pcHeader, six slices, findfunctab, minpc and maxpc."""
_CHAINED_TARGET = 0xF_FFFF_FFFF
"""The low 36 bits of a chained-fixup pointer are its target (Apple's ``mach-o/fixup-chains.h``)."""
_BITS_64 = 64
_HEADER_WORDS = 8
_WORDS_AT = 8
"""The header: magic (4 bytes), two zeros, instruction size, pointer size, then words of pointer size."""
_MAX_NAME = 1 << 20
"""Bytes of a name; those of generic functions hold whole types, with the tags of all fields: 8,924 in a real one."""
_MAX_CANDIDATES = 16
_PIECE = 1 << 20
"""Words that are looked at at once."""

Numbers: TypeAlias = "array[int]"


class FunctionTable(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Functions by address: ``addresses`` are preferred virtual addresses, ascending; ``names`` stand in their order.

    ``end`` is the address behind the last function. ``entries`` are the addresses of the table's own words that hold an
    address of a function: up to Go 1.17 two for each, later none. ``extent`` is where the table itself begins, and
    where its last record does.
    """

    addresses: Numbers
    names: tuple[str, ...]
    end: int
    entries: Numbers = msgspec.field(default_factory=lambda: array("Q"))
    extent: tuple[int, int] = (0, 0)

    def name(self, index: int) -> str:
        """The name of the function at ``index``."""
        return self.names[index]

    def find(self, names: Iterable[str]) -> dict[str, int]:
        """Entry addresses of those of ``names`` that the program has."""
        wanted = frozenset(names)
        return {name: self.addresses[i] for i, name in enumerate(self.names) if name in wanted}

    def containing(self, address: int) -> int | None:
        """Index of the function whose code holds ``address``; None outside all of them."""
        if not 0 <= address < self.end:
            return None
        index = bisect_right(self.addresses, address) - 1
        return index if index >= 0 else None


class _Header(NamedTuple):
    magic: int
    pointer_size: int
    functions: int
    text: int
    names_offset: int
    functions_offset: int


class _Table(NamedTuple):
    """A table found at ``address``; ``data`` runs from there to the end of what the file stores around it."""

    address: int
    data: memoryview
    header: _Header


def functions(slice_: Slice) -> FunctionTable | None:
    """The functions of a Go program; None where there is no table, or none that makes sense."""
    for table in _tables(slice_):
        found = _decode(slice_, table)
        if found is not None:
            return found
    return None


def _tables(slice_: Slice) -> Iterator[_Table]:
    """Tables with a plausible header: those in a section of the right name first, then wherever the magic number is."""
    named = [section for name in _SECTIONS if (section := slice_.section(name)) is not None]
    places = [(section.address, slice_.contents(section)) for section in named]
    for address, data in [*places, *_scan(slice_)]:
        header = _header(data, slice_.byte_order)
        if header is not None and max(header.names_offset, header.functions_offset) < len(data):
            yield _Table(address, data, header)


def _scan(slice_: Slice) -> Iterator[tuple[int, memoryview]]:
    """Where stored memory holds a magic number followed by two zero bytes; PE has no section for the table."""
    for segment in slice_.segments:
        data = _stored(slice_, segment)
        candidates = 0
        for start in _beginning(data, slice_.byte_order):
            if _header(data[start : start + _WORDS_AT * 10], slice_.byte_order) is not None:
                candidates += 1
                yield segment.address + start, data[start:]
            if candidates > _MAX_CANDIDATES:
                break


def _beginning(data: memoryview, byte_order: Literal["little", "big"]) -> Iterator[int]:
    """Aligned offsets of a magic number, and two zero bytes."""
    words = np.frombuffer(data[: len(data) & ~3], "<u4" if byte_order == "little" else ">u4")
    for first in range(0, len(words), _PIECE):
        piece = words[first : first + _PIECE + 1]
        at = np.flatnonzero(piece[:-1] >= min(_MAGICS))
        behind = piece[at + 1] & 0xFFFF if byte_order == "little" else piece[at + 1] >> 16
        yield from (4 * (first + at[behind == 0])).tolist()
        let_go(data)


def _header(data: memoryview, byte_order: Literal["little", "big"]) -> _Header | None:
    if len(data) < _WORDS_AT or data[4] or data[5] or data[6] not in (1, 2, 4) or data[7] not in (4, 8):
        return None
    magic = int.from_bytes(data[:4], byte_order)
    size = data[7]
    word = _words(data, _WORDS_AT, _HEADER_WORDS, size, byte_order)
    if magic not in _MAGICS or len(word) < _HEADER_WORDS:
        return None
    if magic in _RELATIVE:
        header = _Header(magic, size, functions=word[0], text=word[2], names_offset=word[3], functions_offset=word[7])
    elif magic == _MAGIC_1_16:
        header = _Header(magic, size, functions=word[0], text=0, names_offset=word[2], functions_offset=word[6])
    else:
        header = _Header(magic, size, functions=word[0], text=0, names_offset=0, functions_offset=_WORDS_AT + size)
    return header if 0 < header.functions <= MAX_SYMBOLS else None


def _decode(slice_: Slice, table: _Table) -> FunctionTable | None:
    header, data = table.header, table.data
    width = 4 if header.magic in _RELATIVE else header.pointer_size
    entries = _words(data, header.functions_offset, 2 * header.functions + 1, width, slice_.byte_order)
    if len(entries) < 2 * header.functions + 1:
        return None
    starts, infos = entries[::2], entries[1::2]
    if any(after < before for before, after in pairwise(starts)):
        return None
    text = 0 if header.magic not in _RELATIVE else _text(slice_, table, starts[0], starts[-1])
    if text is None or not _is_code(slice_, text + starts[0], text + starts[-1]):
        return None
    names = _names(table, infos, entry_size=width, byte_order=slice_.byte_order)
    if names is None:
        return None
    addresses = array("Q", (start + text for start in starts))
    absolute = () if header.magic in _RELATIVE else _entries(table, infos, width)
    last = table.address + _origin(header) + max(infos)
    return FunctionTable(
        addresses=addresses[:-1],
        names=names,
        end=addresses[-1],
        entries=array("Q", absolute),
        extent=(table.address, last),
    )


def _entries(table: _Table, infos: Numbers, width: int) -> Iterator[int]:
    """Where the table holds addresses: each pair of (address, record) begins with it, and so does the record."""
    first = table.header.functions_offset
    pairs = range(first, first + 2 * width * len(infos), 2 * width)
    records = (_origin(table.header) + info for info in infos)
    yield from ((table.address + at) % 2**64 for at in (*pairs, *records))


def _origin(header: _Header) -> int:
    """What the places of ``_func`` records count from."""
    return header.functions_offset if header.magic != _MAGIC_1_2 else 0


def _names(
    table: _Table, infos: Numbers, *, entry_size: int, byte_order: Literal["little", "big"]
) -> tuple[str, ...] | None:
    """The name of each ``_func`` record: an offset into the name table stands in it behind the entry address."""
    header = table.header
    origin = _origin(header) + entry_size
    if max(infos) + origin + 4 > len(table.data):
        return None
    fields = np.frombuffer(table.data, np.uint8)[np.array(infos, np.int64)[:, None] + np.arange(origin, origin + 4)]
    offsets = fields.view("<u4" if byte_order == "little" else ">u4").reshape(-1).tolist()
    text = bytes(table.data[header.names_offset : header.names_offset + max(offsets) + _MAX_NAME])
    let_go(table.data)
    budget = 4 * len(text)  # names are stored once each: a table that needs more was made to fill our memory
    names = []
    for offset in offsets:
        end = text.find(b"\0", offset, offset + _MAX_NAME)
        if end < 0:
            return None
        budget -= end - offset + 1
        if budget < 0:
            return None
        names.append(text[offset:end].decode("utf-8", "replace"))
    return tuple(names)


def _text(slice_: Slice, table: _Table, first: int, last: int) -> int | None:
    """``runtime.text``, which entries count from: the first candidate that puts all functions into code.

    The header named it until Go 1.25 (0 where the loader relocates it), ``moduledata.text`` always does. The section's
    own start comes last: with cgo, C's start-up code stands in front.
    """
    for candidate in _text_candidates(slice_, table):
        if candidate and _is_code(slice_, candidate + first, candidate + last):
            return candidate
    return None


def _text_candidates(slice_: Slice, table: _Table) -> Iterator[int]:
    yield table.header.text
    yield from (symbol.address for symbol in slice_.symbols if symbol.name in {"runtime.text", "_runtime.text"})
    yield from _moduledata_text(slice_, table)
    yield from _relocated_text(slice_, table.address)
    yield from (section.address for name in (".text", "__text") if (section := slice_.section(name)) is not None)
    yield from (segment.address for segment in slice_.segments if segment.name == ".text")


def _moduledata_text(slice_: Slice, table: _Table) -> Iterator[int]:
    """``text`` of each thing that looks like ``moduledata``: it starts with the table's address."""
    size = table.header.pointer_size
    if table.address >= 1 << (8 * size):
        return
    pointer = table.address.to_bytes(size, slice_.byte_order)
    for segment in slice_.segments:
        if segment.executable:
            continue
        data = _stored(slice_, segment)
        yield from (word for _, word in _behind(data, pointer, size, slice_.byte_order))
        if slice_.format == "mach-o" and slice_.bits == _BITS_64 == 8 * size:
            base = min(s.address for s in slice_.segments if s.file_size)
            target = (table.address - base) & _CHAINED_TARGET
            found = _behind(data, target.to_bytes(8, "little")[:4], size, slice_.byte_order)
            yield from (base + (word & _CHAINED_TARGET) for first, word in found if first & _CHAINED_TARGET == target)


def _behind(
    data: memoryview, pointer: bytes, size: int, byte_order: Literal["little", "big"]
) -> Iterator[tuple[int, int]]:
    """The word at each aligned place that begins with ``pointer``, and the word where ``moduledata.text`` would be."""
    places = (place for place in find_all(data, pointer) if place % size == 0)
    for place in islice(places, _MAX_CANDIDATES):
        words = _words(data, place, _MODULEDATA_TEXT + 1, size, byte_order)
        if len(words) > _MODULEDATA_TEXT:
            yield words[0], words[_MODULEDATA_TEXT]


def _relocated_text(slice_: Slice, table_address: int) -> Iterator[int]:
    """``moduledata.text`` where the linker left it to the loader: relocations are (offset, type, addend)."""
    section = slice_.section(".rela.dyn") or slice_.section(".rela")
    if section is None or slice_.bits != _BITS_64 or table_address >= 1 << 64:
        return
    data = slice_.contents(section)
    words = _words(data, 0, 3 * (len(data) // 24), 8, slice_.byte_order)
    targets = dict(zip(words[::3], words[2::3], strict=True))
    places = (place for place, addend in targets.items() if addend == table_address)
    for place in islice(places, _MAX_CANDIDATES):
        text = targets.get((place + 8 * _MODULEDATA_TEXT) % 2**64)
        if text is not None:
            yield text


def _is_code(slice_: Slice, first: int, end: int) -> bool:
    """Whether one executable segment holds all of [first, end)."""
    return any(s.executable and s.address <= first and end <= s.address + s.memory_size for s in slice_.segments)


def _stored(slice_: Slice, segment: Segment) -> memoryview:
    return slice_.data[segment.offset : segment.offset + min(segment.file_size, segment.memory_size)]


def _words(data: memoryview, offset: int, count: int, size: int, byte_order: Literal["little", "big"]) -> Numbers:
    """Up to ``count`` unsigned numbers of ``size`` bytes; fewer where the data ends."""
    available = max(min(count, max(len(data) - offset, 0) // size), 0)
    words = array("I" if size == 4 else "Q", bytes(data[offset : offset + available * size]))
    if byte_order != sys.byteorder:
        words.byteswap()
    return words
