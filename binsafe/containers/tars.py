"""Tar archives: ustar, pax and GNU's long names (POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual)."""

import re
from collections.abc import Iterator
from typing import Literal

from binsafe.containers.budget import Budget
from binsafe.containers.entries import Entry, Exhausted, Stream, Trouble, Unreadable
from binsafe.containers.names import leads_outside
from binsafe.containers.setid import set_id
from binsafe.containers.streams import Limited

BLOCK = 512
_CHUNK = 64 * 1024
_CHECKSUM = slice(148, 156)
_MAX_HEADER = 1 << 20
"""Bytes of a pax header or a long name."""
_HARD_LINK = b"1"
_KINDS: dict[bytes, Literal["file", "folder", "link", "other"]] = {
    _HARD_LINK: "link",
    b"2": "link",
    b"3": "other",
    b"4": "other",
    b"5": "folder",
    b"6": "other",
}
"""All others are files: so POSIX wants what is not known to be taken, and tar and Python do."""
_LONG = {b"L": "path", b"K": "linkpath"}
"""GNU's headers for long names, and what pax calls those."""
_EXTENSIONS = frozenset(b"xgLKX")
"""Headers that say something of the entry behind them, or of all (``g``); ``X`` is Solaris's name for ``x``."""
_OF_ALL = re.compile(r"path|linkpath|size|GNU\.sparse")
"""What no header should say of all entries: some who unpack obey it, others do not."""
_BASE_256 = 0x80
_DIGITS = 21
"""Those of a number of 64 bits, and the blank behind it."""
_MAX_NAME = 64
"""Characters shown of a user's name."""


def is_header(block: bytes) -> bool:
    """Whether a block is a header: its checksum is right. Says so of no block of zeros."""
    if len(block) < BLOCK:
        return False
    given = _octal(block[_CHECKSUM])
    plain = block[:148] + b" " * 8 + block[156:BLOCK]
    signed = sum(byte - 256 if byte > 127 else byte for byte in plain)  # some old tars added so
    return given is not None and given > 256 and given in (sum(plain), signed)  # blanks alone have 256


def read(stream: Stream, budget: Budget) -> Iterator[Entry | Trouble]:
    """The entries; one that is damaged ends the archive, because nothing says where the next one begins."""
    try:
        yield from _entries(stream, budget)
    except Unreadable as error:
        yield Trouble(error.finding, str(error))


def _entries(stream: Stream, budget: Budget) -> Iterator[Entry | Trouble]:
    extended: dict[str, str] = {}
    while True:
        block = stream.read(BLOCK)
        if not block.strip(b"\0"):  # two blocks of zeros, or one, or simply the end
            yield from _behind(stream)
            return
        if not is_header(block):
            raise Unreadable("a header of an entry is damaged")
        budget.enter()
        flag = block[156:157]
        extends = block[156] in _EXTENSIONS
        stated = None if extends else extended.get("size")  # it is about the entry, not about a header before that
        size = _size(block[124:136]) if stated is None else _decimal(stated)
        content = Limited(stream, size)
        if extends:
            _extend(extended, flag, content)
        else:
            yield from _entry(block, flag, extended, content)
            extended = {}
        content.skip()
        stream.read(-size % BLOCK)


def _behind(stream: Stream) -> Iterator[Trouble]:
    """What follows the end: archives were joined so, and ``tar --ignore-zeros`` goes on with what it finds."""
    while rest := stream.read(_CHUNK):
        if rest.strip(b"\0"):
            yield Trouble("appended-data", "something follows the end of its entries, and some look for further ones")
            return


def _entry(block: bytes, flag: bytes, extended: dict[str, str], content: Limited) -> Iterator[Entry | Trouble]:
    prefix = _text(block[345:500]) if block[257:262] == b"ustar" and block[263:265] == b"00" else ""
    name = extended.get("path") or "/".join(part for part in (prefix, _text(block[:100])) if part)
    old_folder = flag in b"0\0" and name.endswith("/")  # as tars from before ustar wrote it
    kind = _KINDS.get(flag, "folder" if old_folder else "file")
    if kind != "file" and content.left:  # some skip what it says that it has, others read entries there
        raise Unreadable(f"{name!r} has a size and is no file: where the next entry begins is up to who unpacks")
    if flag == b"S" or any(key.startswith("GNU.sparse") for key in extended):
        yield Trouble("archive-damaged", f"{name!r} is stored as a sparse file, which is not read here")
    elif kind == "link":
        target = extended.get("linkpath") or _text(block[157:257])
        if flag == _HARD_LINK and leads_outside(target):  # of a symbolic link only what is written through it counts
            yield Trouble("archive-entry", f"{name!r} would be a file outside of the folder: {target!r}", lost=False)
        yield Entry(name, kind, target=target)
    else:
        yield Entry(name, kind, content if kind == "file" else None, set_id=_set_id(block, extended))


def _set_id(block: bytes, extended: dict[str, str]) -> str | None:
    """As whom it would run, by what tar's own user (root) would unpack: names come before numbers (GNU tar, pax)."""
    ids = ("uname", block[265:297], "uid", block[108:116]), ("gname", block[297:329], "gid", block[116:124])
    user, group = (
        (extended.get(name) or _text(stored) or extended.get(number) or str(_octal(digits)))[:_MAX_NAME]
        for name, stored, number, digits in ids
    )
    return set_id(_octal(block[100:108]) or 0, user, group)


def _extend(extended: dict[str, str], flag: bytes, content: Limited) -> None:
    """Note what a header says of the entry behind it.

    Raises:
        Unreadable: it is damaged, or says something of all entries that is about one.
    """
    if content.left > _MAX_HEADER:
        raise Exhausted("a header of an entry is far too long")
    data = content.read(content.left)
    said: dict[str, str] = {}
    if flag in _LONG:
        said = {_LONG[flag]: _text(data)}
    elif flag == b"g":
        if of_all := next((key for key, _ in _records(data) if _OF_ALL.match(key)), None):
            raise Unreadable(f"a header gives all entries one {of_all}: whether that counts is up to who unpacks")
    else:
        said = dict(_records(data))
    for key in _LONG.values():
        if key in said and extended.get(key, said[key]) != said[key]:
            raise Unreadable("two headers name an entry: which one counts is up to who unpacks")
    extended.update(said)


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    """``length key=value`` lines, the length counting all of the line."""
    at, end = 0, len(data.rstrip(b"\0"))
    while at < end:
        digits = data[at : at + _DIGITS].split(b" ", 1)[0]
        behind = at + _decimal(digits.decode("ascii", "replace"))
        line = data[at + len(digits) + 1 : behind]
        if behind <= at + len(digits) or len(data) < behind or not line.endswith(b"\n"):
            raise Unreadable("a pax header is damaged")
        key, _, value = line[:-1].partition(b"=")
        yield key.decode("utf-8", "replace"), value.decode("utf-8", "replace")
        at = behind


def _size(field: bytes) -> int:
    """Octal, or with its first bit set binary (GNU)."""
    size = int.from_bytes(field[1:], "big") if field[0] & _BASE_256 else _octal(field)
    if size is None:
        raise Unreadable("the size of an entry is no number")
    return size


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else 0 if not digits else None


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) >= _DIGITS:
        raise Unreadable("a pax header is damaged")
    return int(text)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")
