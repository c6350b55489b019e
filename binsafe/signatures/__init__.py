"""Code signatures: Slice -> Signature. What a signature claims to be, and how much of that really holds.

    verify(slice)
      mach-o   macho          superblob      the container: blobs by slot
                              codedirectory  page hashes, special slots, cdhash
                              entitlements   DER first, XML beside it
                              cms            who signed (asn1crypto)
      pe       authenticode   certificate table, digest, cms
      elf      nothing: ELF has no signature that its loader knows

Pure, and safe on any bytes: a structure that cannot be read is a problem inside the Signature, never an exception, and
the work is bounded by the slice's own size.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from binsafe.model import Signature, Slice
from binsafe.signatures import authenticode, macho

__all__ = ["VERIFIERS", "verify"]


def _unsigned(_: Slice) -> Signature:
    return Signature(kind="none", status="absent")


VERIFIERS: Mapping[str, Callable[[Slice], Signature]] = MappingProxyType(
    {"mach-o": macho.verify, "pe": authenticode.verify, "elf": _unsigned}
)


def verify(slice_: Slice) -> Signature:
    """The signature of one slice; ``kind`` is its claim, ``status`` is "valid" only where nothing is left unchecked.

    "valid" on a linker-made or ad-hoc signature proves that the bytes are the ones that were signed, and nothing about
    who signed them. ``unverified`` names what is sealed and could not be checked; then the status is "unknown".
    """
    return VERIFIERS[slice_.format](slice_)
