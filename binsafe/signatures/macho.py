"""A Mach-O slice's signature: every hash of every CodeDirectory is computed again and compared.

What is compared with what: Apple TN3126, "Inside Code Signing: Hashes". What the kernel does with it: xnu's
bsd/kern/ubc_subr.c. The rules here are stricter where a file could mean two things.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from binsafe.model import Problem, Signature, Slice
from binsafe.signatures import codedirectory, entitlements, identity, requirements, superblob
from binsafe.signatures.codedirectory import CodeDirectory
from binsafe.signatures.structure import NOT_IN_THIS_FILE, SLACK, TICKET, StructureError, enumerate_some, is_blank
from binsafe.signatures.superblob import Slot, SuperBlob

if TYPE_CHECKING:
    from binsafe.signatures.anchors import Anchors

_SPECIAL: Final[Mapping[int, tuple[str, str]]] = {
    Slot.INFO_PLIST: ("the Info.plist", "info-plist-hash"),
    Slot.REQUIREMENTS: ("the requirements", "requirements-hash"),
    Slot.CODE_RESOURCES: ("the bundle's resources", "resource-seal"),
    Slot.ENTITLEMENTS: ("the XML entitlements", "entitlements-hash"),
    Slot.DER_ENTITLEMENTS: ("the DER entitlements", "entitlements-hash"),
    **{slot: (f"the launch constraints ({on})", "codedirectory") for slot, on in superblob.CONSTRAINT_SLOTS.items()},
}
"""Special slots: what people call the component, and which problem it is when its hash is wrong."""

_INSIDE: Final = frozenset({Slot.REQUIREMENTS, Slot.ENTITLEMENTS, Slot.DER_ENTITLEMENTS, *superblob.CONSTRAINT_SLOTS})
"""Components that are blobs of the signature; the others are files of a bundle, or the section of an Info.plist."""

MAX_SLACK_BYTES: Final = 64 * 1024
"""Room that codesign reserves and does not need: 9 to 18 KB in real files."""

_NOBODYS: Final = frozenset({"adhoc", "linker"})
"""Kinds of signature behind which stands no certificate: what they say of whose the code is, anybody can write."""

_INFO_PLIST_SECTION: Final = "__info_plist"
_LINKEDIT: Final = "__LINKEDIT"


class _Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A slice, its signature, the files of its bundle that it may seal, by special slot, and which its bundle lacks."""

    slice: Slice
    signature: SuperBlob
    beside: Mapping[int, memoryview]
    missing: AbstractSet[int]


def verify(slice_: Slice, anchors: "Anchors | None", components: Mapping[int, memoryview | None]) -> Signature:
    """The signature of a Mach-O slice; absent where it has no LC_CODE_SIGNATURE.

    ``components`` are the files of its bundle that may be sealed, by special slot; None for one that is not there.
    """
    if slice_.signature_range is None:
        return Signature(kind="none", status="absent")
    try:
        return _verify(slice_, *slice_.signature_range, anchors, components)
    except StructureError as error:
        return Signature(kind="other", status="invalid", problems=(error.problem,), notarization="unknown")


def _verify(
    slice_: Slice, start: int, size: int, anchors: "Anchors | None", components: Mapping[int, memoryview | None]
) -> Signature:
    end = start + size
    if start < 0 or size < 0 or end > len(slice_.data):
        detail = f"the signature at {start:#x} to {end:#x} is not in the {len(slice_.data):#x} bytes of the slice"
        raise StructureError(detail, problem="truncated")
    signature = superblob.read(slice_.data[start:end])
    there = {slot: data for slot, data in components.items() if data is not None}
    code = _Signed(slice=slice_, signature=signature, beside=there, missing=components.keys() - there.keys())
    directories = codedirectory.read_all(signature)
    best = codedirectory.best(directories)
    who = identity.identify(signature, directories, anchors)
    rights = entitlements.read(signature.payload(Slot.DER_ENTITLEMENTS), signature.payload(Slot.ENTITLEMENTS))
    asked, unreadable = _requirements(signature)
    constraints, unclear = _constraints(signature)
    ticket = _ticket(code)
    objection = None if ticket is None else _objection(ticket, directories, anchors)
    broken = (*_broken(code, directories, start, end), *_blob_of_no_ticket(code, objection), *who.problems)
    broken += rights.broken
    notes = (*rights.notes, *unreadable, *unclear, *who.notes, *_slack(signature, slice_.data[start:end]))
    unverified = (*_unverified(code, best), *who.unverified)
    unverified += ("the entitlements",) if rights.values is None and rights.notes else ()
    notarized: Literal["stapled", "unknown"] = "unknown" if ticket is None or objection else "stapled"
    return Signature(
        kind=who.kind,
        status="invalid" if broken else "unknown" if unverified else "valid",
        problems=(*broken, *notes, *_doubtful_ticket(code, objection)),
        unverified=unverified,
        identifier=best.identifier,
        team_id=None if who.kind in _NOBODYS else best.team_id,
        certificate_type=who.certificate_type,
        cdhash=best.cdhash,
        cdhashes=tuple(directory.cdhash for directory in directories),
        hash_types=tuple(directory.digest.name for directory in directories),
        flags=best.flag_names,
        exec_flags=best.exec_flag_names,
        runtime_version=best.runtime_version,
        signers=who.signers,
        chain=who.chain,
        signed_at=who.signed_at,
        timestamped=who.timestamped,
        requirements=asked,
        constraints=dict(constraints) or None,
        notarization="none" if who.kind in _NOBODYS else notarized,
        entitlements=rights.values,
        entitlements_source=rights.source,
    )


