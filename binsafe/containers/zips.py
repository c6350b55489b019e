"""Zip archives (PKWARE APPNOTE 6.3.10): what the central directory lists, checked against what stands before the data.

Programs that unpack differ in what they believe where the two disagree, which is how an archive shows one thing to a
scanner and another to its user: such an entry is a Trouble.
"""

import bz2
import lzma
import re
import stat
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from binsafe.containers.budget import Budget
from binsafe.containers.entries import Entry, Exhausted, Stream, Trouble, Unreadable
from binsafe.containers.setid import set_id
from binsafe.containers.streams import Checked, Decompressed, Decompressor, Plain, inflate, xz, zstandard

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_BEFORE_DATA = re.compile(rb"PK\x03\x04")
_LISTED = re.compile(rb"PK\x01\x02")
_FURTHER = re.compile(rb"PK\x03\x04[\x00-\x3f]...[\x00\x08\x0c\x0e\x5d\x5f]\x00", re.DOTALL)
"""The same with a version and a method that exist: what is compressed is an archive itself, or holds more than that."""
_MAX_COMMENT = 0xFFFF
_CHUNK = 1 << 20
_NONE32 = 0xFFFF_FFFF
_NONE = (0xFFFF, _NONE32, _NONE32)
"""Count, size and offset of a directory that a zip64 record says instead."""
_ENCRYPTED, _LATER, _UTF8 = 0x1, 0x8, 0x800
"""``_LATER``: checksum and sizes stand behind the data, so that they may be 0 before it."""
_UNICODE_PATH = 0x7075
_UNIX = 3
_MAX_TARGET = 4096
_STORED, _LZMA = 0, 14
_LZMA_HEAD = 9
"""Bytes before what LZMA packed: version, number of properties (always 5), and those (APPNOTE 5.8.8)."""
_METHODS: dict[int, Callable[[], Decompressor]] = {
    8: inflate,
    12: bz2.BZ2Decompressor,
    93: zstandard,
    95: xz,
}


