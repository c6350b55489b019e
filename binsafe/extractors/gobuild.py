"""Go's build information: version, module and dependencies as its linker recorded them.

Layout: ``debug/buildinfo`` of Go's source. A header of 32 bytes (magic, pointer size, flags), and then, since Go 1.18,
two strings with their lengths before them; earlier linkers wrote the addresses of two Go strings into the header.
"""

import re
from typing import NamedTuple

from binsafe.formats.structure import ByteOrder
from binsafe.model import GoBuild, Segment, Slice

_MAGIC = b"\xff Go buildinf:"
_SECTIONS = (".go.buildinfo", "__go_buildinfo")
_HEADER = 32
_ALIGNMENT = 16
_BIG_ENDIAN, _INLINE = 1, 2
_SENTINEL = 16
"""The module text stands between two random-looking marks of 16 bytes, and ends with a newline."""
_MAX_TEXT = 4 * 1024**2
_MAX_LENGTH_BYTES = 5


class _Record(NamedTuple):
    version: str
    text: str


def read(slice_: Slice) -> GoBuild | None:
    """What the linker recorded; None where there is no record or it cannot be read."""
    start = _find(slice_)
    record = None if start is None else _record(slice_, start)
    if record is None or not record.version:
        return None
    return _parse(record)


def _find(slice_: Slice) -> int | None:
    """Offset of the record in the slice: in its own section, or anywhere in data that the loader maps."""
    for name in _SECTIONS:
        section = slice_.section(name)
        if section is not None and section.offset is not None:
            found = _search(slice_, section.offset, section.offset + section.size)
            if found is not None:
                return found
    places = (_search(slice_, s.offset, s.offset + s.file_size) for s in slice_.segments if not _is_code(s))
    return next((place for place in places if place is not None), None)


def _is_code(segment: Segment) -> bool:
    return segment.executable and not segment.writable


def _search(slice_: Slice, start: int, end: int) -> int | None:
    found = re.compile(re.escape(_MAGIC)).finditer(slice_.data, *(min(at, len(slice_.data)) for at in (start, end)))
    return next((match.start() for match in found if (match.start() - start) % _ALIGNMENT == 0), None)


def _record(slice_: Slice, start: int) -> _Record | None:
    header = bytes(slice_.data[start : start + _HEADER])
    if len(header) < _HEADER:
        return None
    size, flags = header[14], header[15]
    if flags & _INLINE:
        version, place = _inline(slice_, start + _HEADER)
        text, _ = _inline(slice_, place)
    elif size in {4, 8}:
        order: ByteOrder = "big" if flags & _BIG_ENDIAN else "little"
        version = _pointed(slice_, int.from_bytes(header[16 : 16 + size], order), size, order)
        text = _pointed(slice_, int.from_bytes(header[16 + size : 16 + 2 * size], order), size, order)
    else:
        return None
    framed = len(text) > 2 * _SENTINEL and text[-_SENTINEL - 1] == ord("\n")
    body = text[_SENTINEL:-_SENTINEL] if framed else b""
    return _Record(version.decode("utf-8", "replace"), body.decode("utf-8", "replace"))


def _inline(slice_: Slice, place: int) -> tuple[bytes, int]:
    """A string with its length before it (a varint of 7 bits a byte, low ones first), and the place behind it."""
    length = 0
    for index, byte in enumerate(slice_.data[place : place + _MAX_LENGTH_BYTES]):
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # the highest bit says that more follow
            start = place + index + 1
            return _bytes(slice_, start, length), start + length
    return b"", len(slice_.data)


def _pointed(slice_: Slice, address: int, size: int, order: ByteOrder) -> bytes:
    """The Go string whose header (pointer, length) stands at ``address``."""
    header = slice_.read(address, 2 * size)
    if len(header) < 2 * size:
        return b""
    pointer, length = (int.from_bytes(part, order) for part in (header[:size], header[size:]))
    offset = slice_.offset_of(pointer)
    return b"" if offset is None else _bytes(slice_, offset, length)


def _bytes(slice_: Slice, start: int, length: int) -> bytes:
    whole = length <= _MAX_TEXT and start + length <= len(slice_.data)
    return bytes(slice_.data[start : start + length]) if whole else b""


def _parse(record: _Record) -> GoBuild:
    """The text has a line for each thing: ``path``, ``mod``, ``dep`` (and what replaces it, ``=>``), ``build``."""
    module, path, dependencies, settings = None, None, list[str](), dict[str, str]()
    for line in record.text.splitlines():
        kind, *fields = line.split("\t")
        if kind == "path" and fields:
            path = fields[0]
        elif kind == "mod" and fields:
            module = fields[0]
        elif kind == "dep" and fields:
            dependencies.append(" ".join(fields[:2]))
        elif kind == "=>" and fields and dependencies:
            dependencies[-1] += " => " + " ".join(fields[:2])
        elif kind == "build" and fields:
            key, _, value = fields[0].partition("=")
            settings[key] = value
    return GoBuild(version=record.version, module=module or path, dependencies=tuple(dependencies), settings=settings)
