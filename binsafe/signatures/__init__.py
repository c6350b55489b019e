"""Code signatures: Slice -> Signature. What a signature claims to be, and how much of that really holds.

    verify(slice)
      mach-o   macho          superblob      the container: blobs by slot
                              codedirectory  page hashes, special slots, cdhash
                              entitlements   DER first, XML beside it
                              identity       who signed: signers
      pe       authenticode   certificate table, digest: signers
      elf      nothing: ELF has no signature that its loader knows

    signers                   a CMS structure with its certificates and its time, verified
      cms                     reads CMS (asn1crypto)
      statements              one signer's statement: about this content, by this key?
      timestamps              RFC 3161 tokens and countersignatures, statements about a signature
      certificates, anchors   the path to a pinned root (cryptography)

Pure, and safe on any bytes: a structure that cannot be read is a problem inside the Signature, never an exception, and
the work is bounded by the slice's own size.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from binsafe.model import Signature, Slice
from binsafe.signatures import authenticode, macho

if TYPE_CHECKING:
    from binsafe.signatures.anchors import Anchors

__all__ = ["VERIFIERS", "verify"]


def _unsigned(_: Slice, __: "Anchors | None" = None) -> Signature:
    return Signature(kind="none", status="absent")


VERIFIERS: Mapping[str, "Callable[[Slice, Anchors | None], Signature]"] = MappingProxyType(
    {"mach-o": macho.verify, "pe": authenticode.verify, "elf": _unsigned}
)


def verify(slice_: Slice, anchors: "Anchors | None" = None) -> Signature:
    """The signature of one slice; ``kind`` is its claim, ``status`` is "valid" only where nothing is left unchecked.

    "valid" on a linker-made or ad-hoc signature proves that the bytes are the ones that were signed, and nothing about
    who signed them. ``unverified`` names what is sealed and could not be checked; then the status is "unknown".
    ``anchors`` are the roots that signers must lead to: None means the pinned ones of Apple and Microsoft.
    """
    return VERIFIERS[slice_.format](slice_, anchors)
