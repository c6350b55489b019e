"""CMS in Mach-O signatures, signed by authorities of our own: each tampering is named for what it is."""

import datetime as dt
from dataclasses import replace

import msgspec
import pytest
from asn1crypto import cms as asn1
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_cms import (
    APPLE_CA,
    BEGIN,
    DEVELOPER_ID,
    EXAMPLE_CA,
    HASHES,
    HASHES_PLIST,
    ROOT,
    SIGNED_AT,
    SIGNER,
    Signing,
    anchors,
    certificate,
    lists,
    root,
)
from signed_macho import ADHOC, CMS, RUNTIME, SHA1, Directory, Recipe, flip, patch, place, thin_slice

from binsafe.model import Signature, Signer
from binsafe.signatures import cms, verify
from binsafe.signatures.anchors import Anchors, pinned
from binsafe.signatures.certificates import has_issued
from binsafe.signatures.structure import StructureError

SIGNING = Signing()
SIGNED = Recipe(directories=(Directory(flags=RUNTIME, team=b"TEAM123456"),), cms=SIGNING)
DUAL = replace(SIGNED, directories=(Directory(hash=SHA1, flags=RUNTIME), Directory(flags=RUNTIME)))


def check(data: bytes, believed: Anchors | None = None) -> Signature:
    return verify(thin_slice(data), believed or anchors())


def signed(**changes: object) -> Signature:
    return check(replace(SIGNED, cms=replace(SIGNING, **changes)).build())


def problems(signature: Signature) -> set[str]:
    return {problem.id for problem in signature.problems}


def test_developer_id_signature_is_valid():
    signature = check(SIGNED.build())
    assert (signature.kind, signature.status) == ("developer-id", "valid")
    assert (signature.problems, signature.unverified) == ((), ())
    assert (signature.chain, signature.certificate_type) == ("apple-root", "developer-id-application")
    assert (signature.signed_at, signature.timestamped) == ("2026-03-04T05:06:07+00:00", True)
    assert signature.signers == (
        Signer(common_name="Example Signer", organization="Example Ltd", not_after="2031-12-31"),
        Signer(common_name="Example CA", organization="Example Ltd", not_after="2031-12-31"),
        Signer(common_name="Example Root", organization="Example Ltd", not_after="2031-12-31"),
    )


def test_root_may_be_left_out_of_the_signature():
    assert signed(bag=lambda certificates: certificates[:1] + certificates[2:]).status == "valid"


def test_our_root_is_nobodys_root():
    """A whole false hierarchy with the right names and markers; only the pinned fingerprint is missing."""
    signature = verify(thin_slice(SIGNED.build()))
    assert (signature.kind, signature.status, signature.chain) == ("developer-id", "invalid", "other")
    assert problems(signature) == {"cms-chain"}


def test_root_that_only_borrows_a_pinned_name():
    forged = certificate(ROOT, ROOT, authority=True, signed_by=ROOT[0])
    believed = anchors()
    renamed = Anchors(families={}, certificates=believed.certificates)
    assert forged == root()
    assert problems(check(SIGNED.build(), renamed)) == {"cms-chain"}


@pytest.mark.parametrize(
    ("changes", "kind", "type_"),
    [
        ({}, "developer-id", "developer-id-application"),
        ({"authority": APPLE_CA, "marker": None}, "apple", "apple-software"),
        ({"marker": None}, "other", None),
        ({"marker": "1.2.840.113635.100.6.1.9"}, "other", "mac-app-store"),
        ({"marker": "1.2.840.113635.100.6.1.12"}, "other", "mac-development"),
        ({"marker": "1.2.840.113635.100.6.1.14"}, "other", "developer-id-installer"),
        ({"authority": (APPLE_CA[0], "Somebody"), "marker": None}, "other", None),
    ],
)
def test_kinds_of_certificate_are_told_apart(changes: dict[str, object], kind: str, type_: str | None):
    signature = signed(**changes)
    assert (signature.kind, signature.certificate_type, signature.status) == (kind, type_, "valid")


def test_signer_who_left_out_the_authority_is_unknown_and_not_wrong():
    signature = signed(bag=lambda certificates: certificates[2:])
    assert (signature.kind, signature.status, signature.problems) == ("developer-id", "unknown", ())
    assert "'Example CA'" in " ".join(signature.unverified)
    assert signature.chain == "other"


@pytest.mark.parametrize("count", [0, 2])
def test_a_structure_has_one_signer(count: int):
    """Of two, one would be verified and the other one shown."""
    built = asn1.ContentInfo.load(SIGNING.sign(None, "data", b"a directory"))
    built["content"]["signer_infos"] = list(built["content"]["signer_infos"]) * count
    with pytest.raises(StructureError, match=f"{count} signers instead of one"):
        cms.read(built.dump(force=True))


