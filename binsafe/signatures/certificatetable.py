"""Where a PE file keeps its signatures, and the digest that they sign.

Microsoft, "Windows Authenticode Portable Executable Signature Format" (2008), and "PE Format", "The Attribute
Certificate Table".
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from binsafe.model import Problem
from binsafe.signatures import der
from binsafe.signatures.structure import StructureError

MAX_CERTIFICATES: Final = 16
"""Entries of a certificate table; real ones have one, those for old and new firmware (shim) and of the past two."""

_PKCS_SIGNED_DATA, _PADDING = 2, -1
_REVISIONS = frozenset({0x0100, 0x0200})
_ALIGNMENT = 8
_WIN_CERTIFICATE = struct.Struct("<IHH")

_PE_SIGNATURE = b"PE\0\0"
_NEW_HEADER_AT = 0x3C
_OPTIONAL_HEADER_AT = 24
_CHECKSUM_AT = 64
_SECURITY_DIRECTORY = 4
_DIRECTORIES_AT = {0x10B: 96, 0x20B: 112}
"""Offset of the data directories in the optional header, by its magic: PE32 and PE32+."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate table: its PKCS #7 structures, one at least, and what lies in it besides."""

    pkcs7: tuple[memoryview, ...]
    problems: tuple[Problem, ...]


def read(table: memoryview) -> Table:
    """Read the WIN_CERTIFICATE entries.

    Raises:
        StructureError: lengths that lead outside, too many entries, or no PKCS #7 structure among them.
    """
    structures: list[memoryview] = []
    problems: list[Problem] = []
    for kind, content in _entries(table):
        if kind == _PADDING:
            problems.append(hidden(f"{len(content)} bytes of padding that are not 0"))
            continue
        if kind != _PKCS_SIGNED_DATA:
            problems.append(hidden(f"a certificate of type {kind:#x}, {len(content)} bytes"))
            continue
        found = der.element(content)
        rest = content[found.size :]
        if len(rest) >= _ALIGNMENT or any(rest):
            problems.append(hidden(f"{len(rest)} bytes behind the PKCS #7 structure"))
        structures.append(content[: found.size])
    if not structures:
        raise StructureError("the certificate table has no PKCS #7 structure")
    return Table(pkcs7=tuple(structures), problems=tuple(problems))


def _entries(table: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each entry; they start at multiples of 8 bytes, and what is before that is padding."""
    count = 0
    while table:
        count += 1
        if len(table) < _WIN_CERTIFICATE.size or count > MAX_CERTIFICATES:
            raise StructureError("the certificate table does not end with an entry")
        length, revision, kind = _WIN_CERTIFICATE.unpack_from(table)
        if not _WIN_CERTIFICATE.size < length <= len(table) or revision not in _REVISIONS:
            raise StructureError(f"a certificate table entry of {length} bytes and revision {revision:#x}")
        yield kind, table[_WIN_CERTIFICATE.size : length]
        end = -(-length // _ALIGNMENT) * _ALIGNMENT
        if any(table[length:end]):
            yield _PADDING, table[length:end]
        table = table[end:]


def hidden(what: str) -> Problem:
    """The problem of something in the table that does not belong there."""
    return Problem(id="certificate-table-data", detail=f"the certificate table, which no digest covers, holds {what}")


def file_digest(data: memoryview, start: int, end: int, algorithm: str) -> bytes:
    """The hash of the file without its checksum, without the table's directory entry and without the table.

    Everything else counts, from first to last byte: gaps between sections too, as Windows does it.
    """
    checksum, directory = _unhashed(data)
    digest = hashlib.new(algorithm, usedforsecurity=False)
    if not directory + 8 <= start <= end:
        raise StructureError("the certificate table lies in the headers")
    for first, last in ((0, checksum), (checksum + 4, directory), (directory + 8, start), (end, len(data))):
        digest.update(data[first:last])
    return digest.digest()


def _unhashed(data: memoryview) -> tuple[int, int]:
    """Where the checksum and the certificate table's directory entry are."""
    try:
        (new_header,) = struct.unpack_from("<I", data, _NEW_HEADER_AT)
        optional = new_header + _OPTIONAL_HEADER_AT
        (magic,) = struct.unpack_from("<H", data, optional)
        directories = optional + _DIRECTORIES_AT[magic]
        (count,) = struct.unpack_from("<I", data, directories - 4)
    except (struct.error, KeyError) as error:
        raise StructureError("the PE headers cannot be read") from error
    directory = directories + 8 * _SECURITY_DIRECTORY
    if data[new_header : new_header + 4] != _PE_SIGNATURE or count <= _SECURITY_DIRECTORY or directory + 8 > len(data):
        raise StructureError("the PE headers have no place for a certificate table")
    return optional + _CHECKSUM_AT, directory
