"""Extended attributes that macOS puts into a file beside a file where the archive has no place for them.

``folder/name`` has them in ``folder/._name`` (tar) or ``__MACOSX/folder/._name`` (zip). RFC 1740, appendix B, says how
such a file is divided; xnu's ``bsd/vfs/vfs_xattr.c`` how the attributes lie in its entry 9.
"""

import struct
from typing import NamedTuple

from binsafe.containers.attributes import describe
from binsafe.containers.quarantine import parse
from binsafe.model.report import QUARANTINE

MAGIC = b"\x00\x05\x16\x07"
_ON_ALL = (b"com.apple.provenance", b"com.apple.lastused")
"""How attributes begin that macOS puts on files of its own accord."""
_FINDER_INFO = 9
_MAX_ATTRIBUTES = 256
_ATTRIBUTES_AT = 34
"""Bytes of Finder information and padding before the attributes."""


def described(name: str) -> str | None:
    """The file that an AppleDouble file called ``name`` describes; None where that is no name of one."""
    folder, _, last = name.rpartition("/")
    if not last.startswith("._") or last == "._":
        return None
    inside = folder.removeprefix("__MACOSX").lstrip("/") if folder.split("/", 1)[0] == "__MACOSX" else folder
    return f"{inside}/{last[2:]}" if inside else last[2:]


class Noted(NamedTuple):
    """What is noted of a file: its quarantine mark, and what else; None where there is nothing."""

    quarantine: dict[str, str] | None
    attributes: dict[str, str] | None


def noted(data: bytes) -> Noted:
    """The attributes in an AppleDouble file; ``unknown`` says why they cannot be told."""
    try:
        found = _attributes(data)
    except struct.error:
        damaged = {"unknown": "the file that holds it is damaged"}
        return Noted(damaged, damaged)
    mark = found.pop(QUARANTINE.encode(), None)
    others = {name.decode("utf-8", "replace"): value for name, value in found.items() if not name.startswith(_ON_ALL)}
    said = {name: describe(name, value) for name, value in others.items()}
    return Noted(None if mark is None else parse(mark), said or None)


def _attributes(data: bytes) -> dict[bytes, bytes]:
    if data[:4] != MAGIC:
        return {}
    (count,) = struct.unpack_from(">H", data, 24)
    for number in range(min(count, 16)):
        identifier, offset, _ = struct.unpack_from(">3L", data, 26 + 12 * number)
        if identifier == _FINDER_INFO:
            return _entries(data, offset + _ATTRIBUTES_AT)
    return {}


def _entries(data: bytes, at: int) -> dict[bytes, bytes]:
    """``attr_header`` and the ``attr_entry`` list behind it; offsets count from the start of the file."""
    found: dict[bytes, bytes] = {}
    if data[at : at + 4] != b"ATTR":
        return found
    (count,) = struct.unpack_from(">H", data, at + 34)
    at += 36
    for _ in range(min(count, _MAX_ATTRIBUTES)):
        offset, length, _, size = struct.unpack_from(">2LHB", data, at)
        found[data[at + 11 : at + 11 + size].rstrip(b"\0")] = data[offset : offset + length]
        at += (11 + size + 3) & ~3
    return found
