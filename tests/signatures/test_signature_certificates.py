"""Certificates in Mach-O signatures: whose they are, what they may be used for, and who vouches for them."""

import datetime as dt
from dataclasses import replace

import pytest
from asn1crypto import cms as asn1
from checked_cms import SIGNED, SIGNING, check, signed
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from macho_verdicts import problems
from signed_cms import APPLE_CA, EXAMPLE_CA, ROOT, SIGNED_AT, SIGNER, anchors, certificate, root
from signed_macho import flip, thin_slice

from binsafe.signatures import certificates, cms, verify
from binsafe.signatures.anchors import Anchors, pinned
from binsafe.signatures.certificates import has_issued
from binsafe.signatures.structure import StructureError


def test_root_may_be_left_out_of_the_signature():
    assert signed(bag=lambda certificates: certificates[:1] + certificates[2:]).status == "valid"


def test_our_root_is_nobodys_root():
    """A whole false hierarchy with the right names and markers; only the pinned fingerprint is missing."""
    signature = verify(thin_slice(SIGNED.build()))
    assert (signature.kind, signature.status, signature.chain) == ("developer-id", "invalid", "other")
    assert problems(signature) == {"cms-chain"}


def test_an_earlier_certificate_of_a_pinned_root_has_its_key():
    earlier = certificate(ROOT, ROOT, authority=True, until=dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    signature = signed(bag=lambda bag: [*bag, earlier])
    assert (signature.status, signature.problems) == ("valid", ())


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
    assert (signature.kind, signature.certificate_type) == (kind, type_)
    assert signature.status == ("valid" if type_ else "unknown")


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
    assert {shipped.family(one) for one in roots} == {"apple-root", "microsoft-root", "public-root"}
    assert len(others) == 3
    assert all(any(has_issued(root_, one) for root_ in roots) for one in others)


def test_developer_id_leaf_from_another_authority_of_apple():
    signature = signed(authority_marker=None)
    assert (signature.status, problems(signature)) == ("invalid", {"cms-chain"})


def test_certificate_of_a_private_authority_is_unknown():
    signature = check(replace(SIGNED, cms=replace(SIGNING, marker=None)).build(), Anchors(families={}, certificates=()))
    assert (signature.kind, signature.status, signature.chain) == ("other", "unknown", "other")
    assert "no known root" in " ".join(signature.unverified)


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


def test_a_known_authority_is_brought_along_as_it_is_known():
    """The path goes by the known one: a byte changed in the copy, where it says whose key signed it, went unnoticed."""
    authority = x509.load_der_x509_certificate(SIGNING.certificates()[0])
    believed = Anchors(families=anchors().families, certificates=(*anchors().certificates, authority))
    data, der = SIGNED.build(), SIGNING.certificates()[0]
    assert check(data, believed).status == "valid"
    named = authority.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    changed = check(flip(data, data.index(der) + der.index(named)), believed)
    assert problems(changed) == {"cms-chain"}


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


@pytest.mark.parametrize(("below", "may"), [(None, True), (1, True), (0, False)])
def test_authority_that_stands_too_far_above(below: int | None, may: bool):
    """RFC 5280, 4.2.1.9: how many authorities may stand between it and the signer."""
    upper, lower = ("Upper CA", "Example Ltd"), ("Lower CA", "Example Ltd")
    encoded = [
        certificate(SIGNER, lower, purpose=certificates.CODE_SIGNING),
        certificate(lower, upper, authority=True),
        certificate(upper, ROOT, authority=True, below=below),
    ]
    bag = tuple(certificates.load(encoded)[0].values())
    found = certificates.path(bag[0], bag, anchors())
    assert (found.family, len(found.certificates)) == ("apple-root", 4)
    outcome = certificates.fitness(found, at=SIGNED_AT, purpose=certificates.CODE_SIGNING)
    assert [problem.detail for problem in outcome.problems] == [
        "the certificate of 'Upper CA' may not stand so far above"
    ] * (not may)


def test_certificate_whose_signatures_end_with_it_is_no_proof():
    """Windows takes no time stamp of them for longer (lifetime signing), and what the time is now is not asked here."""
    signature = signed(purposes=(ObjectIdentifier("1.3.6.1.4.1.311.10.3.13"),))
    assert (signature.status, signature.problems) == ("unknown", ())
    assert "run out" in signature.unverified[0]


def test_authority_that_is_held_to_other_certificates():
    assert signed(authority_purpose=ExtendedKeyUsageOID.CODE_SIGNING).status == "valid"
    assert problems(signed(authority_purpose=ExtendedKeyUsageOID.SERVER_AUTH)) == {"cms-chain"}


@pytest.mark.parametrize("whose", ["leaf_signs", "authority_signs"])
def test_key_that_is_not_for_signatures(whose: str):
    assert signed(**{whose: True}).status == "valid"
    assert problems(signed(**{whose: False})) == {"cms-chain"}


def test_critical_extension_that_nobody_here_knows():
    signature = signed(strange="1.2.3.4.5")
    assert (signature.status, signature.problems) == ("unknown", ())
    assert "1.2.3.4.5" in signature.unverified[0]


def test_no_pair_of_certificates_is_compared_twice_when_looking_for_hidden_data(monkeypatch: pytest.MonkeyPatch):
    """Each comparison may check a signature: a long chain, brought along last one first, took 20 seconds."""
    names = [(f"Authority {number}", "Example Ltd") for number in range(6)]
    made = [certificate(name, issuer, authority=True) for name, issuer in zip(names[1:], names, strict=False)]
    first, *others = map(x509.load_der_x509_certificate, made)
    compared: list[tuple[x509.Certificate, x509.Certificate]] = []

    def counted(issuer: x509.Certificate, one: x509.Certificate) -> bool | None:
        compared.append((issuer, one))
        return has_issued(issuer, one)

    monkeypatch.setattr(certificates, "has_issued", counted)
    assert list(certificates.isolated(tuple(reversed(others)), [first], anchors())) == []
    assert len(compared) == len(set(compared))
