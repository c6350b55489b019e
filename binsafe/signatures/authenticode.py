"""A PE file's signature: whether the digest that it signs is this file's, who signed it, and when.

Microsoft, "Windows Authenticode Portable Executable Signature Format" (2008).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from binsafe.model import Problem, Segment, Signature, Slice
from binsafe.signatures import certificatetable, der
from binsafe.signatures.structure import Outcome, StructureError

if TYPE_CHECKING:
    from binsafe.signatures.anchors import Anchors
    from binsafe.signatures.cms import SignedMessage
    from binsafe.signatures.signers import Signed

MAX_FURTHER: Final = 8
"""Signatures beside the first one that are looked at; dual-signed files have one."""

_INDIRECT_DATA: Final = "1.3.6.1.4.1.311.2.1.4"
"""``SPC_INDIRECT_DATA_OBJID``: the content type that holds the file's digest."""

_NESTED: Final = "1.3.6.1.4.1.311.2.4.1"
"""``szOID_NESTED_SIGNATURE``: unsigned attribute with more signatures, whole PKCS #7 structures."""

_PE_IMAGES: Final = frozenset({bytes.fromhex("2b06010401823702010f"), bytes.fromhex("2b060104018237020115")})
"""``SPC_PE_IMAGE_DATA_OBJID`` (1.3.6.1.4.1.311.2.1.15), and what pesign has written in its place (21, with the same
content behind it): scripts and installers are hashed in other ways."""

_DIGESTS: Final = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
"""Digest algorithms by the content octets of their object identifiers."""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """A PE file, where its certificate table is, and what the loader maps."""

    data: memoryview
    start: int
    end: int
    segments: tuple[Segment, ...]


class _One(msgspec.Struct, frozen=True, kw_only=True):
    """One signature of a file: who made it, the weaker of what it hashes file and statement with, and what is wrong."""

    signed: "Signed"
    algorithm: str
    outcome: Outcome
    notes: tuple[Problem, ...]


def verify(slice_: Slice, anchors: "Anchors | None" = None) -> Signature:
    """The signature of a PE file; absent where it has no certificate table."""
    if slice_.signature_range is None or slice_.signature_range[1] == 0:
        return Signature(kind="none", status="absent")
    start, size = slice_.signature_range
    try:
        return _verify(_File(data=slice_.data, start=start, end=start + size, segments=slice_.segments), anchors)
    except StructureError as error:
        problems = (error.problem,)
        return Signature(
            kind="authenticode", status="invalid", problems=problems, chain="unknown", notarization="unknown"
        )


def _verify(file: _File, anchors: "Anchors | None") -> Signature:
    # asn1crypto and cryptography cost 0.1 s to import: only signed files pay for them.
    from binsafe.signatures import cms
    from binsafe.signatures.anchors import pinned

    if not 0 <= file.start <= file.end <= len(file.data):
        detail = f"the certificate table, {file.start:#x} to {file.end:#x}, is not in the {len(file.data):#x} bytes"
        raise StructureError(detail, problem="truncated")
    table = certificatetable.read(file.data[file.start : file.end])
    believed = anchors or pinned()
    message = cms.read(table.pkcs7[0])
    first = _one(message, file, believed, known=frozenset({_NESTED}))
    others = [_one(cms.read(each), file, believed) for each in _further(table.pkcs7[1:], message)]
    outcome = first.outcome
    for other in others:
        outcome += Outcome(
            problems=tuple(
                Problem(id=one.id, detail=f"further signature: {one.detail}") for one in other.outcome.problems
            ),
            unverified=tuple(f"further signature: {what}" for what in other.outcome.unverified),
        )
    if file.end < len(file.data):
        appended = Problem(id="appended-data", detail=f"{len(file.data) - file.end} bytes follow the certificate table")
        outcome += Outcome(problems=(appended,))
    outcome += Outcome(problems=tuple(_mapped(file)))
    return Signature(
        kind="authenticode",
        status="invalid" if outcome.problems else "unknown" if outcome.unverified else "valid",
        problems=(*outcome.problems, *table.problems, *(note for one in (first, *others) for note in one.notes)),
        unverified=outcome.unverified,
        hash_types=tuple(one.algorithm for one in (first, *others)),
        signers=first.signed.signers,
        signed_at=first.signed.signed_at,
        chain=first.signed.chain,
        timestamped=first.signed.timestamped,
        notarization="unknown",
    )


def _mapped(file: _File) -> Iterator[Problem]:
    """Sections that bring bytes of the table into memory, where they may be run, and could be changed by anybody."""
    for segment in file.segments:
        if segment.file_size and segment.offset < file.end and segment.offset + segment.file_size > file.start:
            detail = f"section {segment.name!r} maps the certificate table, which no digest covers"
            yield Problem(id="uncovered-bytes", detail=detail)


def _one(message: "SignedMessage", file: _File, anchors: "Anchors", *, known: frozenset[str] = frozenset()) -> _One:
    """Verify one PKCS #7 structure about the file; ``known`` are unsigned attributes that the caller looks at."""
    from binsafe.signatures import signers, timestamps

    if message.content_type != _INDIRECT_DATA or message.content is None:
        raise StructureError(f"the PKCS #7 structure signs {message.content_type}, which is not an Authenticode digest")
    signed = signers.verify(message, message.content, anchors, attributes=known.union(timestamps.KINDS))
    algorithm, digest = _indirect_data(memoryview(message.content))
    outcome = signed.outcome
    if certificatetable.file_digest(file.data, file.start, file.end, algorithm) != digest:
        detail = f"the file's {algorithm} digest is not the signed one"
        outcome += Outcome(problems=(Problem(id="authenticode-digest", detail=detail),))
    if not signed.timestamped:
        outcome += Outcome(unverified=("the time of signing, which no time stamp confirms",))
    for what, root in (("its certificates", signed.chain), ("its time stamp's certificates", signed.stamper)):
        if root == "apple-root":
            outcome += Outcome(unverified=(f"{what}, which lead to Apple's root, where Windows believes others",))
    notes = tuple(certificatetable.hidden(what) for what in signed.strange)
    weaker = min(algorithm, message.signer.digest_algorithm, key=list(_DIGESTS.values()).index)
    return _One(signed=signed, algorithm=weaker, outcome=outcome, notes=notes)


def _further(beside: tuple[memoryview, ...], message: "SignedMessage") -> tuple[memoryview | bytes, ...]:
    """The signatures beside the first one and those that it carries; what they carry themselves is told as data."""
    further: tuple[memoryview | bytes, ...] = (*beside, *message.signer.unsigned.get(_NESTED, ()))
    if len(further) > MAX_FURTHER:
        raise StructureError(f"{len(further)} further signatures")
    return further


def _indirect_data(content: memoryview) -> tuple[str, bytes]:
    """Algorithm and digest out of SpcIndirectDataContent: {data, messageDigest {{algorithm, ...}, digest}}."""
    match list(der.elements(content)):
        case [der.Element(tag=der.SEQUENCE, content=subject), der.Element(tag=der.SEQUENCE, content=info)]:
            algorithm, digest = _digest_info(info)
        case _:
            raise StructureError("the Authenticode digest is not where it belongs")
    if bytes(der.element(subject).content) not in _PE_IMAGES:
        raise StructureError("what is signed is a file of another kind than PE")
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
