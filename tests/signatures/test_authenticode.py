"""Authenticode: the stand-in's Windows build, signed here with a certificate of our own."""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from asn1crypto import core
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from macho_verdicts import problems
from signed_cms import ROOT, Signing, anchors, certificate
from signed_macho import flip, make_slice, patch
from signed_pe import SIGNING, attach, check, directory_at, entry, file_digest, optional_header, pkcs7

from binsafe.model import Segment
from binsafe.signatures import certificatetable, verify
from binsafe.signatures.anchors import Anchors
from binsafe.signatures.authenticode import MAX_FURTHER
from binsafe.signatures.structure import StructureError

NESTED = "1.3.6.1.4.1.311.2.4.1"


@pytest.fixture(scope="module")
def unsigned(standin: Callable[[str], Path]) -> bytes:
    data = standin("windows/amd64").read_bytes()
    return data.ljust(-(-len(data) // 8) * 8, b"\0")


@pytest.fixture(scope="module")
def signed(unsigned: bytes) -> bytes:
    return attach(unsigned, entry(pkcs7(file_digest(unsigned))))


def test_program_without_a_table_is_unsigned(unsigned: bytes):
    for signature in (check(unsigned), verify(make_slice("pe", unsigned, None))):
        assert (signature.kind, signature.status, signature.notarization) == ("none", "absent", "none")


def test_signature_that_leads_to_a_known_root_is_valid(signed: bytes):
    signature = check(signed)
    assert (signature.kind, signature.status, signature.problems) == ("authenticode", "valid", ())
    assert [signer.common_name for signer in signature.signers] == ["Example Signer", "Example CA", "Example Root"]
    assert (signature.hash_types, signature.chain) == (("sha256",), "microsoft-root")
    assert (signature.signed_at, signature.timestamped) == ("2026-03-04T05:06:07+00:00", True)


def test_signature_by_nobody_known_is_unknown(signed: bytes):
    signature = verify(make_slice("pe", signed, struct.unpack_from("<II", signed, directory_at(signed))))
    assert (signature.status, signature.problems, signature.chain) == ("unknown", (), "other")
    assert "'Example Root'" in signature.unverified[-1]


def test_signature_without_a_time_stamp_is_unknown(unsigned: bytes):
    table = entry(pkcs7(file_digest(unsigned), signing=replace(SIGNING, stamp=None)))
    assert (check(attach(unsigned, table)).status, check(attach(unsigned, table)).timestamped) == ("unknown", False)


def test_a_signature_over_something_else_is_no_statement_about_the_file(unsigned: bytes):
    """The same bytes under another name: whoever signed them did not say that they are a program's digest."""
    other = pkcs7(file_digest(unsigned), content_type="1.3.6.1.4.1.311.2.1.30")
    signature = check(attach(unsigned, entry(other)))
    assert signature.status == "invalid"
    assert "not an Authenticode digest" in signature.problems[0].detail


def test_a_signature_of_a_script_or_an_installer_is_none_of_a_program(unsigned: bytes):
    """Their bytes are hashed in other ways, so that one digest may be a script's and a program's."""
    signature = check(attach(unsigned, entry(pkcs7(file_digest(unsigned), subject="1.3.6.1.4.1.311.2.1.30"))))
    assert (signature.status, signature.problems[0].detail) == (
        "invalid",
        "what is signed is a file of another kind than PE",
    )


def test_a_signature_of_pesign_is_one_of_a_program(unsigned: bytes):
    """It has put a certificate's purpose where the kind of file belongs: so Debian's fwupd is signed."""
    table = entry(pkcs7(file_digest(unsigned), subject="1.3.6.1.4.1.311.2.1.21"))
    assert check(attach(unsigned, table)).status == "valid"


@pytest.mark.parametrize("where", ["certificate", "signature"])
def test_corrupt_pkcs7(signed: bytes, where: str):
    der = SIGNING.certificates()[0]
    at = signed.index(der) + len(der) // 2 if where == "certificate" else signed.index(b"Example Signer") + 5
    signature = check(flip(signed, at))
    assert (signature.status, "cms-chain" in problems(signature)) == ("invalid", True)


def test_nested_signature_is_verified_too(unsigned: bytes):
    good = pkcs7(file_digest(unsigned))
    both = check(attach(unsigned, entry(pkcs7(file_digest(unsigned), signing=nesting(good)))))
    assert (both.status, both.hash_types) == ("valid", ("sha256", "sha256"))
    bad = pkcs7(hashlib.sha256(b"another file").digest())
    signature = check(attach(unsigned, entry(pkcs7(file_digest(unsigned), signing=nesting(bad)))))
    assert (signature.status, problems(signature)) == ("invalid", {"authenticode-digest"})
    assert signature.problems[0].detail.startswith("further signature: ")


def nesting(*others: bytes) -> Signing:
    return replace(SIGNING, unsigned={NESTED: list(others)})


def test_flood_of_nested_signatures(unsigned: bytes):
    good = pkcs7(file_digest(unsigned))
    for count, status in ((MAX_FURTHER, "valid"), (MAX_FURTHER + 1, "invalid")):
        table = entry(pkcs7(file_digest(unsigned), signing=nesting(*[good] * count)))
        assert check(attach(unsigned, table)).status == status


def test_a_signature_inside_of_a_further_one_is_not_looked_at_and_told(unsigned: bytes):
    """It may be another's, or no signature at all: nothing reads what a nested signature nests."""
    bad = pkcs7(hashlib.sha256(b"another file").digest())
    inner = pkcs7(file_digest(unsigned), signing=nesting(bad))
    for table in (
        entry(pkcs7(file_digest(unsigned), signing=nesting(inner))),
        entry(pkcs7(file_digest(unsigned))) + entry(inner),
    ):
        signature = check(attach(unsigned, table))
        assert (signature.status, problems(signature)) == ("valid", {"certificate-table-data"})


def test_the_weaker_of_two_digests_is_what_a_signature_rests_on(unsigned: bytes):
    """The statement holds the file's digest: of one under SHA-1 a second may be made, for another file."""
    signing = replace(SIGNING, digest="sha1")
    assert check(attach(unsigned, entry(pkcs7(file_digest(unsigned), signing=signing)))).hash_types == ("sha1",)
    signing = replace(SIGNING, digest="sha384")
    assert check(attach(unsigned, entry(pkcs7(file_digest(unsigned), signing=signing)))).hash_types == ("sha256",)


def test_data_in_a_certificate_of_nobody(unsigned: bytes):
    """What installers use to tell their downloads apart: a certificate in the bag that signs nothing."""
    tag = certificate(("Tag", "payload" * 5), ("Tag", "payload" * 5))
    signing = replace(SIGNING, bag=lambda certificates: [*certificates, tag])
    signature = check(attach(unsigned, entry(pkcs7(file_digest(unsigned), signing=signing))))
    assert (signature.status, problems(signature)) == ("valid", {"certificate-table-data"})


@pytest.mark.parametrize(
    "certificates",
    [
        [(("Tag", "payload"), ("Tags", "x")), (("Tags", "x"), ("Tags", "x"))],
        [(("Tag", "payload"), ("Tags", "x")), (("Tags", "x"), ("Tag", "payload"))],
    ],
)
def test_data_in_certificates_that_vouch_for_each_other_alone(
    unsigned: bytes, certificates: list[tuple[tuple[str, str], tuple[str, str]]]
):
    made = [certificate(*names, authority=True) for names in certificates]
    signing = replace(SIGNING, bag=lambda certificates: [*certificates, *made])
    signature = check(attach(unsigned, entry(pkcs7(file_digest(unsigned), signing=signing))))
    assert (signature.status, problems(signature)) == ("valid", {"certificate-table-data"})


def test_another_certificate_of_the_authority_is_no_hidden_data_unless_it_is_far_too_large(unsigned: bytes):
    """The second authority is vouched for by the root, and vouches for its own."""
    first = certificate(("Sister CA", "Example Ltd"), ROOT, authority=True)
    second = certificate(("Sister", "Example Ltd"), ("Sister CA", "Example Ltd"))
    large = certificate(("Large", "Example Ltd"), ROOT, padding=4096)
    for added, found in (([second, first], set()), ([large], {"certificate-table-data"})):
        signing = replace(SIGNING, bag=lambda certificates, added=added: [*certificates, *added])
        signature = check(attach(unsigned, entry(pkcs7(file_digest(unsigned), signing=signing))))
        assert (signature.status, problems(signature)) == ("valid", found)


def test_data_in_an_attribute_that_nothing_covers(unsigned: bytes):
    signing = replace(SIGNING, unsigned={"1.2.3.4": [core.OctetString(b"payload").dump()]})
    signature = check(attach(unsigned, entry(pkcs7(file_digest(unsigned), signing=signing))))
    assert (signature.status, problems(signature)) == ("valid", {"certificate-table-data"})


@pytest.mark.parametrize("where", ["stub", "headers", "middle", "last"])
def test_flipped_byte_changes_the_digest(signed: bytes, unsigned: bytes, where: str):
    at = {"stub": 0x50, "headers": optional_header(signed) + 2, "middle": len(unsigned) // 2, "last": len(unsigned) - 1}
    signature = check(flip(signed, at[where]))
    assert (signature.status, problems(signature)) == ("invalid", {"authenticode-digest"})


def test_checksum_is_not_part_of_the_digest(signed: bytes):
    assert check(flip(signed, optional_header(signed) + 64)).status == "valid"


def test_digest_that_cms_does_not_sign(unsigned: bytes):
    forged = attach(unsigned, entry(pkcs7(file_digest(unsigned), hashed=b"something else")))
    signature = check(forged)
    assert (signature.status, problems(signature)) == ("invalid", {"cms-digest"})


@pytest.mark.parametrize(
    "table",
    [
        lambda good: entry(good + b"hidden payload"),
        lambda good: entry(good + bytes(64)),
        lambda good: entry(good) + entry(b"payload!", kind=1),
        lambda good: entry(good + bytes((1 - len(good)) % 8))[:-7] + b"payload",
    ],
)
def test_data_in_the_certificate_table(unsigned: bytes, table: Callable[[bytes], bytes]):
    signature = check(attach(unsigned, table(pkcs7(file_digest(unsigned)))))
    assert (signature.status, problems(signature)) == ("valid", {"certificate-table-data"})


def test_signatures_beside_each_other_are_all_verified(unsigned: bytes):
    """As shim has them, for firmware that knows the one or the other of Microsoft's authorities."""
    good, bad = (pkcs7(digest) for digest in (file_digest(unsigned), hashlib.sha256(b"another file").digest()))
    both = check(attach(unsigned, entry(good) + entry(good)))
    assert (both.status, both.problems, both.hash_types) == ("valid", (), ("sha256", "sha256"))
    for table in (entry(good) + entry(bad), entry(bad) + entry(good)):
        signature = check(attach(unsigned, table))
        assert (signature.status, problems(signature)) == ("invalid", {"authenticode-digest"})
    assert check(attach(unsigned, entry(good) * (MAX_FURTHER + 2))).status == "invalid"


def test_data_behind_the_table(signed: bytes):
    signature = check(signed + b"payload")
    assert (signature.status, problems(signature)) == ("invalid", {"appended-data", "authenticode-digest"})


@pytest.mark.parametrize(
    "table",
    [
        b"\0" * 8,
        b"\0" * 5,
        entry(b"x" * 16, length=7),
        entry(b"x" * 16, length=0xFFFFFFFF),
        entry(b"x" * 16, revision=0x300),
        entry(b"x" * 16, kind=1),
        entry(b"\x30\x82\xff\xff"),
        entry(b"\x30\x80\0\0"),
        entry(b"\x30\x03\x02\x01\x01"),
        entry(b"x" * 8, kind=1) * 100,
    ],
    ids=lambda table: table[:16].hex(),
)
def test_table_that_is_none(unsigned: bytes, table: bytes):
    signature = check(attach(unsigned, table))
    assert (signature.kind, signature.status) == ("authenticode", "invalid")
    assert problems(signature) <= {"malformed", "truncated"}


def test_truncated_program(signed: bytes):
    signature = check(signed[: len(signed) // 2])
    assert (signature.status, problems(signature)) == ("invalid", {"truncated"})


def test_an_entry_that_would_hold_were_its_header_right(unsigned: bytes):
    """Length and revision are nobody's to change: no digest covers them."""
    good = pkcs7(file_digest(unsigned))
    assert check(attach(unsigned, entry(good))).status == "valid"
    for table in (entry(good, revision=0x300), entry(good, length=len(good) + 800)):
        signature = check(attach(unsigned, table))
        assert (signature.status, "a certificate table entry of" in signature.problems[0].detail) == ("invalid", True)


def test_a_digest_that_windows_does_not_use(unsigned: bytes):
    signature = check(attach(unsigned, entry(pkcs7(file_digest(unsigned), algorithm="1.2.840.113549.2.5"))))
    assert (signature.status, "does not use" in signature.problems[0].detail) == ("invalid", True)


@pytest.mark.parametrize("place", [(0, 0x100), (0x10, 1 << 20), (1 << 20, 1 << 19)])
def test_no_digest_leaves_out_headers(signed: bytes, place: tuple[int, int]):
    with pytest.raises(StructureError, match="lies in the headers"):
        certificatetable.file_digest(memoryview(signed), *place, "sha256")


def test_table_over_the_headers(signed: bytes, unsigned: bytes):
    table = signed[len(unsigned) :]
    moved = patch(unsigned, 0x10, table[:16])
    assert verify(make_slice("pe", moved, (0x10, len(moved) - 0x10))).status == "invalid"


@pytest.mark.parametrize("at", [0x3C, "magic", "count"])
def test_headers_that_lie(signed: bytes, at: int | str):
    place = {"magic": optional_header(signed), "count": directory_at(signed) - 36}.get(at, at)
    table = struct.unpack_from("<II", signed, directory_at(signed))
    lying = patch(signed, place, b"\xff\xff\xff\xff" if at == 0x3C else b"\0\0")
    signature = verify(make_slice("pe", lying, table))
    assert (signature.status, problems(signature)) == ("invalid", {"malformed"})


TINY = (b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0" + bytes(20) + b"\x0b\x02").ljust(0x400, b"\0")
TINY = patch(TINY, 0x40 + 24 + 108, struct.pack("<I", 16))
TINY_SIGNED = attach(TINY, entry(pkcs7(file_digest(TINY))))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(TINY_SIGNED) - 1), st.binary(min_size=1, max_size=4)), max_size=4))
def test_any_edit_of_a_signed_file_is_survived(edits: list[tuple[int, bytes]]):
    assert check(TINY_SIGNED).status == "valid"
    edited = TINY_SIGNED
    for at, value in edits:
        edited = patch(edited, at, value)[: len(TINY_SIGNED)]
    signature = verify(make_slice("pe", edited, (len(TINY), len(TINY_SIGNED) - len(TINY))), anchors("microsoft-root"))
    assert signature.status in {"unknown", "invalid", "valid"}
    msgspec.json.encode(signature)


def test_a_root_that_windows_does_not_believe(signed: bytes):
    table = make_slice("pe", signed, struct.unpack_from("<II", signed, directory_at(signed)))
    assert verify(table, anchors("microsoft-root")).status == "valid"
    signature = verify(table, anchors("apple-root"))
    assert (signature.chain, signature.status) == ("apple-root", "unknown")


def test_a_time_stamp_that_windows_does_not_believe(unsigned: bytes):
    other = ("Another Root", "Example Ltd")
    table = entry(pkcs7(file_digest(unsigned), signing=replace(SIGNING, stamp_root=other)))
    data = attach(unsigned, table)
    ours, believed = certificate(other, other, authority=True), anchors("microsoft-root")
    for family, status in (("microsoft-root", "valid"), ("apple-root", "unknown")):
        both = Anchors(
            families={**believed.families, hashlib.sha256(ours).hexdigest(): family},
            certificates=(*believed.certificates, x509.load_der_x509_certificate(ours)),
        )
        signature = verify(make_slice("pe", data, struct.unpack_from("<II", data, directory_at(data))), both)
        assert (signature.status, signature.timestamped) == (status, True)


def test_a_section_that_maps_the_table(signed: bytes):
    """What the loader maps of the table is code or data that no digest covers."""
    start, size = struct.unpack_from("<II", signed, directory_at(signed))
    section = Segment(
        name=".text", address=0x1000, memory_size=0x1000, offset=start - 8, file_size=16, readable=True, writable=False,
        executable=True,
    )  # fmt: skip
    table = make_slice("pe", signed, (start, size), segments=(section,))
    assert problems(verify(table, anchors("microsoft-root"))) == {"uncovered-bytes"}
    before = make_slice("pe", signed, (start, size), segments=(msgspec.structs.replace(section, offset=start - 16),))
    assert verify(before, anchors("microsoft-root")).status == "valid"
