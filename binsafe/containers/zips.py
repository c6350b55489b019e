"""Zip archives (PKWARE APPNOTE 6.3.10): what the central directory lists, checked against what stands before the data.

Programs that unpack differ in what they believe where the two disagree, which is how an archive shows one thing to a
scanner and another to its user: such an entry is a Trouble.
"""

import bz2
import lzma
import re
import stat
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Literal

from binsafe.containers.budget import Budget
from binsafe.containers.entries import Entry, Exhausted, Stream, Trouble, Unreadable
from binsafe.containers.setid import set_id
from binsafe.containers.streams import Checked, Decompressed, Decompressor, Plain, inflate, xz, zstandard
from binsafe.containers.zip_directory import END_BYTES, LOCAL, Listed, entries, find_end, has_end, wide

_LOCAL = struct.Struct("<4s5H3L2H")
_FURTHER = re.compile(rb"PK\x03\x04[\x00-\x3f]...[\x00\x08\x0c\x0e\x5d\x5f]\x00", re.DOTALL)
"""An entry, with a version and a method that exist: what is compressed is an archive itself, or holds more."""
_CHUNK = 1 << 20
_ENCRYPTED, _LATER = 0x1, 0x8
"""``_LATER``: checksum and sizes stand behind the data, so that they may be 0 before it."""
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


def read(data: memoryview, budget: Budget) -> Iterator[Entry | Trouble]:
    """The entries in the order of the central directory."""
    try:
        end, comment = find_end(data)
        listed = entries(data, end, budget)
    except Unreadable as error:
        yield Trouble(error.finding, str(error))
        return
    behind = len(data) - end - END_BYTES
    if behind != comment:  # some look for another end then
        detail = f"{behind:,} bytes follow its end, which says that {comment:,} do"
        yield Trouble("appended-data", detail, lost=has_end(data[:end]))
    taken = _Ranges()
    for entry in listed:
        try:
            yield _entry(data, entry, taken, budget)
        except Exhausted as error:
            yield Trouble(error.finding, str(error))
            return
        except Unreadable as error:
            yield Trouble(error.finding, f"{entry.shown!r}: {error}")
    unlisted = sum(1 for start, end in taken.gaps(len(data)) for _ in LOCAL.finditer(data[start:end]))
    if unlisted and taken.count == len(listed):  # else it may be one of those that could not be read
        yield Trouble(
            "archive-entry", f"{unlisted:,} of its entries are not in its central directory, and some unpack them"
        )


def _entry(data: memoryview, listed: Listed, taken: "_Ranges", budget: Budget) -> Entry:
    content = _content(data, listed, taken)
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


def _content(data: memoryview, listed: Listed, taken: "_Ranges") -> memoryview:
    """The packed bytes; the header before them must be this entry's, and no other entry's bytes may be among them."""
    start = listed.start
    if start < 0 or start + _LOCAL.size > len(data) or not LOCAL.match(data, start):
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
    size, packed, _ = wide(bytes(data[begin - extras : begin]), size, packed, 0)
    stated = (crc, listed.crc), (packed, listed.packed), (size, listed.size)
    if any(here != there and not (flags & _LATER and here == 0) for here, there in stated):
        raise Unreadable("it has another size or checksum in the central directory than before its data")
    return data[begin : begin + listed.packed]


def _unpacked(content: memoryview, listed: Listed, budget: Budget) -> Stream:
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