class _Listed(NamedTuple):
    """An entry as the central directory lists it."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    system: int
    mode: int
    offset: int
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


def read(data: memoryview, budget: Budget) -> Iterator[Entry | Trouble]:
    """The entries in the order of the central directory."""
    try:
        end, comment = _end(data)
        listed, shift = _directory(data, end, budget)
    except Unreadable as error:
        yield Trouble(error.finding, str(error))
        return
    behind = len(data) - end - _END.size
    if behind != comment:  # some look for another end then
        detail = f"{behind:,} bytes follow its end, which says that {comment:,} do"
        yield Trouble("appended-data", detail, lost=b"PK\x05\x06" in _tail(data[:end]))
    taken = _Ranges()
    for entry in listed:
        try:
            yield _entry(data, entry, entry.offset + shift, taken, budget)
        except Exhausted as error:
            yield Trouble(error.finding, str(error))
            return
        except Unreadable as error:
            yield Trouble(error.finding, f"{entry.shown!r}: {error}")
    unlisted = sum(1 for start, end in taken.gaps(len(data)) for _ in _BEFORE_DATA.finditer(data[start:end]))
    if unlisted and taken.count == len(listed):  # else it may be one of those that could not be read
        yield Trouble(
            "archive-entry", f"{unlisted:,} of its entries are not in its central directory, and some unpack them"
        )


def ends(data: memoryview) -> bool:
    """Whether something with entries ends here as a zip archive does, whatever stands before it."""
    return b"PK\x05\x06" in _tail(data) and _LISTED.search(data) is not None


def span(data: memoryview) -> tuple[int, int] | None:
    """From where to where the archive is that ends here, by its directory; None where there is none before its end.

    Before the first byte, and where something else than an entry stands, is nowhere: -1.
    """
    try:
        end, _ = _end(data)
        _, size, offset, stop = _zip64(data, end, _END.unpack_from(data, end)[4:7])
    except Unreadable:
        return None
    if size > stop or not _LISTED.match(data, stop - size):
        return None
    start = stop - size - offset
    return (start if start >= 0 and _BEFORE_DATA.match(data, start) else -1), end + _END.size


def _tail(data: memoryview) -> bytes:
    """Where the record can be that ends an archive."""
    return bytes(data[max(0, len(data) - _END.size - _MAX_COMMENT) :])


def _end(data: memoryview) -> tuple[int, int]:
    """Where the record is that ends the archive, and how long a comment it says follows."""
    tail = _tail(data)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise Unreadable("it has no central directory: it is cut off")
    *_, comment = _END.unpack_from(tail, found)
    return len(data) - len(tail) + found, comment


def _directory(data: memoryview, end: int, budget: Budget) -> tuple[list[_Listed], int]:
    """All entries, and how far the archive has moved since its offsets were written."""
    _, disk, _, _, count, size, offset, _ = _END.unpack_from(data, end)
    if disk not in {0, 0xFFFF}:
        raise Unreadable("it is one part of several")
    said = count, size, offset
    count, size, offset, stop = _zip64(data, end, said)
    if any(here not in {there, none} for here, there, none in zip(said, (count, size, offset), _NONE, strict=True)):
        raise Unreadable("it has two central directories: which one counts is up to who unpacks")  # Python: the second
    shift = stop - size - offset
    if shift < 0 or size > stop:
        raise Unreadable("its central directory is not where it should be")
    return list(_central(data[offset + shift : stop], count, budget)), shift


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


def _central(directory: memoryview, count: int, budget: Budget) -> Iterator[_Listed]:
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
        size, packed, offset = _wide(extra, size, packed, offset)
        mode = attributes >> 16
        if made >> 8 != _UNIX and not stat.S_ISLNK(mode):  # links are made whoever packed them (Go, yauzl, Info-ZIP)
            mode = 0
        yield _Listed(name, flags, method, crc, packed, size, made >> 8, mode, offset, _unicode(name, extra))
        at += names + extras + comments
        seen += 1
    if at != len(directory) or seen & 0xFFFF != count & 0xFFFF:
        raise Unreadable("its central directory does not list what it says")


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
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


def _entry(data: memoryview, listed: _Listed, start: int, taken: "_Ranges", budget: Budget) -> Entry:
    content = _content(data, listed, start, taken)
    if listed.unicode is not None and not _same(listed.plain, listed.unicode):
        raise Unreadable(f"it is also called {listed.unicode!r}: which name it gets is up to who unpacks")
    if listed.flags & _ENCRYPTED:
        raise Unreadable("it is encrypted", "archive-encrypted")
    if listed.shown.endswith("/"):
        if listed.size or _unpacked(content, listed, budget).read(1):
            raise Unreadable("it is called a folder and holds data, which was not looked at")
        return Entry(listed.shown, "folder")
    if listed.method != _STORED and _FURTHER.search(content) and _ends_early(_unpacked(content, listed, budget)):
        raise Unreadable("a further entry stands behind its data: where that ends is up to who unpacks")
    stream = Checked(_unpacked(content, listed, budget), listed.size, listed.crc)
    if stat.S_ISLNK(listed.mode):
        target = stream.read(_MAX_TARGET + 1)
        if len(target) > _MAX_TARGET or b"\0" in target:  # who knows no links (Windows, Python) makes a file of it
            raise Unreadable("it is called a link and holds data, which was not looked at")
        return Entry(listed.shown, "link", target=target.decode("utf-8", "replace"))
    kind: Literal["file", "other"] = "file" if stat.S_IFMT(listed.mode) in {0, stat.S_IFREG} else "other"
    return Entry(listed.shown, kind, stream, set_id=set_id(listed.mode))


def _same(plain: str, unicode: str) -> bool:
    """Whether two names may be one: the first in other letters where it cannot have them (by zip: ``#U``, digits)."""
    one, other = (
        [part if part in {"", ".", ".."} else "name" for part in name.split("/")] for name in (plain, unicode)
    )
    return plain == unicode or (one == other and not (plain.isascii() and "#U" not in plain))


def _content(data: memoryview, listed: _Listed, start: int, taken: "_Ranges") -> memoryview:
    """The packed bytes; the header before them must be this entry's, and no other entry's bytes may be among them."""
    if start < 0 or start + _LOCAL.size > len(data) or not _BEFORE_DATA.match(data, start):
        raise Unreadable("there is no entry where the central directory says")
    _, _, flags, method, _, _, crc, packed, size, names, extras = _LOCAL.unpack_from(data, start)
    begin = start + _LOCAL.size + names + extras
    if begin + listed.packed > len(data):
        raise Unreadable("it ends in the middle of an entry")
    if not taken.take(start, begin + listed.packed):
        raise Unreadable("it lies over another entry", "archive-bomb")
    if bytes(data[start + _LOCAL.size :][:names]) != listed.name:
        raise Unreadable("it has another name in the central directory than before its data")
    if method != listed.method or (flags ^ listed.flags) & _ENCRYPTED:
        raise Unreadable("it is packed otherwise than the central directory says")
    size, packed, _ = _wide(bytes(data[begin - extras : begin]), size, packed, 0)
    stated = (crc, listed.crc), (packed, listed.packed), (size, listed.size)
    if any(here != there and not (flags & _LATER and here == 0) for here, there in stated):
        raise Unreadable("it has another size or checksum in the central directory than before its data")
    return data[begin : begin + listed.packed]


def _unpacked(content: memoryview, listed: _Listed, budget: Budget) -> Stream:
    if listed.method == _STORED:
        return Plain(content)
    if listed.method == _LZMA:
        if bytes(content[2:4]) != b"\x05\0" or len(content) < _LZMA_HEAD:
            raise Unreadable("its compressed data is damaged")
        return Decompressed(content[_LZMA_HEAD:], lambda: _raw_lzma(content), budget)
    make = _METHODS.get(listed.method)
    if make is None:
        raise Unreadable(f"it is packed with method {listed.method}, which is not read here")
    return Decompressed(content, make, budget)


def _ends_early(stream: Stream) -> bool:
    """Whether compressed data ends before its entry does: some read on there. What is in it may look like an entry."""
    while stream.read(_CHUNK):
        pass
    return isinstance(stream, Decompressed) and stream.behind > 0


def _raw_lzma(content: memoryview) -> Decompressor:
    """Decoder for the properties at the front (lzma.txt of the LZMA SDK): lc, lp and pb in a byte, then the window."""
    first, window = struct.unpack_from("<BL", content, 4)
    literal, rest = first % 9, first // 9
    options = {"id": lzma.FILTER_LZMA1, "lc": literal, "lp": rest % 5, "pb": rest // 5}
    options["dict_size"] = min(max(window, 4096), 1 << 26)
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[options])


class _Ranges:
    """Byte ranges that entries have taken, in the order of their starts."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def take(self, start: int, end: int) -> bool:
        """Whether nothing of it was taken before; takes it."""
        at = bisect_right(self._starts, start)
        free = (at == 0 or self._ends[at - 1] <= start) and (at == len(self._starts) or end <= self._starts[at])
        if free:
            self._starts.insert(at, start)
            self._ends.insert(at, end)
        return free

    @property
    def count(self) -> int:
        """How many entries have taken one."""
        return len(self._starts)

    def gaps(self, stop: int) -> Iterator[tuple[int, int]]:
        """What is not taken of the bytes before ``stop``."""
        return zip([0, *self._ends], [*self._starts, stop], strict=True)
