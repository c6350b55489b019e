"""Who signed a Mach-O: what its CMS structure proves, or what it means that there is none.

Apple's markers are extensions of its certificates (Apple, "Developer ID Certification Practice Statement"; TN3127
"Inside Code Signing: Requirements"): the leaf says what it is for, its issuer which kind of leaf it issues.
"""

import plistlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from binsafe.model import Problem, Signer
from binsafe.signatures import der
from binsafe.signatures.codedirectory import CodeDirectory
from binsafe.signatures.structure import StructureError
from binsafe.signatures.superblob import Slot, SuperBlob

if TYPE_CHECKING:
    from binsafe.signatures.anchors import Anchors
    from binsafe.signatures.cms import SignedMessage, SignerInfo
    from binsafe.signatures.signers import Chain, Signed

Kind = Literal["linker", "adhoc", "developer-id", "apple", "other"]

APPLE_EXTENSIONS: Final = "1.2.840.113635.100.6."
"""How identifiers of Apple's own extensions begin: markers of what a certificate is for."""
DEVELOPER_ID: Final = "developer-id-application"
APPLE_SOFTWARE: Final = "apple-software"

CERTIFICATE_TYPES: Final[Mapping[str, str]] = {
    APPLE_EXTENSIONS + "1.13": DEVELOPER_ID,
    APPLE_EXTENSIONS + "1.14": "developer-id-installer",
    APPLE_EXTENSIONS + "1.9": "mac-app-store",
    APPLE_EXTENSIONS + "1.3": "ios-app-store",
    APPLE_EXTENSIONS + "1.7": "mac-app-distribution",
    APPLE_EXTENSIONS + "1.4": "ios-app-distribution",
    APPLE_EXTENSIONS + "1.12": "mac-development",
    APPLE_EXTENSIONS + "1.2": "ios-development",
}
"""Extension of the leaf -> what Apple issued the certificate for; the first that is there counts."""

_DEVELOPER_ID_AUTHORITY: Final = APPLE_EXTENSIONS + "2.6"
_OF_TEAMS: Final = frozenset(
    {DEVELOPER_ID, "mac-app-distribution", "ios-app-distribution", "mac-development", "ios-development"}
)
"""Types of certificates that name the team in their organizational unit; Apple signs its shops' programs itself."""

_APPLE_INTERMEDIATE: Final = ("Apple Code Signing Certification Authority", "Apple Inc.")
"""Who issues the certificates of Apple's own software: what the requirement ``anchor apple`` looks for."""

_HASHES_PLIST: Final = "1.2.840.113635.100.9.1"
_HASHES: Final = "1.2.840.113635.100.9.2"
"""Signed attributes that list all CodeDirectories: a property list of cut hashes, and full hashes by algorithm."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a Signature that is about people, under the same names; ``notes`` are problems that break nothing."""

    kind: Kind
    certificate_type: str | None = None
    signers: tuple[Signer, ...] = ()
    chain: "Chain | None" = None
    signed_at: str | None = None
    timestamped: bool | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    unverified: tuple[str, ...] = ()


def identify(signature: SuperBlob, directories: tuple[CodeDirectory, ...], anchors: "Anchors | None") -> Identity:
    """Tell the kinds of signature apart, and verify who signed; CMS signs the primary directory, the first one.

    ``anchors`` None means the roots that are pinned.
    """
    payload = signature.payload(Slot.SIGNATURE)
    if not payload:
        return _nobody(directories[0])
    try:
        return _somebody(payload, directories, anchors)
    except StructureError as error:
        return Identity(kind="other", chain="unknown", problems=(error.problem,))


def _nobody(directory: CodeDirectory) -> Identity:
    """A signature without CMS: codesign writes an empty blob, linkers write none."""
    flags = directory.flag_names
    if "adhoc" not in flags:
        detail = "the CodeDirectory is not marked ad hoc, yet no CMS structure signs it"
        return Identity(kind="adhoc", problems=(Problem(id="codedirectory", detail=detail),))
    notes: tuple[Problem, ...] = ()
    if directory.team_id is not None:
        detail = f"it names the team {directory.team_id!r}, and no certificate stands behind it"
        notes = (Problem(id="team-differs", detail=detail),)
    return Identity(kind="linker" if "linker-signed" in flags else "adhoc", notes=notes)


def _somebody(
    payload: memoryview,
    directories: tuple[CodeDirectory, ...],
    anchors: "Anchors | None",
) -> Identity:
    # asn1crypto and cryptography cost 0.1 s to import: only files with a CMS structure pay for them.
    from binsafe.signatures import certificates, cms, signers, timestamps
    from binsafe.signatures.anchors import pinned

    message = cms.read(payload, most=cms.MAX_APPLE_BYTES)
    primary = directories[0]
    signed = signers.verify(message, primary.data, anchors or pinned(), attributes=frozenset(timestamps.KINDS))
    leaf_markers = certificates.markers(signed.path[0]) if signed.path else frozenset()
    type_ = next((name for marker, name in CERTIFICATE_TYPES.items() if marker in leaf_markers), None)
    if type_ is None and len(signed.path) > 1 and _names(certificates.describe(signed.path[1])) == _APPLE_INTERMEDIATE:
        type_ = APPLE_SOFTWARE
    problems = [*signed.outcome.problems, *_listed(message.signer, directories), *_claim(type_, signed)]
    problems += _team(primary.team_id, type_, signed)
    if "adhoc" in primary.flag_names:
        problems.append(Problem(id="codedirectory", detail="marked ad hoc, yet a CMS structure signs it"))
    unverified = signed.outcome.unverified
    if type_ is None and signed.chain == "apple-root":
        unverified += ("what Apple issued its certificate for, which is not known here",)
    if not signed.timestamped and (type_ != APPLE_SOFTWARE or signed.time is None):
        unverified += ("the time of signing, which no time stamp confirms",)
    if signed.chain in {"microsoft-root", "public-root"}:
        root = certificates.common_name(signed.path[-1].subject)
        unverified += (f"its certificates, which lead to {root!r}, where macOS believes Apple's",)
    kinds: dict[str | None, Kind] = {DEVELOPER_ID: "developer-id", APPLE_SOFTWARE: "apple"}
    return Identity(
        kind=kinds.get(type_, "other"),
        certificate_type=type_,
        signers=signed.signers,
        chain=signed.chain,
        signed_at=signed.signed_at,
        timestamped=signed.timestamped,
        problems=tuple(problems),
        notes=tuple(_uncovered(what) for what in (*signed.strange, *_enclosed(message))),
        unverified=unverified,
    )


