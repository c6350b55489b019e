"""The dynamic linker's view of a 64-bit little-endian ELF file: symbols with versions, relocations, initialisers.

Read by our own rules from the dynamic section (gABI chapter 5; versions: Linux Standard Base core, section 10.7), as
arrays: a library has thousands of symbols and tens of thousands of relocations.
"""

import struct
from typing import NamedTuple

import msgspec
import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats import elf_headers as eh
from binsafe.formats.elf_dynamic import DIVERTING, entries
from binsafe.formats.elf_symbols import RECORD, DynamicSymbols
from binsafe.formats.structure import Memory, decoded
from binsafe.limits import MAX_SYMBOLS
from binsafe.model import Slice

Numbers = NDArray[np.int64]

FUNCTION, OBJECT, IFUNC, TLS = 2, 1, 10, 6
"""Kinds of symbols (``STT_*``)."""

_PLTRELSZ, _HASH, _STRTAB, _SYMTAB, _RELA, _RELASZ, _INIT, _FINI, _JMPREL = 2, 4, 5, 6, 7, 8, 12, 13, 23
_INIT_ARRAY, _FINI_ARRAY, _INIT_ARRAYSZ, _FINI_ARRAYSZ, _PREINIT_ARRAY, _PREINIT_ARRAYSZ = 25, 26, 27, 28, 32, 33
_RELRSZ, _RELR = 35, 36
_SYMBOLIC, _FLAGS, _DF_SYMBOLIC = 16, 30, 2
_GNU_HASH, _VERSYM, _VERDEF, _VERDEFNUM, _VERNEED, _VERNEEDNUM = (
    0x6FFFFEF5,
    0x6FFFFFF0,
    0x6FFFFFFC,
    0x6FFFFFFD,
    0x6FFFFFFE,
    0x6FFFFFFF,
)
_COPY = {"x86_64": 5, "arm64": 1024}
_MAX_VERSIONS = 10_000
_MAX_VERSION_NAME = 4096
_CHAIN_PIECE = 1 << 10
"""Symbols of a hash chain that are looked at at once: the chain ends soon, the table may be as long as the file."""
_RELOCATION = np.dtype([("address", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])


class Relocations(NamedTuple):
    """Columns: where, what kind (the processor's own number), which symbol (0: none), plus what."""

    addresses: Numbers
    kinds: Numbers
    symbols: Numbers
    addends: Numbers


class Linking(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the dynamic linker does with a file."""

    symbols: DynamicSymbols
    relocations: Relocations
    packed: Numbers
    """Addresses of ``DT_RELR``: each holds an address that the image's base is added to."""
    started: tuple[int, ...]
    """``DT_INIT`` and ``DT_FINI``: code that the loader calls."""
    arrays: tuple[tuple[int, int], ...]
    """(address, end) of the arrays of initialisers and finalisers, and of the initial thread-local memory."""
    copied: Numbers
    """Indices of the symbols whose objects are copied into this file (``COPY``)."""
    unwind: int | None
    """Address of ``PT_GNU_EH_FRAME``."""
    symbolic: bool = False
    """``DT_SYMBOLIC`` or ``DF_SYMBOLIC``: names are looked up in this file before all others."""
    diverting: bool = False
    """``DT_DEPAUDIT``, ``DT_AUDIT``, ``DT_AUXILIARY`` or ``DT_FILTER``: another file decides what names mean."""


class _File(NamedTuple):
    data: memoryview
    memory: Memory[eh.ProgramHeader]
    tags: dict[int, list[int]]

    def first(self, tag: int) -> int | None:
        return next(iter(self.tags.get(tag, ())), None)

    def table(self, tag: int, size_tag: int | None) -> memoryview:
        """A table's bytes; to the end of its segment where nothing says its size. Empty where it is not."""
        address = self.first(tag)
        size = None if size_tag is None else self.first(size_tag) or 0
        place = None if address is None else self.memory.stored(address)
        if place is None:
            return self.data[:0]
        return self.data[place[0] : place[1] if size is None else min(place[1], place[0] + size)]


def linking(data: memoryview) -> Linking | None:
    """What the loader links; None where there is no dynamic section, or the file is not 64-bit little-endian.

    Raises:
        NotAnalysable: the headers or the dynamic section break a rule.
    """
    head, reader = eh.header(data)
    headers = eh.program_headers(head, reader)
    if head.bits != 64 or head.byte_order != "little":
        return None
    file = _File(data, Memory(h for h in headers if h.type == eh.PT_LOAD), dict(entries(head.bits, reader, headers)))
    unwind = next((h.address for h in headers if h.type == eh.PT_GNU_EH_FRAME), None)
    arrays = [
        (start, start + (file.first(size) or 0))
        for tag, size in (
            (_INIT_ARRAY, _INIT_ARRAYSZ),
            (_FINI_ARRAY, _FINI_ARRAYSZ),
            (_PREINIT_ARRAY, _PREINIT_ARRAYSZ),
        )
        if (start := file.first(tag)) is not None
    ]
    arrays += [(h.address, h.address + h.file_size) for h in headers if h.type == eh.PT_TLS]
    if not file.tags:
        return None
    relocations = _relocations(file)
    return Linking(
        symbols=_symbols(file, int(relocations.symbols.max(initial=-1)) + 1),
        relocations=relocations,
        copied=relocations.symbols[relocations.kinds == _COPY.get(head.arch, -1)],
        packed=_packed(file),
        started=tuple(address for tag in (_INIT, _FINI) if (address := file.first(tag))),
        arrays=tuple(arrays),
        unwind=unwind,
        symbolic=_SYMBOLIC in file.tags or any(flags & _DF_SYMBOLIC for flags in file.tags.get(_FLAGS, ())),
        diverting=any(tag in file.tags for tag in DIVERTING),
    )


def of_slice(slice_: Slice) -> Linking | None:
    """What the loader links of a slice: read once, where a parser made it.

    Raises:
        NotAnalysable: see `linking`.
    """
    known: Linking | None = slice_.linking
    return linking(slice_.data) if known is None else known


def _symbols(file: _File, least: int) -> DynamicSymbols:
    """All that the hash tables know, and ``least`` at least: what relocations name is bound, whatever those say."""
    count = max(_count(file), min(least, MAX_SYMBOLS))
    table = _records(file.table(_SYMTAB, None)[: RECORD.itemsize * count], RECORD)
    indices = np.frombuffer(_whole(file.table(_VERSYM, None)[: 2 * len(table)], 2), np.dtype("<u2"))
    return DynamicSymbols(table, file.table(_STRTAB, None), indices, _versions(file))


def _records(table: memoryview, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """A table of fixed records, not copied; a rest behind the last is left out."""
    return np.frombuffer(table, dtype=dtype, count=len(table) // dtype.itemsize)


def _count(file: _File) -> int:
    """Entries of the symbol table that the hash tables tell of; of two, loaders ask GNU's, other readers the plain one.

    GNU's knows nothing of what is not defined here.
    """
    plain = file.table(_HASH, None)
    chained = int.from_bytes(plain[4:8], "little") if len(plain) >= 8 else 0  # nbucket, nchain
    return min(max(chained, _gnu_count(file.table(_GNU_HASH, None))), MAX_SYMBOLS)


def _gnu_count(table: memoryview) -> int:
    """Entries up to the last one that GNU's hash table leads to; 0 where there is no such table."""
    if len(table) < 16:  # the header
        return 0
    buckets, first, bloom, _ = struct.unpack_from("<4I", table)
    start = 16 + 8 * bloom
    heads = np.frombuffer(_whole(table[start : start + 4 * buckets], 4), np.dtype("<u4"))
    last = int(heads.max(initial=0))
    if last < first:
        return int(first)  # nothing is defined
    chains = np.frombuffer(_whole(table[start + 4 * buckets :], 4), np.dtype("<u4"))
    for at in range(last - first, len(chains), _CHAIN_PIECE):
        ends = np.flatnonzero(chains[at : at + _CHAIN_PIECE] & 1)
        if len(ends):
            return int(first) + at + int(ends[0]) + 1
    return int(first)


def _whole(table: memoryview, size: int) -> memoryview:
    return table[: len(table) // size * size]


def _versions(file: _File) -> dict[int, str]:
    """Version index -> name, of what is defined here (``Verdef``) and of what others define (``Verneed``)."""
    found: dict[int, str] = {}
    strings = file.table(_STRTAB, None)

    def name(offset: int) -> str:
        return decoded(bytes(strings[offset : offset + _MAX_VERSION_NAME]).partition(b"\0")[0])

    table, at = file.table(_VERDEF, None), 0
    for _ in range(min(file.first(_VERDEFNUM) or 0, _MAX_VERSIONS)):
        if at + 20 > len(table):
            break
        _, _, index, _, _, aux, following = struct.unpack_from("<HHHHIII", table, at)
        if at + aux + 8 <= len(table):
            found[index] = name(*struct.unpack_from("<I", table, at + aux))
        at += following
    table, at = file.table(_VERNEED, None), 0
    budget = _MAX_VERSIONS
    for _ in range(min(file.first(_VERNEEDNUM) or 0, _MAX_VERSIONS)):
        if at + 16 > len(table):
            break
        _, count, _, aux, following = struct.unpack_from("<HHIII", table, at)
        place = at + aux
        for _ in range(min(count, budget)):
            budget -= 1
            if place + 16 > len(table):
                break
            _, _, index, text, further = struct.unpack_from("<IHHII", table, place)
            found[index] = name(text)
            place += further
        at += following
    return found


def _relocations(file: _File) -> Relocations:
    rows = [
        _records(file.table(_RELA, _RELASZ), _RELOCATION),
        _records(file.table(_JMPREL, _PLTRELSZ), _RELOCATION),
    ]
    columns = (np.concatenate([r[name] for r in rows]) for name in ("address", "kind", "symbol", "addend"))
    addresses, kinds, indices, addends = (column.astype(np.int64) for column in columns)
    return Relocations(addresses, kinds, indices, addends)


def _packed(file: _File) -> Numbers:
    """``DT_RELR``: an even word is an address; an odd one has a bit for each of the 63 words that follow."""
    words = np.frombuffer(_whole(file.table(_RELR, _RELRSZ), 8), np.dtype("<u8")).tolist()
    found: list[int] = []
    where = 0
    for word in words:
        if not word & 1:
            found.append(word)
            where = word + 8
            continue
        found += [where + 8 * bit for bit in range(63) if word >> (bit + 1) & 1]
        where += 63 * 8
    return np.array([address for address in found if address < 1 << 62], np.int64)
