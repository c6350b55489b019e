"""CMS in Mach-O signatures, signed by authorities of our own: each tampering is named for what it is."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from asn1crypto import cms, core
from checked_cms import DUAL, EDITS, SIGNED, SIGNING, check, edited, signed
from hypothesis import given, settings
from hypothesis import strategies as st
from macho_verdicts import problems
from signed_cms import EXAMPLE_CA, HASHES, HASHES_PLIST, SIGNER, anchors, certificate, lists
from signed_macho import ADHOC, CMS, RUNTIME, Directory, flip, patch, place

from binsafe.model import Signer
from binsafe.signatures.cms import MAX_ATTRIBUTES, MAX_CERTIFICATES, read
from binsafe.signatures.structure import StructureError


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


@pytest.mark.parametrize(("team", "held"), [(b"TEAM123456", True), (b"", True), (b"OTHER12345", False)])
def test_a_team_that_the_certificate_does_not_name(team: bytes, held: bool):
    """Anybody's Developer ID can sign a CodeDirectory that names another's team."""
    signature = check(replace(SIGNED, directories=(Directory(flags=RUNTIME, team=team),)).build())
    assert (signature.status, problems(signature)) == (("valid", set()) if held else ("invalid", {"team-differs"}))


def test_certificate_of_apples_for_nobody_knows_what():
    """Who gets such a one, and what macOS makes of it, is not known."""
    signature = check(replace(SIGNED, cms=replace(SIGNING, marker=None)).build())
    assert (signature.kind, signature.status, problems(signature)) == ("other", "unknown", set())
    other = replace(SIGNED, directories=(Directory(flags=RUNTIME, team=b"OTHER12345"),))
    assert problems(check(replace(other, cms=replace(SIGNING, marker=None)).build())) == {"team-differs"}


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


def test_digest_that_anybody_can_forge():
    signature = signed(digest="md5")
    assert (signature.status, "hashes with 'md5'" in signature.problems[0].detail) == ("invalid", True)
    assert signed(digest="sha384").status == "valid"


def _with_a_second_digest(signed_data: cms.SignedData) -> None:
    for attribute in signed_data["signer_infos"][0]["signed_attrs"]:
        if attribute["type"].native == "message_digest":
            attribute["values"].append(core.OctetString(bytes(32)))


def _with_an_attribute_again(signed_data: cms.SignedData) -> None:
    attributes = signed_data["signer_infos"][0]["signed_attrs"]
    attributes.append(attributes[0].copy())


def _with_many_attributes(signed_data: cms.SignedData) -> None:
    attributes = signed_data["signer_infos"][0]["signed_attrs"]
    for number in range(MAX_ATTRIBUTES):
        attributes.append(cms.CMSAttribute({"type": f"1.2.3.{number}", "values": [core.Null()]}))


def _with_many_certificates(signed_data: cms.SignedData) -> None:
    for _ in range(MAX_CERTIFICATES):
        signed_data["certificates"].append(signed_data["certificates"][0].copy())


def _with_a_version_of_another_kind(signed_data: cms.SignedData) -> None:
    signed_data["signer_infos"][0]["version"] = "v3"


def _with_digests_of_nobody(signed_data: cms.SignedData) -> None:
    signed_data["digest_algorithms"] = [{"algorithm": "sha1"}]


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (_with_a_version_of_another_kind, "version of the CMS signer"),
        (_with_digests_of_nobody, "does not list the digest"),
        (_with_a_second_digest, "more than one value"),
        (_with_an_attribute_again, "is there twice"),
        (_with_many_attributes, "attributes of one kind"),
        (_with_many_certificates, "certificates$"),
    ],
)
def test_what_a_structure_may_hold_once_or_a_few_times(edit: Callable[[cms.SignedData], None], what: str):
    structure = SIGNING(Directory().build(b"a program", {}))
    assert read(structure).signer.digest_algorithm == "sha256"
    with pytest.raises(StructureError, match=what):
        read(edited(structure, edit))


@pytest.mark.parametrize(
    ("algorithm", "status"),
    [("sha256_rsa", "valid"), ("rsassa_pkcs1v15", "valid"), ("rsassa_pss", "unknown"), ("sha1_rsa", "unknown")],
)
def test_algorithm_that_is_not_looked_at_is_no_proof_of_anything(algorithm: str, status: str):
    def named(signed_data: cms.SignedData) -> None:
        signed_data["signer_infos"][0]["signature_algorithm"] = {"algorithm": algorithm}

    signature = check(replace(SIGNED, cms=lambda *directories: edited(SIGNING(*directories), named)).build())
    assert (signature.status, signature.problems) == (status, ())


def test_statement_that_the_key_did_not_sign():
    assert problems(signed(statement=lambda _: b"another statement")) == {"cms-digest"}


def with_content(signed_data: cms.SignedData) -> None:
    signed_data["encap_content_info"] = {"content_type": "data", "content": b"payload"}


@pytest.mark.parametrize("edit", [*EDITS, with_content])
def test_room_for_data_that_nobody_signed(edit: Callable[[cms.SignedData], None]):
    """The signature holds whatever stands there, so that it must not look as if it covered it."""

    signature = check(replace(SIGNED, cms=lambda *directories: edited(SIGNING(*directories), edit)).build())
    assert (signature.status, problems(signature)) == ("valid", {"uncovered-bytes"})


def test_content_type_that_is_not_the_signed_one():
    assert problems(signed(content_type="signed_data")) == {"cms-digest"}


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


@pytest.mark.parametrize(
    ("least", "bits", "whose"), [("MIN_RSA_BITS", 2048, SIGNER), ("MIN_CURVE_BITS", 256, EXAMPLE_CA)]
)
def test_key_that_is_too_short_is_no_proof(
    monkeypatch: pytest.MonkeyPatch, least: str, bits: int, whose: tuple[str, str]
):
    from binsafe.signatures import certificates

    monkeypatch.setattr(certificates, least, 2 * bits)
    signature = check(SIGNED.build())
    assert (signature.status, signature.problems) == ("unknown", ())
    assert any(f"{bits} bits" in doubt and whose[0] in doubt for doubt in signature.unverified)


BUILT = SIGNED.build()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(8, place(BUILT, CMS)[1] - 1), st.binary(min_size=1, max_size=4)), max_size=4))
def test_any_edit_of_the_cms_structure_is_survived(edits: list[tuple[int, bytes]]):
    edited = BUILT
    for at, value in edits:
        edited = patch(edited, place(BUILT, CMS)[0] + at, value)[: len(BUILT)]
    signature = check(edited)
    assert signature.status != "absent"
    msgspec.json.encode(signature)


@pytest.mark.parametrize("attribute", [HASHES_PLIST, HASHES])
@pytest.mark.parametrize("count", [0, 2])
def test_list_with_another_number_of_values(attribute: str, count: int):
    true = lists(Directory(flags=RUNTIME, team=b"TEAM123456").build(b"other code", {}))[attribute]
    signature = signed(attributes={attribute: true * count})
    assert signature.status == "invalid"


def test_what_nobody_signed_is_told_of():
    """Unsigned attributes and certificates of nobody are room for data: it can be changed, and nothing would show."""
    signature = signed(unsigned={"1.2.3.4": [b"\x04\x07payload"]})
    assert (signature.status, problems(signature)) == ("valid", {"uncovered-bytes"})
    alone = certificate(("Data", "Nobody"), ("Data", "Nobody"), authority=True)
    signature = signed(bag=lambda bag: [alone, *bag])
    assert (signature.status, problems(signature)) == ("valid", {"uncovered-bytes"})


@pytest.mark.parametrize("family", ["microsoft-root", "public-root"])
def test_a_root_that_macos_does_not_believe(family: str):
    program = replace(SIGNED, cms=replace(SIGNING, marker=None)).build()
    signature = check(program, anchors(family))
    assert (signature.chain, signature.status) == (family, "unknown")
