"""Every parser of signatures on bytes that nobody signed: an objection or a result, in bounded time and memory."""

import time
from collections.abc import Callable

import pytest
from asn1crypto import core
from asn1crypto.cms import ContentInfo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from signed_cms import Signing, anchors
from signed_macho import (
    ADHOC,
    CMS,
    RUNTIME,
    SHA1,
    Directory,
    Recipe,
    blob,
    make_slice,
    patch,
    place,
    superblob,
    thin_slice,
)

from binsafe.signatures import certificates, cms, codedirectory, der, entitlements, plist, seal, verify
from binsafe.signatures import requirements as code_requirements
from binsafe.signatures import superblob as superblobs
from binsafe.signatures.structure import StructureError

SECONDS = 5
"""Of CPU; the slowest takes 1.5 alone, and twice that beside other tests."""
SIGNED = Recipe(directories=(Directory(hash=SHA1, flags=RUNTIME), Directory(flags=RUNTIME)), cms=Signing()).build()
START = place(SIGNED, 0)[0]


def directories(data: memoryview) -> object:
    return codedirectory.read_all(superblobs.read(memoryview(superblob({0: bytes(data)}))))


READERS: dict[str, tuple[Callable[[memoryview], object], bytes]] = {
    "superblob": (superblobs.read, superblob({0: Directory().build(b"code", {}), 2: blob(0xFADE0C01, bytes(4))})),
    "codedirectory": (directories, Directory().build(b"code" * 4000, {2: b"x"})),
    "requirements": (code_requirements.read, blob(0xFADE0C01, bytes(4))),
    "der": (lambda data: list(der.elements(der.element(data).content)), bytes.fromhex("300a0201010c03616263040102")),
    "cms": (cms.read, Signing()(Directory().build(b"code", {}))),
    "time stamp": (lambda data: cms.read_time_stamp(bytes(data)), b"\x30\x03\x02\x01\x01"),
    "signer": (lambda data: cms.read_signer(bytes(data), ()), b"\x30\x03\x02\x01\x01"),
    "certificates": (lambda data: certificates.load([bytes(data)]), Signing().certificates()[0]),
    "entitlements": (lambda data: entitlements.read(data, data), bytes.fromhex("700d020101b00830060c01610101ff")),
    "property list": (lambda data: plist.read(data, "it", most=1000), b"<plist><dict></dict></plist>"),
    "seal": (seal.read, b"<plist><dict><key>files2</key><dict></dict></dict></plist>"),
}


CUT = patch(Directory().build(b"", {}), 16, bytes((0, 0, 0, 44)))[:44]
"""The oldest version's header, with a newer version's number; its hashes, of which there are none, start behind it."""


@pytest.mark.parametrize(
    ("read", "data", "objection"),
    [
        (READERS["property list"][0], b"<plist><dict></dict></plist>".ljust(1001), "it of 1001 bytes is not read"),
        (cms.read, ContentInfo({"content_type": "data", "content": b"x"}).dump(), "is not signed data"),
        (directories, blob(0xFADE0C02, CUT[8:]), "shorter than its version's header"),
    ],
    ids=["long list", "other message", "cut directory"],
)
def test_what_is_not_what_it_should_be_is_said(read: Callable[[memoryview], object], data: bytes, objection: str):
    with pytest.raises(StructureError, match=objection):
        read(memoryview(data))


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.binary(max_size=120), edits=st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=5)), max_size=4)
)
def test_any_bytes_give_a_result_or_an_objection(name: str, content: bytes, edits: list[tuple[int, bytes]]):
    read, good = READERS[name]
    edited = good
    for where, edit in edits:
        at = where % len(good)
        edited = edited[:at] + edit + edited[at + len(edit) :]
    for data in (content, edited, edited[: len(edited) // 2]):
        try:
            read(memoryview(data))
        except StructureError:
            continue


@settings(max_examples=250, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.integers(START - 100, len(SIGNED) - 1), st.binary(min_size=1, max_size=6)), min_size=1, max_size=5
    )
)
def test_any_edit_of_a_signature_is_survived_and_never_makes_it_better(edits: list[tuple[int, bytes]]):
    edited = SIGNED
    for at, edit in edits:
        edited = (edited[:at] + edit + edited[at + len(edit) :])[: len(SIGNED)]
    signature_range = thin_slice(SIGNED).signature_range
    signature = verify(make_slice("mach-o", edited, signature_range), anchors())
    assert signature.status in {"valid", "unknown", "invalid"}
    if signature.status == "valid":
        assert signature.cdhash == verify(thin_slice(SIGNED)).cdhash


