"""PE files with signatures of our own in their certificate tables."""

import hashlib
import struct

from asn1crypto import core
from signed_cms import Signing, anchors
from signed_macho import make_slice, patch

from binsafe.model import Signature
from binsafe.signatures import verify

INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"


PE_IMAGE = "1.3.6.1.4.1.311.2.1.15"


SHA256_IDENTIFIER = "2.16.840.1.101.3.4.2.1"


SIGNING = Signing(marker=None, authority_marker=None)


class _Identifier(core.Sequence):
    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]  # noqa: RUF012 - asn1crypto's way


class _DigestInfo(core.Sequence):
    _fields = [("identifier", _Identifier), ("digest", core.OctetString)]  # noqa: RUF012 - as above


class _IndirectData(core.Sequence):
    _fields = [("data", _Identifier), ("digest", _DigestInfo)]  # noqa: RUF012 - as above


def optional_header(data: bytes) -> int:
    return struct.unpack_from("<I", data, 0x3C)[0] + 24


def directory_at(data: bytes) -> int:
    at = optional_header(data)
    return at + {0x10B: 96, 0x20B: 112}[struct.unpack_from("<H", data, at)[0]] + 8 * 4


def file_digest(data: bytes) -> bytes:
    """The digest of a file that has no table yet."""
    checksum, directory = optional_header(data) + 64, directory_at(data)
    return hashlib.sha256(data[:checksum] + data[checksum + 4 : directory] + data[directory + 8 :]).digest()


def pkcs7(
    digest: bytes,
    *,
    hashed: bytes | None = None,
    signing: Signing = SIGNING,
    content_type: str = INDIRECT_DATA,
    subject: str = PE_IMAGE,
    algorithm: str = SHA256_IDENTIFIER,
) -> bytes:
    content = _IndirectData(
        {
            "data": {"algorithm": subject},
            "digest": {"identifier": {"algorithm": algorithm, "parameters": core.Null()}, "digest": digest},
        },
        explicit=0,
    )
    content.dump()
    return signing.sign(core.Any(content), content_type, content.contents if hashed is None else hashed)


def entry(content: bytes, *, kind: int = 2, revision: int = 0x200, length: int | None = None) -> bytes:
    size = 8 + len(content) if length is None else length
    return (struct.pack("<IHH", size, revision, kind) + content).ljust(-(-(8 + len(content)) // 8) * 8, b"\0")


def attach(data: bytes, table: bytes) -> bytes:
    return patch(data, directory_at(data), struct.pack("<II", len(data), len(table))) + table


def check(data: bytes) -> Signature:
    return verify(
        make_slice("pe", data, struct.unpack_from("<II", data, directory_at(data))), anchors("microsoft-root")
    )