def _broken(code: _Signed, directories: tuple[CodeDirectory, ...], start: int, end: int) -> Iterator[Problem]:
    """What shows in the bytes that the signature, from ``start`` to ``end``, is not over all of what is here."""
    yield from _disagreements(directories)
    yield from _stray_blobs(code.signature)
    yield from _gaps(code.signature, code.slice.data[start:end])
    yield from _coverage(code.slice, directories, start, end)
    for directory in directories:
        yield from _hashes(code, directory)


def _disagreements(directories: tuple[CodeDirectory, ...]) -> Iterator[Problem]:
    """Alternates repeat the primary directory with another hash: saying anything else, they would split what runs."""
    said = {
        (one.identifier, one.team_id, one.flags, one.exec_flags, one.code_limit, one.runtime) for one in directories
    }
    if len(said) > 1:
        yield Problem(id="codedirectory", detail="the CodeDirectories contradict each other")


def _stray_blobs(signature: SuperBlob) -> Iterator[Problem]:
    """Blobs in slots that mean nothing: bytes that no hash covers."""
    known = (*codedirectory.SLOTS, *superblob.SPECIAL_SLOTS, *superblob.SIGNATURE_SLOTS)
    strays = [f"{slot:#x}" for slot in signature.blobs if slot not in known]
    if strays:
        yield Problem(id="uncovered-bytes", detail=f"blobs in slots without a meaning: {enumerate_some(strays)}")


def _gaps(signature: SuperBlob, reserved: memoryview) -> Iterator[Problem]:
    """Bytes of the signature that are in none of its blobs: signers put them one behind the other."""
    stray = sum(end - start for start, end in signature.gaps if not is_blank(reserved[start:end]))
    if stray:
        yield Problem(id="uncovered-bytes", detail=f"{stray} bytes between the blobs of the signature are not empty")


def _coverage(slice_: Slice, directories: tuple[CodeDirectory, ...], start: int, end: int) -> Iterator[Problem]:
    """Hashes must reach from the slice's first byte to the signature, and nothing may follow the signature."""
    for directory in directories:
        name, limit = directory.digest.name, directory.code_limit
        if limit < start:
            detail = f"{name}: bytes {limit:#x} to {start:#x} lie past the code limit"
            yield Problem(id="uncovered-bytes", detail=detail)
        if limit > start:
            yield Problem(
                id="codedirectory", detail=f"{name}: the code limit {limit:#x} lies past the signature's start"
            )
        if directory.code_slots < directory.pages:
            detail = f"{name}: {directory.code_slots} hashes for {directory.pages} pages"
            yield Problem(id="uncovered-bytes", detail=detail)
        if directory.code_slots > directory.pages:
            yield Problem(
                id="codedirectory", detail=f"{name}: {directory.code_slots} hashes for {directory.pages} pages"
            )
    for segment in slice_.segments:
        reaches_past = segment.file_size > 0 and segment.offset + segment.file_size > start
        if reaches_past and (segment.name != _LINKEDIT or segment.executable):
            detail = f"segment {segment.name!r} maps bytes past the code limit"
            yield Problem(id="uncovered-bytes", detail=detail)
    if end < len(slice_.data):
        yield Problem(id="appended-data", detail=f"{len(slice_.data) - end} bytes follow the signature, at {end:#x}")


def _slack(signature: SuperBlob, reserved: memoryview) -> Iterator[Problem]:
    """Bytes inside the signature's range behind the SuperBlob, which nothing covers.

    codesign leaves there what it finds: the end of an earlier signature, up to four times as long where its pages were
    smaller. More than that has been put there.
    """
    rest = reserved[signature.size :]
    if is_blank(rest):
        return
    if len(rest) > MAX_SLACK_BYTES + 4 * sum(len(blob.data) for blob in signature.blobs.values()):
        yield Problem(id="uncovered-bytes", detail=f"{len(rest)} bytes are reserved behind the signature and not empty")
    else:
        yield Problem(id=SLACK, detail=f"{len(rest)} bytes between the signature and its end are not empty")


