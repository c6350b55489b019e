"""Which format the first bytes claim: magic numbers only, no parser."""

import struct
from typing import Literal

from binsafe.limits import MAX_SLICES

Kind = Literal["elf", "mach-o", "pe", "script", "archive", "unknown"]

_COMPRESS = tuple(bytes((0x1F, 0x9D, mode | bits)) for mode in (0, 0x80) for bits in range(9, 17))
"""How files of compress begin: two bytes, then how many bits its codes have at most, and whether it starts anew."""
_MAGICS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x7fELF", "elf"),
    (b"\xfe\xed\xfa\xce", "mach-o"),
    (b"\xfe\xed\xfa\xcf", "mach-o"),
    (b"\xce\xfa\xed\xfe", "mach-o"),
    (b"\xcf\xfa\xed\xfe", "mach-o"),
    (b"MZ", "pe"),
    (b"#!", "script"),
    (b"PK\x03\x04", "archive"),
    (b"PK\x05\x06", "archive"),
    (b"!<arch>\n", "archive"),
    (b"!<thin>\n", "archive"),
    (b"\x1f\x8b", "archive"),
    (b"BZh", "archive"),
    (b"\xfd7zXZ\0", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"xar!", "archive"),
    (b"hsqs", "archive"),
    (b"\xed\xab\xee\xdb", "archive"),
    (b"MSCF", "archive"),
    (b"070701", "archive"),
    (b"070702", "archive"),
    (b"070707", "archive"),
    (b"Rar!\x1a\x07", "archive"),
    (b"LZIP", "archive"),
    (b"\x04\x22\x4d\x18", "archive"),
    *((start, "archive") for start in _COMPRESS),
    (b"MSWIM\0\0\0", "archive"),
)
_UNIVERSAL, _UNIVERSAL_64 = b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"
_SLICE = struct.Struct(">IIIII")
"""Processor, its kind, offset, size and alignment (``fat_arch`` of ``mach-o/fat.h``)."""
_UNIVERSAL_HEADER = 8
_OF_MACS = frozenset({0x7, 0xC, 0x0100_0007, 0x0100_000C})
_MAX_ALIGNMENT = 15
_PAGE = 4096
_TAR_MAGIC = slice(257, 262)
HEAD_BYTES = 4096
"""The page in which the kernel wants the whole header of a universal file: 204 slices."""
_MAX_INTERPRETER = 256
"""What Linux reads of a ``#!`` line (BINPRM_BUF_SIZE in ``linux/binfmts.h``)."""


def identify(head: bytes | memoryview) -> Kind:
    """What the first `HEAD_BYTES` (or fewer, or more) claim to be.

    ``CAFEBABE`` begins universal Mach-O files and Java classes. Behind it stands the number of slices, or the class
    file's version, which is above 44: a number over the limit for slices means a class file, so "unknown", unless there
    are slices that a Mac may run all the same.
    """
    start = bytes(memoryview(head)[:HEAD_BYTES])
    if start.startswith(_UNIVERSAL):
        count = int.from_bytes(start[4:8], "big")
        return "mach-o" if count <= MAX_SLICES or _names_slices(start, count) else "unknown"
    if start.startswith(_UNIVERSAL_64):
        return "mach-o"
    for magic, kind in _MAGICS:
        if start.startswith(magic):
            return kind
    return "archive" if start[_TAR_MAGIC] == b"ustar" else "unknown"


def _names_slices(start: bytes, count: int) -> bool:
    """Whether a header of so many slices has one for a Mac, behind the header and on a page, as what is mapped is."""
    end = _UNIVERSAL_HEADER + count * _SLICE.size
    listed = start[_UNIVERSAL_HEADER:end]
    rows = _SLICE.iter_unpack(listed[: len(listed) - len(listed) % _SLICE.size])
    return any(
        cpu in _OF_MACS and at >= end and not at % _PAGE and align <= _MAX_ALIGNMENT for cpu, _, at, _, align in rows
    )


def interpreter(head: bytes | memoryview) -> str:
    """The program that a script's first line names, empty where it names none; never a control character."""
    line = bytes(memoryview(head)[2:_MAX_INTERPRETER]).split(b"\n", 1)[0]
    words = line.decode("utf-8", "replace").split()
    # env(1) is not what the author meant to name: options and assignments may stand between it and the program.
    if words and words[0].endswith("/env"):
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word] or words
    return "".join(character for character in (words[0] if words else "") if character.isprintable())
