"""Makes CMS structures with certificates of our own: they name whom they like, and nobody trusts them."""

import datetime as dt
import functools
from collections.abc import Callable

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

DEVELOPER_ID = "1.2.840.113635.100.6.1.13"
APPLE_CA = ("Apple Code Signing Certification Authority", "Apple Inc.")
OTHER_CA = ("Example CA", "Example Ltd")
SIGNED_AT = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
_BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_END = dt.datetime(2031, 12, 31, tzinfo=dt.UTC)


@functools.cache
def _key(_: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _name(common_name: str, organization: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        ]
    )


@functools.cache
def _certificate(subject: tuple[str, str], issuer: tuple[str, str], marker: str | None) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(*subject))
        .issuer_name(_name(*issuer))
        .public_key(_key(subject[0]).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
    )
    if marker is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(ObjectIdentifier(marker), b"\x05\x00"), critical=True
        )
    return builder.sign(_key(issuer[0]), hashes.SHA256()).public_bytes(Encoding.DER)


def signer(
    *,
    authority: tuple[str, str] = OTHER_CA,
    marker: str | None = None,
    timestamp: bool = False,
    digest: str = "sha256",
) -> Callable[[bytes], bytes]:
    """A function that signs data with a certificate of that kind, detached, as codesign does."""
    return lambda data: sign(None, "data", data, authority=authority, marker=marker, timestamp=timestamp, digest=digest)


def sign(
    enclosed: core.Asn1Value | None,
    content_type: str,
    hashed: bytes,
    *,
    authority: tuple[str, str] = OTHER_CA,
    marker: str | None = None,
    timestamp: bool = False,
    digest: str = "sha256",
) -> bytes:
    """A SignedData with two certificates, the authority's first, and one signer."""
    leaf_der = _certificate(("Example Signer", "Example Ltd"), authority, marker)
    bag = [asn1_x509.Certificate.load(der) for der in (_certificate(authority, authority, None), leaf_der)]
    leaf = bag[1]
    algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}[digest]
    state = hashes.Hash(algorithm)
    state.update(hashed)
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": [content_type]}),
            cms.CMSAttribute({"type": "signing_time", "values": [cms.Time(name="utc_time", value=SIGNED_AT)]}),
            cms.CMSAttribute({"type": "message_digest", "values": [state.finalize()]}),
        ]
    )
    info = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                name="issuer_and_serial_number",
                value={"issuer": leaf.issuer, "serial_number": leaf.serial_number},
            ),
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": digest}),
            "signed_attrs": attributes,
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": f"{digest}_rsa"}),
            "signature": _key("Example Signer").sign(attributes.untag().dump(), padding.PKCS1v15(), algorithm),
        }
    )
    if timestamp:
        token = cms.ContentInfo({"content_type": "data", "content": b"no real token"})
        info["unsigned_attrs"] = [cms.CMSAttribute({"type": "signature_time_stamp_token", "values": [token]})]
    content: dict[str, object] = {"content_type": content_type}
    if enclosed is not None:
        content["content"] = enclosed
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": digest})],
            "encap_content_info": content,
            "certificates": bag,
            "signer_infos": [info],
        }
    )
    return cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
