"""Who signed a Mach-O: what its CMS blob claims, or what it means that there is none.

The CMS signature itself and the certificates' own signatures are not checked here, so none of it makes a signature
valid: ``unverified`` says so. What costs only a hash is checked: whether the CMS structure is about this CodeDirectory.
"""

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from binsafe.model import Problem, Signer
from binsafe.signatures.codedirectory import CodeDirectory
from binsafe.signatures.structure import StructureError
from binsafe.signatures.superblob import Slot, SuperBlob

if TYPE_CHECKING:
    from binsafe.signatures.cms import SignedMessage

Kind = Literal["linker", "adhoc", "developer-id", "apple", "other"]

DEVELOPER_ID_APPLICATION: Final = "1.2.840.113635.100.6.1.13"
"""Extension that marks a Developer ID Application certificate (Apple, Developer ID certification practices)."""

APPLE_INTERMEDIATE: Final = ("Apple Code Signing Certification Authority", "Apple Inc.")
"""Who issues the certificates of Apple's own software: what the requirement ``anchor apple`` looks for."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a Signature that is about people, under the same names."""

    kind: Kind
    signers: tuple[Signer, ...] = ()
    chain: Literal["unknown"] | None = None
    signed_at: str | None = None
    timestamped: bool | None = None
    notarization: Literal["unknown", "none"] = "none"
    problems: tuple[Problem, ...] = ()
    unverified: tuple[str, ...] = ()


def identify(signature: SuperBlob, primary: CodeDirectory) -> Identity:
    """Tell the kinds of signature apart; the primary CodeDirectory is the one that CMS signs."""
    payload = signature.payload(Slot.SIGNATURE)
    if not payload:
        return _nobody(primary)
    try:
        return _somebody(payload, primary)
    except StructureError as error:
        return Identity(kind="other", chain="unknown", notarization="unknown", problems=(error.problem,))


def _nobody(directory: CodeDirectory) -> Identity:
    """A signature without CMS: codesign writes an empty blob, linkers write none."""
    flags = directory.flag_names
    if "adhoc" not in flags:
        detail = "the CodeDirectory is not marked ad hoc, yet no CMS structure signs it"
        return Identity(kind="adhoc", problems=(Problem(id="codedirectory", detail=detail),))
    return Identity(kind="linker" if "linker-signed" in flags else "adhoc")


def _somebody(payload: memoryview, directory: CodeDirectory) -> Identity:
    # asn1crypto costs 0.04 s to import: only files with a CMS structure pay for it.
    from binsafe.signatures import cms  # noqa: PLC0415

    message = cms.read(payload)
    problems = []
    if "adhoc" in directory.flag_names:
        problems.append(Problem(id="codedirectory", detail="marked ad hoc, yet a CMS structure signs it"))
    if message.digest(directory.data) != message.message_digest:
        detail = "the CMS structure signs another CodeDirectory: this one or the digest was changed"
        problems.append(Problem(id="cms-digest", detail=detail))
    return Identity(
        kind=_kind(message),
        signers=tuple(certificate.subject for certificate in message.chain),
        chain="unknown",
        signed_at=message.signed_at,
        timestamped=message.timestamped,
        notarization="unknown",
        problems=tuple(problems),
        unverified=("the CMS signature and its certificates",),
    )


def _kind(message: "SignedMessage") -> Kind:
    if any(DEVELOPER_ID_APPLICATION in certificate.extensions for certificate in message.chain[:1]):
        return "developer-id"
    issuers = {(one.subject.common_name, one.subject.organization) for one in message.chain[1:2]}
    return "apple" if APPLE_INTERMEDIATE in issuers else "other"