def test_a_structure_is_read_up_to_a_size():
    built = SIGNING.sign(None, "data", b"a directory")
    assert cms.read(built, most=len(built)).certificates
    with pytest.raises(StructureError, match="is not read"):
        cms.read(built, most=len(built) - 1)


def test_every_authority_that_is_shipped_is_vouched_for_by_a_pinned_root():
    shipped = pinned()
    roots = [one for one in shipped.certificates if shipped.family(one) is not None]
    others = [one for one in shipped.certificates if one not in roots]
    assert {shipped.family(one) for one in roots} == {"apple-root", "microsoft-root"}
    assert len(others) == 3
    assert all(any(has_issued(root_, one) for root_ in roots) for one in others)


def test_developer_id_leaf_from_another_authority_of_apple():
    signature = signed(authority_marker=None)
    assert (signature.status, problems(signature)) == ("invalid", {"cms-chain"})


def test_certificate_of_a_private_authority_is_unknown():
    signature = check(replace(SIGNED, cms=replace(SIGNING, marker=None)).build(), Anchors(families={}, certificates=()))
    assert (signature.kind, signature.status, signature.chain) == ("other", "unknown", "other")
    assert "no known root" in " ".join(signature.unverified)


def test_flipped_page_of_a_signed_program():
    assert problems(check(flip(SIGNED.build(), 0x1800))) == {"page-hash"}


def test_edited_directory_flag_is_not_what_was_signed():
    data = SIGNED.build()
    edited = patch(data, place(data, 0)[0] + 12, bytes(4))
    signature = check(edited)
    assert (signature.kind, signature.status, problems(signature)) == ("developer-id", "invalid", {"cms-digest"})


def test_signature_of_another_program():
    other = SIGNING(Directory().build(b"another program", {}))
    assert problems(check(replace(SIGNED, cms=lambda *_: other).build())) == {"cms-digest"}


def test_digest_that_is_corrupt():
    digest = lists(Directory(flags=RUNTIME).build(b"", {}))
    assert digest
    data = SIGNED.build()
    start, size = place(data, CMS)
    message = data.index(bytes.fromhex("06092a864886f70d010904"), start)
    assert message < start + size
    assert problems(check(flip(data, message + 20))) == {"cms-digest"}


def test_statement_that_the_key_did_not_sign():
    assert problems(signed(statement=lambda _: b"another statement")) == {"cms-digest"}


def test_content_type_that_is_not_the_signed_one():
    assert problems(signed(content_type="signed_data")) == {"cms-digest"}


