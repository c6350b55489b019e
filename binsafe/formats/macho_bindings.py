"""What dyld binds and what it can look up: binding opcodes, chained fixups and the export trie.

Layouts: Apple's ``mach-o/loader.h`` (``BIND_OPCODE_*``, ``EXPORT_SYMBOL_FLAGS_*``) and ``mach-o/fixup-chains.h``; what
dyld does with them: ``common/MachOLayout.cpp`` and ``mach_o/ChainedFixups.cpp`` of its source. Each name is kept with
the first pointer that it fills in, so that opcodes which repeat a binding a million times cost no more than one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from binsafe.formats.structure import Mapped, Reader, decoded, excessive, malformed
from binsafe.formats.symbols import Strings

_MAX_NAME = 65_536
_MAX_LINKS = 4_000_000
"""Pointers that are followed: the largest real program met has 300,000."""
_MAX_EXPORTS = 500_000
_REEXPORT = 8
"""``EXPORT_SYMBOL_FLAGS_REEXPORT``"""
_MAX_DEPTH = 128
"""Nodes of a trie that dyld walks through for one name."""
_MAX_SCANNED = 64 * 1024**2
"""Bytes of edges that are looked at for all names; of 1,900 real files the one that takes most takes an eighth."""
_EDGE = 16
"""Bytes that an edge counts for beside its own."""


class Binding(NamedTuple):
    """A name, the number of the library that must have it (0 and less: special), the pointer that is filled in."""

    name: str
    library: int
    address: int | None


_DONE, _LIBRARY, _LIBRARY_ULEB, _LIBRARY_SPECIAL, _NAME, _TYPE, _ADDEND, _PLACE, _ADD = range(0x00, 0x90, 0x10)
_BIND, _BIND_ADD, _BIND_SCALED, _BIND_TIMES, _THREADED = range(0x90, 0xE0, 0x10)
_LIBRARIES = (_LIBRARY, _LIBRARY_ULEB, _LIBRARY_SPECIAL)
_BINDS = (_BIND, _BIND_ADD, _BIND_SCALED, _BIND_TIMES)
_ADDRESS = (1 << 64) - 1
"""Steps back are written as large numbers that wrap around."""


def from_opcodes(  # noqa: C901 - a branch for each kind of opcode
    opcodes: memoryview, segments: Sequence[Mapped], word: int
) -> Iterator[Binding]:
    """Each name that the opcodes bind, with its first pointer.

    Raises:
        NotAnalysable: they end within an opcode, or name a segment that is not there.
    """
    code, at = bytes(opcodes), 0
    name, library, address, fresh = "", 0, 0, False
    while at < len(code):
        opcode, immediate = code[at] & 0xF0, code[at] & 0x0F
        at += 1
        if opcode in _LIBRARIES:
            library, at = _library(code, at, opcode, immediate)
        elif opcode == _NAME:
            end = code.find(b"\0", at, at + _MAX_NAME)
            if end < 0:
                raise malformed("a name that dyld binds does not end")
            name, at, fresh = decoded(code[at:end]), end + 1, True
        elif opcode == _PLACE:
            offset, at = _uleb(code, at)
            if immediate >= len(segments):
                raise malformed("dyld is asked to bind in a segment that is not there")
            address = segments[immediate].address + offset
        elif opcode in _BINDS:
            if fresh:
                yield Binding(name, library, address & _ADDRESS)
                fresh = False
            step, at = _step(code, at, opcode, immediate, word)
            address += step
        elif opcode == _ADD:
            step, at = _uleb(code, at)
            address += step
        elif opcode == _ADDEND or (opcode == _THREADED and not immediate):
            _, at = _uleb(code, at)
        elif opcode not in {_DONE, _TYPE, _THREADED}:
            raise malformed(f"an opcode {opcode:#x} that dyld does not know")


def _library(code: bytes, at: int, opcode: int, immediate: int) -> tuple[int, int]:
    """The number of a library, and the place behind it; special ones are negative numbers of 4 bits."""
    if opcode == _LIBRARY_ULEB:
        return _uleb(code, at)
    return immediate - 16 if opcode == _LIBRARY_SPECIAL and immediate else immediate, at


def _step(code: bytes, at: int, opcode: int, immediate: int, word: int) -> tuple[int, int]:
    """How far a binding opcode moves on, and the place behind it."""
    if opcode == _BIND_ADD:
        step, at = _uleb(code, at)
        return step + word, at
    if opcode == _BIND_TIMES:
        count, at = _uleb(code, at)
        skip, at = _uleb(code, at)
        return count * (skip + word), at
    return word + (immediate * word if opcode == _BIND_SCALED else 0), at


class _Chain(NamedTuple):
    """How the pointers of one format are linked: where a 64- or 32-bit pointer keeps what, and the links' unit."""

    size: int
    bind: int
    next_at: int
    next_bits: int
    stride: int
    ordinal_bits: int


