"""Code signatures: Slice -> Signature. What a signature claims to be, and how much of that really holds.

    verify(slice)
      mach-o   macho          superblob      the container: blobs by slot
                              codedirectory  page hashes, special slots, cdhash
                              entitlements   DER first, XML beside it
                              requirements   in words
                              identity       who signed: signers
               tickets        what Apple says of the code: notarization
      pe       authenticode   certificatetable and digest: signers
      elf      module         kernel modules alone: other ELF has no signature that its loader knows

    bundle, seal              folders that are programs, and the list of hashes of what lies in them
    signers                   a CMS structure with its certificates and its time, verified
      cms                     reads CMS (asn1crypto)
      statements              one signer's statement: about this content, by this key?
      timestamps              RFC 3161 tokens and countersignatures, statements about a signature
      certificates, anchors   the path to a pinned root
      keys                    whose key made a signature (cryptography)
    der, plist, structure     reading DER and property lists strictly; what all readers here share

Pure, and safe on any bytes: a structure that cannot be read is a problem inside the Signature, never an exception, and
the work is bounded by the slice's own size.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from binsafe.model import Signature, Slice
from binsafe.signatures import module
from binsafe.signatures.structure import NOT_IN_THIS_FILE, SLACK, TICKET

if TYPE_CHECKING:
    from binsafe.signatures.anchors import Anchors

__all__ = ["NOT_IN_THIS_FILE", "SLACK", "TICKET", "verify"]


def verify(
    slice_: Slice, anchors: "Anchors | None" = None, components: Mapping[int, memoryview | None] | None = None
) -> Signature:
    """The signature of one slice; ``kind`` is its claim, ``status`` is "valid" only where nothing is left unchecked.

    "valid" on a linker-made or ad-hoc signature proves that the bytes are the ones that were signed, and nothing about
    who signed them. ``unverified`` names what is sealed and could not be checked; then the status is "unknown".
    ``anchors`` are the roots that signers must lead to: None means the pinned ones of Apple and Microsoft.
    ``components`` are the files of a Mach-O's bundle that its signature seals, by special slot: None for one that the
    bundle does not have.
    """
    match slice_.format:
        case "mach-o":
            from binsafe.signatures import macho  # most programs of Linux are looked at without it

            return macho.verify(slice_, anchors, components or {})
        case "pe":
            from binsafe.signatures import authenticode

            return authenticode.verify(slice_, anchors)
        case "elf":
            return module.verify(slice_)
