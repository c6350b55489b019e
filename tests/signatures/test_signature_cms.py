"""CMS in Mach-O signatures: what it claims is told apart, and is never called valid on its own word."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_cms import APPLE_CA, DEVELOPER_ID, signer
from signed_macho import ADHOC, CMS, RUNTIME, SHA1, Directory, Recipe, flip, patch, place, thin_slice

from binsafe.model import Signature, Signer
from binsafe.signatures import verify

SIGNED = Recipe(directories=(Directory(flags=RUNTIME, team=b"TEAM123456"),), cms=signer(marker=DEVELOPER_ID))


def check(data: bytes) -> Signature:
    return verify(thin_slice(data))


def problems(signature: Signature) -> set[str]:
    return {problem.id for problem in signature.problems}


@pytest.mark.parametrize(
    ("cms", "kind"),
    [
        (signer(marker=DEVELOPER_ID), "developer-id"),
        (signer(authority=APPLE_CA), "apple"),
        (signer(), "other"),
        (signer(marker="1.2.840.113635.100.6.1.14"), "other"),  # Developer ID Installer signs packages
        (signer(authority=("Apple Code Signing Certification Authority", "Somebody")), "other"),
    ],
)
def test_kind_is_a_claim_and_the_status_stays_unknown(cms: object, kind: str):
    signature = check(replace(SIGNED, cms=cms).build())
    assert (signature.kind, signature.status, signature.problems) == (kind, "unknown", ())
    assert signature.unverified == ("the CMS signature and its certificates",)
    assert (signature.chain, signature.notarization) == ("unknown", "unknown")


def test_signers_are_named_leaf_first():
    signature = check(SIGNED.build())
    assert signature.signers == (
        Signer(common_name="Example Signer", organization="Example Ltd", not_after="2031-12-31"),
        Signer(common_name="Example CA", organization="Example Ltd", not_after="2031-12-31"),
    )
    assert signature.signed_at == "2026-03-04T05:06:07+00:00"
    assert signature.timestamped is False


def test_time_stamp_is_seen():
    assert check(replace(SIGNED, cms=signer(timestamp=True)).build()).timestamped is True


def test_flipped_page_of_a_signed_program():
    assert problems(check(flip(SIGNED.build(), 0x1800))) == {"page-hash"}


def test_edited_directory_flag_is_not_what_was_signed():
    data = SIGNED.build()
    edited = patch(data, place(data, 0)[0] + 12, bytes(4))
    signature = check(edited)
    assert (signature.kind, signature.status, problems(signature)) == ("developer-id", "invalid", {"cms-digest"})


def test_signature_of_another_program():
    other = signer(marker=DEVELOPER_ID)(b"another CodeDirectory")
    assert problems(check(replace(SIGNED, cms=lambda _: other).build())) == {"cms-digest"}


def test_cms_signs_the_primary_of_two_directories():
    two = replace(SIGNED, directories=(Directory(hash=SHA1, flags=RUNTIME), Directory(flags=RUNTIME)))
    assert check(replace(two, cms=signer(digest="sha384")).build()).problems == ()


def test_ad_hoc_flag_beside_a_cms_structure():
    assert problems(check(replace(SIGNED, directories=(Directory(flags=ADHOC),)).build())) == {"codedirectory"}


@pytest.mark.parametrize("payload", [b"\0", b"0\x80", b"\x30\x03\x02\x01\x01", b"junk" * 100, b"\x30" * 3000])
def test_cms_that_is_none(payload: bytes):
    signature = check(replace(SIGNED, cms=lambda _: payload).build())
    assert (signature.kind, signature.status, problems(signature)) == ("other", "invalid", {"malformed"})


def test_data_behind_the_cms_structure():
    padded = replace(SIGNED, cms=lambda directory: signer()(directory) + b"\0hidden")
    assert problems(check(padded.build())) == {"malformed"}


BUILT = SIGNED.build()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(8, place(BUILT, CMS)[1] - 1), st.binary(min_size=1, max_size=4)), max_size=4))
def test_any_edit_of_the_cms_structure_is_survived(edits: list[tuple[int, bytes]]):
    edited = BUILT
    for at, value in edits:
        edited = patch(edited, place(BUILT, CMS)[0] + at, value)[: len(BUILT)]
    signature = check(edited)
    assert signature.status in {"unknown", "invalid"}
    msgspec.json.encode(signature)
