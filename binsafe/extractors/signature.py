"""Who signed the slice, and what to make of it."""

from collections.abc import Iterator

from binsafe.extractors.subject import Extracted, Subject
from binsafe.model import Finding, Severity, Signature, Slice
from binsafe.signatures import NOT_IN_THIS_FILE, SLACK, TICKET

_NOT_FOR_DELIVERY = frozenset({"mac-development", "ios-development", "mac-app-distribution", "ios-app-distribution"})
_OLD_FORM = "entitlements-xml"
_SLIPS = {_OLD_FORM: Severity.LOW, SLACK: Severity.INFO, TICKET: Severity.LOW}
_TITLES = {
    "page-hash": "The code was changed after it was signed",
    "codedirectory": "The signature's list of hashes is broken",
    "info-plist-hash": "The signed Info.plist is not the one here",
    "requirements-hash": "The signature's requirements were changed",
    "entitlements-hash": "The entitlements were changed after signing",
    _OLD_FORM: "The older form of its entitlements cannot be read",
    "resource-seal": "Files beside the program were changed after signing",
    "cms-digest": "The signer's statement does not match the program",
    "team-differs": "It claims to be by another team than its signer's",
    "cms-chain": "The signer's certificate does not lead to a known root",
    "timestamp": "The time of signing cannot be trusted",
    "appended-data": "There is data behind the signature",
    "uncovered-bytes": "Parts of the file are not covered by the signature",
    TICKET: "Its notarization ticket proves nothing",
    SLACK: "There are leftovers behind the signature",
    "authenticode-digest": "The program was changed after it was signed",
    "certificate-table-data": "There is data hidden in the certificate table",
}


def extract(subject: Subject) -> Extracted[Signature]:
    """The signature as verified, and what a person should know of it."""
    signature = subject.signature
    found = (*_problems(signature), *_absence(signature, subject.slice), *_doubts(signature), *_weak_digest(signature))
    return Extracted(signature, found)


def _problems(signature: Signature) -> Iterator[Finding]:
    """Each problem under its own id: high where it made the signature invalid.

    Entitlements that only macOS 11 and earlier would fail to read are a vendor's slip, and no reason to distrust them;
    nor is what codesign leaves behind a signature, which nothing reads.
    """
    severity = Severity.HIGH if signature.status == "invalid" else Severity.MEDIUM
    for problem in signature.problems:
        title = _TITLES.get(problem.id, "Something is wrong with the signature")
        slip = _SLIPS.get(problem.id) if signature.status != "invalid" else None
        yield Finding(id=problem.id, severity=slip or severity, title=title, detail=problem.detail)
    if signature.status == "invalid" and not signature.problems:
        yield Finding(
            id="signature-invalid", severity=severity, title="The signature does not hold", detail="No reason is known."
        )


def _absence(signature: Signature, slice_: Slice) -> Iterator[Finding]:
    """Missing signatures. ELF has none that its loader knows, and object files and debugging symbols have none."""
    if signature.kind == "none":
        never = slice_.format == "elf" or slice_.kind in {"object", "debug-symbols"}
        severity = Severity.INFO if never else Severity.MEDIUM
        detail = "Nobody vouches for it, and a change to it would not show."
        yield Finding(id="unsigned", severity=severity, title="It is not signed", detail=detail)
    elif signature.kind == "linker":
        yield Finding(
            id="linker-signed",
            severity=Severity.LOW,
            title="It is signed by the linker only",
            detail="The linker did this by itself, and without a certificate: that proves nothing about who made it.",
        )
    elif signature.kind == "adhoc":
        yield Finding(
            id="adhoc-signed",
            severity=Severity.LOW,
            title="It is signed ad hoc",
            detail="The signature has no certificate: it proves nothing about who made the program.",
        )


def _doubts(signature: Signature) -> Iterator[Finding]:
    """Signers without a trusted root: a forged signature must not look better than none."""
    name = signature.signers[0].common_name if signature.signers else None
    says = f"Its certificate says {name!r}, and anybody can make one that says so." if name else "It names nobody."
    if signature.status == "unknown":
        yield _unverified(signature, says)
    elif signature.chain in {"other", "unknown"} and all(problem.id != "cms-chain" for problem in signature.problems):
        title = "No known root vouches for its signer"
        yield Finding(id="signer-unknown", severity=Severity.MEDIUM, title=title, detail=says)
    elif signature.certificate_type in _NOT_FOR_DELIVERY:
        yield Finding(
            id="development-signed",
            severity=Severity.LOW,
            title="It is signed for its developer's own devices, or for submission to Apple's stores",
            detail="Apple gives such a certificate to every developer; macOS does not accept it on software from "
            "elsewhere.",
        )


def _weak_digest(signature: Signature) -> Iterator[Finding]:
    """SHA-1 alone: Windows and macOS still take it, though two files with one digest can be made (SHAttered)."""
    if signature.signers and set(signature.hash_types) == {"sha1"}:
        yield Finding(
            id="weak-digest",
            severity=Severity.LOW,
            title="Its signature rests on SHA-1 alone",
            detail="Whoever made it could have made another program beside it for which the same signature holds.",
        )


def _unverified(signature: Signature, says: str) -> Finding:
    """What could not be checked: only files that are elsewhere, or who signed it."""
    what = "; ".join(signature.unverified) or "no reason is known"
    if signature.unverified and all(one.endswith(NOT_IN_THIS_FILE) for one in signature.unverified):
        return Finding(
            id="signature-unknown",
            severity=Severity.MEDIUM,  # all that is unknown is: they may have been changed, or taken away
            title="Its signature covers files that are not here",
            detail=f"What is here is as it was signed. It belongs to a bundle: inspect that. Not verified: {what}.",
        )
    return Finding(
        id="signature-unknown",
        severity=Severity.MEDIUM,
        title="Who signed it could not be verified",
        detail=f"{says} Not verified: {what}.",
    )