_ARM64E, _ARM64E_24 = _Chain(8, 62, 51, 11, 8, 16), _Chain(8, 62, 51, 11, 8, 24)
_POINTER_64 = _Chain(8, 63, 51, 12, 4, 24)
_CHAINS = {
    1: _ARM64E,
    2: _POINTER_64,
    3: _Chain(4, 31, 26, 5, 4, 20),
    6: _POINTER_64,
    7: _ARM64E._replace(stride=4),
    9: _ARM64E,
    10: _ARM64E._replace(stride=4),
    12: _ARM64E_24,
}
"""``DYLD_CHAINED_PTR_*`` that user programs have; the kernel's own formats bind nothing."""
_NO_FIXUPS, _MANY_STARTS = 0xFFFF, 0x8000


def from_chains(fixups: memoryview, data: memoryview, segments: Sequence[Mapped], base: int) -> Iterator[Binding]:
    """Each name of the import table, with its first pointer where a chain leads to one.

    Raises:
        NotAnalysable: a table lies outside of its place, or the links never end.
    """
    reader = Reader(fixups, "little")
    _, starts, imports, names, count, kind, names_format = reader.unpack("7I", 0, "the chained fixups")
    if names_format:
        raise malformed("the names of its chained fixups are compressed, which no dyld reads")
    found = _imports(reader, imports, count, kind)
    first = _first_pointers(reader, starts, data, segments, base, wanted=count)
    strings = Strings(fixups[names:])
    for number, (library, place) in enumerate(found):
        name = strings.at(place)
        if not name:
            raise malformed("a name that dyld binds lies outside of its table")
        yield Binding(name, library, first.get(number))


def _imports(reader: Reader, at: int, count: int, kind: int) -> Iterator[tuple[int, int]]:
    """Library and name's offset of each entry: 8, 1 and 23 bits, or 16, 1, 15 and 32."""
    shape = {1: ("I", 4, 8, 9), 2: ("II", 8, 8, 9), 3: ("QQ", 16, 16, 32)}.get(kind)
    if shape is None:
        raise malformed(f"chained fixups of an unknown kind {kind}")
    layout, size, bits, name_at = shape
    for entry, *_ in reader.rows(layout, at, count * size, "the names that dyld binds"):
        library = entry & (1 << bits) - 1
        special = library > (1 << bits) - 16  # the highest numbers are negative ones: itself, flat, weak
        yield library - (1 << bits) if special else library, entry >> name_at


def _first_pointers(
    reader: Reader, starts: int, data: memoryview, segments: Sequence[Mapped], base: int, *, wanted: int
) -> dict[int, int]:
    """Number of the import -> address of the first pointer it is bound to, until all are found."""
    first: dict[int, int] = {}
    links = 0
    (count,) = reader.unpack("I", starts, "the fixups' segments")
    places = reader.rows("I", starts + 4, 4 * count, "the fixups' segments")
    for (place,), segment in zip(places, segments, strict=False):
        if not place:
            continue
        _, page, kind, offset, _, pages = reader.unpack("IHHQIH", starts + place, "a segment's fixups")
        chain = _CHAINS.get(kind)
        if chain is None:
            continue
        stored = data[segment.offset : segment.offset + segment.file_size]
        for number, (start,) in enumerate(reader.rows("H", starts + place + 22, 2 * pages, "the pages' fixups")):
            if start == _NO_FIXUPS or (chain.size == 4 and start & _MANY_STARTS):
                continue
            own = stored[number * page : (number + 1) * page]  # chains end with their page
            links += _follow(chain, own, start, base + offset + number * page, first)
            if links > _MAX_LINKS:
                raise excessive(f"more than {_MAX_LINKS:,} chained pointers")
            if len(first) >= wanted:
                return first
    return first