def flood(bag: bytes = b"", attributes: bytes = b"", signers: bytes | None = None) -> bytes:
    """A SignedData with room for very much of something."""
    sequence, sets = der.SEQUENCE, der.SET
    signer = der.encode(
        sequence,
        b"\x02\x01\x01"
        + der.encode(sequence, der.encode(sequence, b"") + b"\x02\x01\x01")
        + der.encode(sequence, core.ObjectIdentifier("2.16.840.1.101.3.4.2.1").dump())
        + der.encode(0xA0, attributes)
        + der.encode(sequence, core.ObjectIdentifier("1.2.840.113549.1.1.1").dump())
        + b"\x04\x01x",
    )
    signed = der.encode(
        sequence,
        b"\x02\x01\x01"
        + der.encode(sets, b"")
        + der.encode(sequence, core.ObjectIdentifier("1.2.840.113549.1.7.1").dump())
        + der.encode(0xA0, bag)
        + der.encode(sets, signer if signers is None else signers),
    )
    return der.encode(sequence, core.ObjectIdentifier("1.2.840.113549.1.7.2").dump() + der.encode(0xA0, signed))


MANY = b"\x30\x00" * (cms.MAX_BYTES // 2 - 100)


@pytest.mark.parametrize(
    "hostile",
    [
        flood(bag=MANY),
        flood(attributes=MANY),
        flood(signers=MANY),
        b"\x30\x80" * (cms.MAX_BYTES // 2),
        flood(bag=b"\x30\x80" * 100_000),
    ],
    ids=["certificates", "attributes", "signers", "nesting", "nested certificates"],
)
def test_flood_in_a_cms_structure_costs_little(hostile: bytes):
    started = time.process_time()
    with pytest.raises(StructureError):
        cms.read(hostile)
    assert time.process_time() - started < SECONDS


def test_bag_full_of_certificates_with_one_name_costs_little():
    """Each may have issued each: the pairs that are tried are bounded by the bag."""
    leaf, *others = reversed(Signing().certificates())
    bag = [leaf, *others, *(others * cms.MAX_CERTIFICATES)][: cms.MAX_CERTIFICATES]
    started = time.process_time()
    signature = verify(
        thin_slice(Recipe(directories=(Directory(flags=RUNTIME),), cms=Signing(bag=lambda _: bag)).build())
    )
    assert time.process_time() - started < SECONDS
    assert signature.status == "invalid"


def test_payload_in_the_room_behind_the_signature():
    """codesign reserves some room; a file's worth of it is a place to hide things that every hash is right about."""
    built = Recipe(directories=(Directory(flags=ADHOC),)).build()
    signature_range = thin_slice(built).signature_range
    assert signature_range is not None
    start, size = signature_range
    for rest, problems in (
        (bytes(200_000), set()),
        (b"payload!" * 25_000, {"uncovered-bytes"}),
        (b"old" * 5_000, {"signature-slack"}),
    ):
        signature = verify(make_slice("mach-o", built + rest, (start, size + len(rest))))
        assert {problem.id for problem in signature.problems} == problems
        assert signature.status == "valid"


def test_large_cms_structure_of_a_mach_o_is_not_read():
    large = Recipe(directories=(Directory(flags=RUNTIME),), cms=lambda *_: bytes(cms.MAX_APPLE_BYTES + 1)).build()
    assert place(large, CMS)[1] > cms.MAX_APPLE_BYTES
    assert "is not read" in verify(thin_slice(large)).problems[0].detail