def _enclosed(message: "SignedMessage") -> Iterator[str]:
    """What Apple's CMS structures leave out, because the CodeDirectory is what they sign."""
    if message.content is not None:
        yield f"content of its own, {len(message.content):,} bytes"


def _uncovered(what: str) -> Problem:
    return Problem(id="uncovered-bytes", detail=f"the CMS structure, which no hash covers, holds {what}")


def _names(signer: Signer) -> tuple[str | None, str | None]:
    return signer.common_name, signer.organization


def _claim(certificate_type: str | None, signed: "Signed") -> Iterator[Problem]:
    """A certificate that bears Apple's marks must be Apple's: anybody can write them into one of his own."""
    from binsafe.signatures import certificates

    if certificate_type is None or any(problem.id == "cms-chain" for problem in signed.outcome.problems):
        return
    if signed.chain != "apple-root" and signed.missing is not None:
        return  # whoever issued it is not here to be asked: not known, and not wrong
    if signed.chain != "apple-root":
        detail = f"the certificate says that Apple issued it ({certificate_type}), and it does not lead to Apple's root"
        yield Problem(id="cms-chain", detail=detail)
    elif certificate_type == DEVELOPER_ID and not any(
        _DEVELOPER_ID_AUTHORITY in certificates.markers(issuer) for issuer in signed.path[1:2]
    ):
        yield Problem(id="cms-chain", detail="the authority that issued the certificate is not that of Developer ID")


def _team(team_id: str | None, certificate_type: str | None, signed: "Signed") -> Iterator[Problem]:
    """The team that a CodeDirectory names is its signer's own word: the certificate has Apple's."""
    from binsafe.signatures import certificates

    of_a_team = certificate_type in _OF_TEAMS or (certificate_type is None and signed.chain == "apple-root")
    if team_id is None or not of_a_team:
        return
    teams = certificates.units(signed.path[0])
    if team_id not in teams:
        detail = f"it names the team {team_id!r}, and the certificate is one of {', '.join(map(repr, teams)) or 'none'}"
        yield Problem(id="team-differs", detail=detail)


def _listed(signer: "SignerInfo", directories: tuple[CodeDirectory, ...]) -> Iterator[Problem]:
    """Compare the signed lists of CodeDirectories with those that are here.

    CMS itself signs the first directory only: the lists are what binds the alternates, one of which the kernel uses.
    """
    short = _short_hashes(signer.signed[_HASHES_PLIST]) if _HASHES_PLIST in signer.signed else None
    full = _full_hashes(signer.signed[_HASHES]) if _HASHES in signer.signed else None
    if short is None and full is None and len(directories) > 1:
        yield _unlisted("the CMS structure signs one of several CodeDirectories and lists none of the others")
    here = {directory.cdhash for directory in directories}
    if short is not None and short != here:
        yield _unlisted("the signed list of CodeDirectories is not the one here")
    if full is not None and full != {directory.full_hash for directory in directories}:
        yield _unlisted("the signed list of CodeDirectories by algorithm is not the one here")


def _unlisted(detail: str) -> Problem:
    return Problem(id="cms-digest", detail=detail)


def _short_hashes(values: tuple[bytes, ...]) -> set[str]:
    """``{"cdhashes": [20 bytes, ...]}`` as XML in one octet string."""
    if len(values) != 1:
        raise StructureError(f"the signed list of CodeDirectories has {len(values)} values instead of one")
    text = bytes(der.expect(memoryview(values[0]), der.OCTET_STRING).content)
    try:
        listed = plistlib.loads(text, fmt=plistlib.FMT_XML)["cdhashes"]
        return {bytes(one).hex() for one in listed}
    except Exception as error:  # plistlib lets ExpatError, KeyError, TypeError and more through
        raise StructureError("the signed list of CodeDirectories cannot be read") from error


def _full_hashes(values: tuple[bytes, ...]) -> set[str]:
    """One ``{algorithm, hash}`` for each directory."""
    found = set()
    for value in values:
        match list(der.elements(der.expect(memoryview(value), der.SEQUENCE).content)):
            case [der.Element(tag=der.OBJECT_IDENTIFIER), der.Element(tag=der.OCTET_STRING, content=digest)]:
                found.add(bytes(digest).hex())
            case _:
                raise StructureError("the signed list of CodeDirectories by algorithm cannot be read")
    return found