def _follow(chain: _Chain, stored: memoryview, at: int, address: int, first: dict[int, int]) -> int:
    """Note the bindings of one page's chain; how many pointers it has."""
    size, bind, next_at, mask, ordinals = (
        chain.size, 1 << chain.bind, chain.next_at, (1 << chain.next_bits) - 1, (1 << chain.ordinal_bits) - 1,
    )  # fmt: skip
    links = 0
    while True:
        raw = stored[at : at + size]
        if len(raw) < size:
            raise malformed("a chain of pointers leads out of its page")
        pointer = int.from_bytes(raw, "little")
        if pointer & bind:
            first.setdefault(pointer & ordinals, address + at)
        links += 1
        step = (pointer >> next_at & mask) * chain.stride
        if not step:
            return links
        at += step


def exports(trie: memoryview) -> Iterator[tuple[str, int]]:
    """Name and offset from the image's start of all that others may look up; what is passed on is left out.

    Raises:
        NotAnalysable: a node lies outside of the trie, or its names are more than any library has.
    """
    code = bytes(trie)
    waiting, seen, budget = [(0, b"")] if code else [], {0}, 64 * len(code) + 4096
    while waiting:
        at, name = waiting.pop()
        size, at = _uleb(code, at)
        if size:
            flags, place = _uleb(code, at)
            if not flags & _REEXPORT:
                yield decoded(name), _uleb(code, place)[0]
        for edge, child in _edges(code, at + size):
            longer = name + edge
            budget -= len(longer)
            if child in seen or budget < 0 or len(seen) > _MAX_EXPORTS:
                raise malformed("its export trie is no tree")
            seen.add(child)
            waiting.append((child, longer))


class Exports:
    """An export trie in which names are looked up by the way that dyld goes; it may have circles."""

    def __init__(self, trie: memoryview) -> None:
        self._trie = bytes(trie)
        self._left = _MAX_SCANNED

    def passed_on(self, name: str) -> tuple[str, int] | None:
        """What a name is passed on to: another name in the library of a number.

        A program may so look up ``_puts`` in itself and get libSystem's ``_socket``.

        Raises:
            NotAnalysable: it leads out of the trie, or to look names up in it takes far longer than in any library's.
        """
        at, rest = 0, name.encode()
        for _ in range(_MAX_DEPTH if self._trie else 0):
            size, at = _uleb(self._trie, at)
            if not rest:
                flags, place = _uleb(self._trie, at) if size else (0, at)
                if not flags & _REEXPORT:
                    return None
                library, place = _uleb(self._trie, place)
                return decoded(self._trie[place : place + _MAX_NAME].split(b"\0", 1)[0]) or name, library
            rest, at = self._further(at + size, rest)
            if at == len(self._trie):
                return None
        return None

    def _further(self, at: int, rest: bytes) -> tuple[bytes, int]:
        """What is left of a name behind the first edge that it begins with, and that edge's node; else the end."""
        for edge, child in _edges(self._trie, at):
            self._left -= len(edge) + _EDGE
            if self._left < 0:
                raise malformed("its export trie is no tree")
            if rest.startswith(edge):
                return rest[len(edge) :], child
        return rest, len(self._trie)


def _edges(code: bytes, at: int) -> Iterator[tuple[bytes, int]]:
    """What a trie's node adds to its name, and the node that is behind it."""
    children = code[at] if at < len(code) else 0
    at += 1
    for _ in range(children):
        end = code.find(b"\0", at)
        if end < 0:
            raise malformed("its export trie is no tree")
        child, behind = _uleb(code, end + 1)
        yield code[at:end], child
        at = behind


def _uleb(code: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and the place behind it."""
    value = shift = 0
    while at < len(code):
        byte = code[at]
        at += 1
        value |= (byte & 0x7F) << min(shift, 64)
        if byte < 0x80:  # the last byte has its top bit clear
            return value, at
        shift += 7
    raise malformed("a number of dyld's tables does not end")
