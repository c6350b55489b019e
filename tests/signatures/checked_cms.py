"""Signatures with a CMS structure of our own, checked: what the tests of them share."""

from collections.abc import Callable
from dataclasses import replace

from asn1crypto import cms, core
from signed_cms import Signing, anchors
from signed_macho import RUNTIME, SHA1, Directory, Recipe, thin_slice

from binsafe.model import Signature
from binsafe.signatures import verify
from binsafe.signatures.anchors import Anchors

SIGNING = Signing()
SIGNED = Recipe(directories=(Directory(flags=RUNTIME, team=b"TEAM123456"),), cms=SIGNING)
DUAL = replace(SIGNED, directories=(Directory(hash=SHA1, flags=RUNTIME), Directory(flags=RUNTIME)))


def check(data: bytes, believed: Anchors | None = None) -> Signature:
    return verify(thin_slice(data), believed or anchors())


def signed(**changes: object) -> Signature:
    return check(replace(SIGNED, cms=replace(SIGNING, **changes)).build())


def with_algorithm(signed_data: cms.SignedData) -> None:
    parameters = core.OctetString(b"payload" * 100)
    signed_data["digest_algorithms"].append({"algorithm": "1.2.3", "parameters": parameters})


def with_version(signed_data: cms.SignedData) -> None:
    signed_data["version"] = cms.CMSVersion.load(b"\x02\x82\x02\x00" + b"\1" + b"payload" * 73)


def with_revocations(signed_data: cms.SignedData) -> None:
    other = {"other_rev_info_format": "1.2.3", "other_rev_info": core.OctetString(b"payload")}
    signed_data["crls"] = [cms.RevocationInfoChoice(name="other", value=other)]


def with_certificate(signed_data: cms.SignedData) -> None:
    other = {"other_cert_format": "1.2.3", "other_cert": core.OctetString(b"payload")}
    signed_data["certificates"].append(cms.CertificateChoices(name="other", value=other))


def edited(encoded: bytes, edit: Callable[[cms.SignedData], None]) -> bytes:
    outer = cms.ContentInfo.load(encoded)
    edit(outer["content"])
    return outer.dump(force=True)


def with_attribute(signed_data: cms.SignedData) -> None:
    (signer,) = signed_data["signer_infos"]
    kept = [] if isinstance(signer["unsigned_attrs"], core.Void) else list(signer["unsigned_attrs"])
    signer["unsigned_attrs"] = cms.CMSAttributes([*kept, cms.CMSAttribute({"type": "1.2.3", "values": [core.Null()]})])


EDITS = [with_algorithm, with_version, with_revocations, with_certificate, with_attribute]
"""Put something where no signature covers it."""