def _hashes(code: _Signed, directory: CodeDirectory) -> Iterator[Problem]:
    """Compare every hash of one directory with what it is the hash of."""
    wrong = directory.wrong_pages(code.slice.data)
    if wrong:
        pages = enumerate_some([f"{page} (at {page * (directory.page_size or 0):#x})" for page in wrong])
        detail = f"{directory.digest.name}: {len(wrong)} of {directory.pages} pages are not the signed ones: {pages}"
        yield Problem(id="page-hash", detail=detail)
    linker = "linker-signed" in directory.flag_names  # which knows of no bundle
    uncovered = {*code.signature.blobs, *(() if linker else code.beside)}
    for slot in superblob.SPECIAL_SLOTS:
        sealed, components = directory.special_hash(slot), _components(code, slot)
        name, problem = _special(slot)
        if sealed is None and slot in uncovered:
            yield Problem(id=problem, detail=f"{directory.digest.name}: no hash covers {name}")
        if sealed is not None and not components and slot in {*_INSIDE, *code.missing}:
            yield Problem(id=problem, detail=f"{directory.digest.name}: missing, although sealed: {name}")
        if sealed is not None and any(directory.digest(component) != sealed for component in components):
            yield Problem(id=problem, detail=f"{directory.digest.name}: the hash of {name} is not the signed one")


def _components(code: _Signed, slot: int) -> tuple[memoryview, ...]:
    """The bytes that a special hash is about, where this file or its bundle has them; none of them may be others."""
    blob, beside = code.signature.blobs.get(slot), code.beside.get(slot)
    if beside is None and slot == Slot.INFO_PLIST and (section := code.slice.section(_INFO_PLIST_SECTION)) is not None:
        beside = code.slice.contents(section)
    return tuple(one for one in (beside, None if blob is None else blob.data) if one is not None)


def _unverified(code: _Signed, directory: CodeDirectory) -> tuple[str, ...]:
    """What is sealed and is not in this file: the bundle that it was taken from has it, where none is known here."""
    return tuple(
        f"{_special(slot)[0]} {NOT_IN_THIS_FILE}"
        for slot in superblob.SPECIAL_SLOTS
        if slot not in {*_INSIDE, *code.missing}
        and directory.special_hash(slot) is not None
        and not _components(code, slot)
    )


def _special(slot: int) -> tuple[str, str]:
    return _SPECIAL.get(slot, (f"the component in slot {slot}", "codedirectory"))


def _ticket(code: _Signed) -> memoryview | None:
    """The notarization ticket that is stapled to this code. A bare file cannot carry one, and nobody knows offline."""
    blob = code.signature.blobs.get(Slot.TICKET)
    return code.beside.get(Slot.TICKET) if blob is None else blob.payload


def _objection(ticket: memoryview, directories: tuple[CodeDirectory, ...], anchors: "Anchors | None") -> str | None:
    """Why a ticket is not Apple's word on this code; None where it is."""
    from binsafe.signatures import tickets  # cryptography comes along
    from binsafe.signatures.anchors import pinned

    return tickets.objection(ticket, [one.cdhash for one in directories], anchors or pinned())


def _blob_of_no_ticket(code: _Signed, objection: str | None) -> Iterator[Problem]:
    """A blob in the ticket's place that does not vouch for this code: bytes that no hash covers."""
    if objection and Slot.TICKET in code.signature.blobs:
        yield Problem(id="uncovered-bytes", detail=f"the signature holds a notarization ticket that {objection}")


def _doubtful_ticket(code: _Signed, objection: str | None) -> Iterator[Problem]:
    """A ticket beside the program that is none of Apple's about it: macOS does without one then, and so do we."""
    if objection and Slot.TICKET not in code.signature.blobs:
        yield Problem(id=TICKET, detail=f"the notarization ticket {objection}")


def _requirements(signature: SuperBlob) -> tuple[str | None, tuple[Problem, ...]]:
    """The requirements in words, "unknown" with a problem where they have none; None for no requirement."""
    blob = signature.blobs.get(Slot.REQUIREMENTS)
    try:
        return None if blob is None else requirements.read(blob.data), ()
    except StructureError as error:
        return "unknown", (error.problem,)


def _constraints(signature: SuperBlob) -> tuple[Mapping[str, dict[str, Any] | None], tuple[Problem, ...]]:
    """The launch constraints, by what they are on; None for one that cannot be read, with a problem that says so.

    They say who may start the program and what it may load (Apple, "Applying launch environment and library
    constraints").
    """
    found: dict[str, dict[str, Any] | None] = {}
    unclear: tuple[Problem, ...] = ()
    for slot, on in superblob.CONSTRAINT_SLOTS.items():
        if slot in signature.blobs:
            found[on], problems = entitlements.dictionary(signature.payload(slot), _special(slot)[0])
            unclear += problems
    return found, unclear