@pytest.mark.parametrize("which", [0, 1, 2], ids=["authority", "root", "signer"])
@pytest.mark.parametrize("where", ["names", "key", "signature"])
def test_certificate_that_is_corrupt(which: int, where: str):
    def corrupt(certificates: list[bytes]) -> list[bytes]:
        one = certificates[which]
        at = {"names": one.index(b"Example") + 2, "key": len(one) // 2, "signature": len(one) - 20}[where]
        return [flip(der, at) if der is one else der for der in certificates]

    signature = signed(bag=corrupt)
    assert signature.status == "invalid"
    assert "cms-chain" in problems(signature)


def test_any_flipped_byte_of_a_certificate_is_noticed():
    data = SIGNED.build()
    for der in SIGNING.certificates():
        at = data.index(der)
        for offset in range(0, len(der), 11):
            assert check(flip(data, at + offset)).status == "invalid", offset


def test_certificate_of_a_version_that_does_not_exist():
    def renumbered(certificates: list[bytes]) -> list[bytes]:
        return [*certificates[:2], certificates[2].replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")]

    assert "cms-chain" in problems(signed(bag=renumbered))


def test_leaf_that_another_key_signed():
    assert problems(signed(leaf_signed_by="Somebody")) == {"cms-chain"}


def test_signer_without_a_certificate():
    signature = signed(bag=lambda certificates: certificates[:2])
    assert (signature.kind, signature.status, problems(signature)) == ("other", "invalid", {"cms-chain"})


def test_leaf_that_is_used_as_an_authority():
    """What browsers once forgot: any customer's certificate could issue others."""
    leaf = certificate(EXAMPLE_CA, ROOT, purpose=ExtendedKeyUsageOID.CODE_SIGNING)
    assert problems(signed(marker=None, bag=lambda certificates: [leaf, *certificates[1:]])) == {"cms-chain"}


@pytest.mark.parametrize("purpose", [None, ExtendedKeyUsageOID.SERVER_AUTH])
def test_certificate_that_is_not_for_code(purpose: object):
    assert problems(signed(purpose=purpose)) == {"cms-chain"}


@pytest.mark.parametrize("whose", ["leaf_signs", "authority_signs"])
def test_key_that_is_not_for_signatures(whose: str):
    assert signed(**{whose: True}).status == "valid"
    assert problems(signed(**{whose: False})) == {"cms-chain"}


def test_critical_extension_that_nobody_here_knows():
    signature = signed(strange="1.2.3.4.5")
    assert (signature.status, signature.problems) == ("unknown", ())
    assert "1.2.3.4.5" in signature.unverified[0]


def test_certificate_that_ran_out_after_signing_does_no_harm():
    assert signed(until=SIGNED_AT + dt.timedelta(days=1)).status == "valid"


def test_certificate_that_had_run_out_before_signing():
    assert problems(signed(until=BEGIN + dt.timedelta(days=1))) == {"cms-chain"}


def test_signature_without_a_time_stamp_is_unknown():
    signature = signed(stamp=None)
    assert (signature.status, signature.timestamped) == ("unknown", False)
    assert signature.unverified == ("the time of signing, which no time stamp confirms",)
    assert signature.signed_at == "2026-03-04T05:06:07+00:00"


def test_apples_own_software_needs_no_time_stamp():
    assert signed(authority=APPLE_CA, marker=None, stamp=None).status == "valid"


def test_countersignature_is_a_time_stamp():
    signature = signed(stamp="countersignature")
    assert (signature.status, signature.timestamped) == ("valid", True)


@pytest.mark.parametrize("stamp", ["token", "countersignature"])
@pytest.mark.parametrize(
    "changes",
    [{"stamped": lambda _: b"another signature"}, {"stamp_purpose": ExtendedKeyUsageOID.CODE_SIGNING}],
    ids=["another's", "not for time stamps"],
)
def test_time_stamp_that_does_not_hold(stamp: str, changes: dict[str, object]):
    signature = signed(stamp=stamp, **changes)
    assert (signature.status, problems(signature)) == ("invalid", {"timestamp"})


def test_time_stamp_by_nobody_known():
    signature = signed(stamp_root=("Unknown Root", "Nobody"))
    assert (signature.status, signature.problems) == ("unknown", ())
    assert "'Unknown Root'" in signature.unverified[0]


def test_time_stamp_that_is_none():
    signature = signed(stamp=None, unsigned={"1.2.840.113549.1.9.16.2.14": [b"\x30\x03\x02\x01\x01"]})
    assert problems(signature) == {"timestamp"}


def test_lists_bind_the_alternate_directory():
    assert check(DUAL.build()).status == "valid"


def test_alternate_that_no_list_binds():
    """CMS signs the SHA-1 directory, the kernel goes by the SHA-256 one: without a list that is anybody's."""
    unlisted = replace(DUAL, cms=replace(SIGNING, listed=False))
    assert problems(check(unlisted.build())) == {"cms-digest"}


@pytest.mark.parametrize("attribute", [HASHES_PLIST, HASHES])
def test_list_of_other_directories(attribute: str):
    other = lists(Directory().build(b"other code", {}))
    assert problems(signed(attributes={attribute: other[attribute]})) == {"cms-digest"}


def test_directory_that_was_taken_out():
    both = []
    keeping = replace(DUAL, cms=lambda *made: both.extend(made) or SIGNING(*made))
    keeping.build()
    alone = replace(SIGNED, directories=DUAL.directories[:1], cms=lambda one: SIGNING(one, both[-1]))
    assert problems(check(alone.build())) == {"cms-digest"}


def test_ad_hoc_flag_beside_a_cms_structure():
    assert problems(check(replace(SIGNED, directories=(Directory(flags=ADHOC),)).build())) == {"codedirectory"}


@pytest.mark.parametrize("payload", [b"\0", b"0\x80", b"\x30\x03\x02\x01\x01", b"junk" * 100, b"\x30" * 3000])
def test_cms_that_is_none(payload: bytes):
    signature = check(replace(SIGNED, cms=lambda *_: payload).build())
    assert (signature.kind, signature.status, problems(signature)) == ("other", "invalid", {"malformed"})


def test_data_behind_the_cms_structure():
    padded = replace(SIGNED, cms=lambda directory: SIGNING(directory) + b"\0hidden")
    assert problems(check(padded.build())) == {"malformed"}


def test_key_that_is_too_short_is_no_proof(monkeypatch: pytest.MonkeyPatch):
    from binsafe.signatures import certificates

    monkeypatch.setattr(certificates, "MIN_RSA_BITS", 4096)
    signature = check(SIGNED.build())
    assert (signature.status, signature.problems) == ("unknown", ())
    assert "2048 bits" in signature.unverified[0]
    assert SIGNER[0] in signature.unverified[0]
    assert DEVELOPER_ID


BUILT = SIGNED.build()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(8, place(BUILT, CMS)[1] - 1), st.binary(min_size=1, max_size=4)), max_size=4))
def test_any_edit_of_the_cms_structure_is_survived(edits: list[tuple[int, bytes]]):
    edited = BUILT
    for at, value in edits:
        edited = patch(edited, place(BUILT, CMS)[0] + at, value)[: len(BUILT)]
    signature = check(edited)
    assert edited == BUILT or signature.status in {"unknown", "invalid", "valid"}
    msgspec.json.encode(signature)
