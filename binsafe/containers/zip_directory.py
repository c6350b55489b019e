"""The central directory of a zip archive (PKWARE APPNOTE 6.3.10): the list of its entries, which stands at its end."""

import re
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from binsafe.containers.budget import Budget
from binsafe.containers.entries import Unreadable

LOCAL = re.compile(rb"PK\x03\x04")
"""What stands before an entry's data."""
_LISTED = re.compile(rb"PK\x01\x02")
_MAGIC = b"PK\x05\x06"
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
END_BYTES = _END.size
_MAX_COMMENT = 0xFFFF
_NONE32 = 0xFFFF_FFFF
_NONE = (0xFFFF, _NONE32, _NONE32)
"""Count, size and offset of a directory that a zip64 record says instead."""
_UTF8 = 0x800
_UNICODE_PATH = 0x7075
_UNIX = 3


class Listed(NamedTuple):
    """An entry as the central directory lists it."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    system: int
    mode: int
    start: int
    """Where the header before its data stands."""
    unicode: str | None

    @property
    def shown(self) -> str:
        """The name that programs give the file which know of its second one."""
        return self.plain if self.unicode is None else self.unicode

    @property
    def plain(self) -> str:
        """The first name; without the flag in the first PCs' code page (APPNOTE D.1), but not where Unix packed."""
        if self.flags & _UTF8:
            return self.name.decode("utf-8", "replace")
        try:
            return self.name.decode("utf-8" if self.system == _UNIX else "cp437")
        except UnicodeDecodeError:
            return self.name.decode("cp437")


def ends(data: memoryview) -> bool:
    """Whether something with entries ends here as a zip archive does, whatever stands before it."""
    return has_end(data) and _LISTED.search(data) is not None


def span(data: memoryview) -> tuple[int, int] | None:
    """From where to where the archive is that ends here, by its directory; None where there is none before its end.

    Before the first byte, and where something else than an entry stands, is nowhere: -1.
    """
    try:
        end, _ = find_end(data)
        _, size, offset, stop = _zip64(data, end, _END.unpack_from(data, end)[4:7])
    except Unreadable:
        return None
    if size > stop or not _LISTED.match(data, stop - size):
        return None
    start = stop - size - offset
    return (start if start >= 0 and LOCAL.match(data, start) else -1), end + END_BYTES


def has_end(data: memoryview) -> bool:
    """Whether there is a record that ends an archive where such a record can be."""
    return _MAGIC in _tail(data)


def _tail(data: memoryview) -> bytes:
    """Where the record can be that ends an archive."""
    return bytes(data[max(0, len(data) - END_BYTES - _MAX_COMMENT) :])


def find_end(data: memoryview) -> tuple[int, int]:
    """Where the record is that ends the archive, and how long a comment it says follows.

    Raises:
        Unreadable: there is none.
    """
    tail = _tail(data)
    found = tail.rfind(_MAGIC)
    if found < 0 or len(tail) - found < END_BYTES:
        raise Unreadable("it has no central directory: it is cut off")
    *_, comment = _END.unpack_from(tail, found)
    return len(data) - len(tail) + found, comment


def entries(data: memoryview, end: int, budget: Budget) -> list[Listed]:
    """All entries, in order; ``end`` is as `find_end` says.

    Raises:
        Unreadable: the directory contradicts itself, or the archive is one part of several.
        Exhausted: there are more entries than the budget has.
    """
    _, disk, _, _, count, size, offset, _ = _END.unpack_from(data, end)
    if disk not in {0, 0xFFFF}:
        raise Unreadable("it is one part of several")
    said = count, size, offset
    count, size, offset, stop = _zip64(data, end, said)
    if any(here not in {there, none} for here, there, none in zip(said, (count, size, offset), _NONE, strict=True)):
        raise Unreadable("it has two central directories: which one counts is up to who unpacks")  # Python: the second
    shift = stop - size - offset  # by so much the archive has moved since its offsets were written
    if shift < 0 or size > stop:
        raise Unreadable("its central directory is not where it should be")
    return list(_central(data[stop - size : stop], count, shift, budget))


def _zip64(data: memoryview, end: int, plain: tuple[int, int, int]) -> tuple[int, int, int, int]:
    start = end - _LOCATOR64.size
    if start < 0 or bytes(data[start : start + 4]) != b"PK\x06\x07":
        return (*plain, end)
    places = {_LOCATOR64.unpack_from(data, start)[2], start - _END64.size}  # as it says, and where Python looks
    found = [at for at in places if 0 <= at <= start - _END64.size and bytes(data[at : at + 4]) == b"PK\x06\x06"]
    if len(found) == 1:
        *_, count, size, offset = _END64.unpack_from(data, found[0])
        return count, size, offset, found[0]
    raise Unreadable("its zip64 directory is not where it should be")


def _central(directory: memoryview, count: int, shift: int, budget: Budget) -> Iterator[Listed]:
    at = seen = 0
    while at < len(directory):
        if len(directory) - at < _CENTRAL.size or bytes(directory[at : at + 4]) != b"PK\x01\x02":
            break
        budget.enter()
        _, made, _, flags, method, _, _, crc, packed, size, names, extras, comments, _, _, attributes, offset = (
            _CENTRAL.unpack_from(directory, at)
        )
        at += _CENTRAL.size
        name = bytes(directory[at : at + names])
        extra = bytes(directory[at + names : at + names + extras])
        size, packed, offset = wide(extra, size, packed, offset)
        mode = attributes >> 16
        if made >> 8 != _UNIX and not stat.S_ISLNK(mode):  # links are made whoever packed them (Go, yauzl, Info-ZIP)
            mode = 0
        yield Listed(name, flags, method, crc, packed, size, made >> 8, mode, offset + shift, _unicode(name, extra))
        at += names + extras + comments
        seen += 1
    if at != len(directory) or seen & 0xFFFF != count & 0xFFFF:
        raise Unreadable("its central directory does not list what it says")


def wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """The 64-bit values of the extra field 1, which are there only for fields that are all ones (APPNOTE 4.5.3)."""
    field = _field(extra, 1)
    values = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
    size, packed, offset = (next(values, each) if each == _NONE32 else each for each in (size, packed, offset))
    return size, packed, offset


def _unicode(name: bytes, extra: bytes) -> str | None:
    """The second name (APPNOTE 4.6.9), which counts while it is about the first one; None where there is none."""
    field = _field(extra, _UNICODE_PATH)
    valid = field[:1] == b"\1" and field[1:5] == zlib.crc32(name).to_bytes(4, "little")
    return field[5:].decode("utf-8", "replace") if valid else None


def _field(extra: bytes, wanted: int) -> bytes:
    """The first extra field of a kind; empty where there is none."""
    at = 0
    while at + 4 <= len(extra):
        identifier, length = struct.unpack_from("<2H", extra, at)
        if identifier == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""
