"""A PE file's signature: the certificate table, and whether the digest that it signs is this file's.

Microsoft, "Windows Authenticode Portable Executable Signature Format" (2008), and "PE Format", "The Attribute
Certificate Table". The CMS signature and its certificates are not checked here: a right digest leaves the status
"unknown".
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from binsafe.model import Problem, Signature, Slice
from binsafe.signatures import der
from binsafe.signatures.structure import StructureError

MAX_CERTIFICATES: Final = 16
"""Entries of a certificate table; real ones have one, dual-signed files of the past had two."""

_PKCS_SIGNED_DATA = 2
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

_INDIRECT_DATA: Final = "1.3.6.1.4.1.311.2.1.4"
"""``SPC_INDIRECT_DATA_OBJID``: the content type that holds the file's digest."""

_DIGESTS: Final = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
"""Digest algorithms by the content octets of their object identifiers."""


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate table: its first PKCS #7 structure, and what lies in it besides."""

    pkcs7: memoryview
    problems: tuple[Problem, ...]


def verify(slice_: Slice) -> Signature:
    """The signature of a PE file; absent where it has no certificate table."""
    if slice_.signature_range is None or slice_.signature_range[1] == 0:
        return Signature(kind="none", status="absent")
    try:
        return _verify(slice_.data, *slice_.signature_range)
    except StructureError as error:
        problems = (error.problem,)
        return Signature(
            kind="authenticode", status="invalid", problems=problems, chain="unknown", notarization="unknown"
        )


def _verify(data: memoryview, start: int, size: int) -> Signature:
    # asn1crypto costs 0.04 s to import: only signed files pay for it.
    from binsafe.signatures import cms  # noqa: PLC0415

    end = start + size
    if start < 0 or size < 0 or end > len(data):
        detail = f"the certificate table at {start:#x} to {end:#x} is not in the file's {len(data):#x} bytes"
        raise StructureError(detail, problem="truncated")
    table = _read_table(data[start:end])
    message = cms.read(table.pkcs7)
    if message.content_type != _INDIRECT_DATA or message.content is None:
        raise StructureError(f"the PKCS #7 structure signs {message.content_type}, which is not an Authenticode digest")
    broken = []
    if end < len(data):
        broken.append(Problem(id="appended-data", detail=f"{len(data) - end} bytes follow the certificate table"))
    if message.digest(message.content) != message.message_digest:
        broken.append(Problem(id="cms-digest", detail="the PKCS #7 structure signs another Authenticode digest"))
    algorithm, digest = _indirect_data(memoryview(message.content))
    if _file_digest(data, start, end, algorithm) != digest:
        broken.append(Problem(id="authenticode-digest", detail=f"the file's {algorithm} digest is not the signed one"))
    return Signature(
        kind="authenticode",
        status="invalid" if broken else "unknown",
        problems=(*broken, *table.problems),
        unverified=("the PKCS #7 signature and its certificates",),
        hash_types=(algorithm,),
        signers=tuple(certificate.subject for certificate in message.chain),
        signed_at=message.signed_at,
        chain="unknown",
        timestamped=message.timestamped,
        notarization="unknown",
    )


def _read_table(table: memoryview) -> _Table:
    """Read the WIN_CERTIFICATE entries.

    Raises:
        StructureError: lengths that lead outside, too many entries, or no PKCS #7 structure among them.
    """
    structures: list[memoryview] = []
    problems: list[Problem] = []
    for kind, content in _entries(table):
        if kind != _PKCS_SIGNED_DATA:
            problems.append(_hidden(f"a certificate of type {kind:#x}, {len(content)} bytes"))
            continue
        found = der.element(content)
        rest = content[found.size :]
        if len(rest) >= _ALIGNMENT or any(rest):
            problems.append(_hidden(f"{len(rest)} bytes behind the PKCS #7 structure"))
        structures.append(content[: found.size])
    if not structures:
        raise StructureError("the certificate table has no PKCS #7 structure")
    if len(structures) > 1:
        problems.append(_hidden(f"{len(structures) - 1} more PKCS #7 structures, which were not looked at"))
    return _Table(pkcs7=structures[0], problems=tuple(problems))


def _entries(table: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each entry; they start at multiples of 8 bytes."""
    count = 0
    while table:
        count += 1
        if len(table) < _WIN_CERTIFICATE.size or count > MAX_CERTIFICATES:
            raise StructureError("the certificate table does not end with an entry")
        length, revision, kind = _WIN_CERTIFICATE.unpack_from(table)
        if not _WIN_CERTIFICATE.size < length <= len(table) or revision not in _REVISIONS:
            raise StructureError(f"a certificate table entry of {length} bytes and revision {revision:#x}")
        yield kind, table[_WIN_CERTIFICATE.size : length]
        table = table[-(-length // _ALIGNMENT) * _ALIGNMENT :]


def _hidden(what: str) -> Problem:
    return Problem(id="certificate-table-data", detail=f"the certificate table, which no digest covers, holds {what}")


def _indirect_data(content: memoryview) -> tuple[str, bytes]:
    """Algorithm and digest out of SpcIndirectDataContent: {data, messageDigest {{algorithm, ...}, digest}}."""
    match list(der.elements(content)):
        case [der.Element(), der.Element(tag=der.SEQUENCE, content=info)]:
            algorithm, digest = _digest_info(info)
        case _:
            raise StructureError("the Authenticode digest is not where it belongs")
    name = _DIGESTS.get(algorithm)
    if name is None:
        raise StructureError("the Authenticode digest is of a kind that Windows does not use")
    return name, digest


def _digest_info(content: memoryview) -> tuple[bytes, bytes]:
    match list(der.elements(content)):
        case [
            der.Element(tag=der.SEQUENCE, content=identifier),
            der.Element(tag=der.OCTET_STRING, content=digest),
        ]:
            algorithm = der.element(identifier)
            return bytes(algorithm.content) if algorithm.tag == der.OBJECT_IDENTIFIER else b"", bytes(digest)
    raise StructureError("the Authenticode digest is not where it belongs")


def _file_digest(data: memoryview, start: int, end: int, algorithm: str) -> bytes:
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
