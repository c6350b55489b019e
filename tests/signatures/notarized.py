"""Makes notarization tickets under a root of our own, laid out as Apple's are."""

import struct
from dataclasses import dataclass

from asn1crypto import core
from signed_cms import EXAMPLE_CA, ROOT, SIGNED_AT, STAMPER, _sign, _wrap, certificate

MARKER = "1.2.840.113635.100.6.1.30"
_LONGEST = 72
"""Bytes of the longest signature that the curve P-256 makes."""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A ticket for some code; the defaults make a good one."""

    marker: str | None = MARKER
    root: tuple[str, str] = ROOT
    seconds: int = int(SIGNED_AT.timestamp())
    padding: bytes | None = None
    """What stands behind the signature; None for zeros up to a length that all have."""

    def __call__(self, *cdhashes: str) -> bytes:
        leaf = certificate(STAMPER, EXAMPLE_CA, marker=self.marker)
        bag = _wrap(core.Sequence.tag | 0x20, leaf + certificate(EXAMPLE_CA, self.root, authority=True))
        hashes = b"".join(b"\x02" + bytes.fromhex(one) for one in cdhashes)
        listed = struct.pack("<4sHHIIQ", b"g8tk", 2, 20, len(cdhashes), 0, self.seconds) + hashes
        stated = struct.pack("<4sIII", b"s8ch", 1, len(bag), len(listed)) + bag + listed
        signature = _sign(STAMPER[0], stated, "sha256")
        return stated + (signature.ljust(_LONGEST, b"\0") if self.padding is None else signature + self.padding)
