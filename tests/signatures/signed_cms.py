"""Makes CMS structures with certificates of our own: a root, an authority below it, a signer and a time stamper.

Tests hand ``ANCHORS`` to the verifier; without them our root is nobody's, as it is for users.
"""

import datetime as dt
import functools
import hashlib
import plistlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from binsafe.signatures.anchors import Anchors

DEVELOPER_ID = "1.2.840.113635.100.6.1.13"
DEVELOPER_ID_AUTHORITY = "1.2.840.113635.100.6.2.6"
APPLE_CA = ("Apple Code Signing Certification Authority", "Apple Inc.")
EXAMPLE_CA = ("Example CA", "Example Ltd")
ROOT = ("Example Root", "Example Ltd")
SIGNER = ("Example Signer", "Example Ltd")
TEAM = "TEAM123456"
"""Of the signer's certificate."""
STAMPER = ("Example Time Stamper", "Example Ltd")
SIGNED_AT = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2031, 12, 31, tzinfo=dt.UTC)
HASHES_PLIST, HASHES = "1.2.840.113635.100.9.1", "1.2.840.113635.100.9.2"
_ALGORITHMS = {
    "md5": hashes.MD5(),  # noqa: S303 - no signature may have it
    "sha1": hashes.SHA1(),  # noqa: S303 - signatures of the past have it
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
}


@functools.cache
def _key(name: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if name in {SIGNER[0], ROOT[0]}:
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def _sign(name: str, data: bytes, digest: str) -> bytes:
    key = _key(name)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), _ALGORITHMS[digest])
    return key.sign(data, ec.ECDSA(_ALGORITHMS[digest]))


def _name(common_name: str, organization: str) -> x509.Name:
    named = [(NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATION_NAME, organization)]
    named += [(NameOID.ORGANIZATIONAL_UNIT_NAME, TEAM)] if common_name == SIGNER[0] else []
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in named])


@functools.cache
def certificate(  # noqa: PLR0913 - one for each thing that may be wrong with one
    subject: tuple[str, str],
    issuer: tuple[str, str],
    *,
    authority: bool = False,
    purpose: ObjectIdentifier | None = None,
    purposes: tuple[ObjectIdentifier, ...] = (),
    marker: str | None = None,
    until: dt.datetime = END,
    strange: str | None = None,
    signed_by: str | None = None,
    signs: bool | None = None,
    padding: int = 0,
    below: int | None = None,
) -> bytes:
    """One certificate's DER; ``signed_by`` is whose key signs it, where that is not the issuer's.

    ``signs`` says whether its key may sign (data, and other certificates); None leaves that open. ``below`` is how many
    authorities may stand between it and a signer.
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(*subject))
        .issuer_name(_name(*issuer))
        .public_key(_key(subject[0]).public_key())
        .serial_number(1000 + len(subject[0]))
        .not_valid_before(BEGIN)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=below), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(_key(subject[0]).public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(_key(issuer[0]).public_key()), critical=False)
    )
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose, *purposes]), critical=True)
    if signs is not None:
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=signs, key_cert_sign=signs, key_encipherment=True, content_commitment=False,
                data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )  # fmt: skip
    for oid in (marker, strange):
        if oid is not None:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(ObjectIdentifier(oid), b"\x05\x00"), critical=True
            )
    if padding:
        comment = x509.UnrecognizedExtension(ObjectIdentifier("2.16.840.1.113730.1.13"), bytes(padding))
        builder = builder.add_extension(comment, critical=False)
    return builder.sign(_key(signed_by or issuer[0]), hashes.SHA256()).public_bytes(Encoding.DER)


def root() -> bytes:
    return certificate(ROOT, ROOT, authority=True)


@functools.cache
def anchors(family: str = "apple-root") -> Anchors:
    """A verifier's belief in our root."""
    loaded = x509.load_der_x509_certificate(root())
    return Anchors(families={hashlib.sha256(root()).hexdigest(): family}, certificates=(loaded,))


@dataclass(frozen=True, kw_only=True)
class Signing:
    """How something is signed; the defaults make a good Developer ID signature with a time stamp."""

    authority: tuple[str, str] = EXAMPLE_CA
    authority_marker: str | None = DEVELOPER_ID_AUTHORITY
    authority_purpose: ObjectIdentifier | None = None
    marker: str | None = DEVELOPER_ID
    purpose: ObjectIdentifier | None = ExtendedKeyUsageOID.CODE_SIGNING
    purposes: tuple[ObjectIdentifier, ...] = ()
    """More of them."""
    until: dt.datetime = END
    strange: str | None = None
    leaf_signed_by: str | None = None
    leaf_signs: bool | None = None
    authority_signs: bool | None = None
    bag: Callable[[list[bytes]], list[bytes]] = lambda certificates: certificates
    digest: str = "sha256"
    listed: bool = True
    attributes: Mapping[str, list[bytes]] = field(default_factory=dict)
    """More signed attributes: the DER of their values by type."""
    statement: Callable[[bytes], bytes] = lambda statement: statement
    """What is signed instead of the true statement."""
    stamp: str | None = "token"
    stamp_says_when: bool = True
    """Whether a countersignature has a signing time."""
    stamped: Callable[[bytes], bytes] = lambda signature: signature
    """What is time-stamped instead of the true signature."""
    stamp_purpose: ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING
    stamp_root: tuple[str, str] = ROOT
    stamp_type: str = "tst_info"
    """As content of what type the time stamper signs the time."""
    tokens: Callable[[bytes], list[bytes]] = lambda token: [token]
    """What stands in the place of the time stamp's token."""
    unsigned: Mapping[str, list[bytes]] = field(default_factory=dict)
    content_type: str | None = None
    """The content type that is signed, where it is not the true one."""

    def certificates(self) -> list[bytes]:
        """The authority's and the root's first, as codesign has them."""
        leaf = certificate(
            SIGNER, self.authority, purpose=self.purpose, marker=self.marker, until=self.until, strange=self.strange,
            signed_by=self.leaf_signed_by, signs=self.leaf_signs, purposes=self.purposes,
        )  # fmt: skip
        authority = certificate(
            self.authority, ROOT, authority=True, marker=self.authority_marker, signs=self.authority_signs,
            purpose=self.authority_purpose,
        )  # fmt: skip
        return [authority, root(), leaf]

    def __call__(self, directory: bytes, *alternates: bytes) -> bytes:
        """Sign CodeDirectories detached, as codesign does: the first one itself, all of them by Apple's lists."""
        attributes = dict(lists(directory, *alternates)) if self.listed else {}
        return replace(self, attributes=attributes | dict(self.attributes)).sign(None, "data", directory)

    def sign(self, enclosed: core.Asn1Value | None, content_type: str, hashed: bytes) -> bytes:
        """A SignedData about ``hashed``, which may be enclosed."""
        bag = self.certificates()
        info = self._info(SIGNER, bag[-1], self.content_type or content_type, hashed)
        signature = info["signature"].native
        unsigned = dict(self.unsigned)
        if self.stamp == "token":
            unsigned["1.2.840.113549.1.9.16.2.14"] = self.tokens(self._token(self.stamped(signature)))
        if self.stamp == "countersignature":
            stamper = self._stamper()
            bag.append(stamper)
            countersignature = self._info(STAMPER, stamper, "data", self.stamped(signature), plain=True)
            unsigned["1.2.840.113549.1.9.6"] = [countersignature.dump()]
        if unsigned:
            info["unsigned_attrs"] = cms.CMSAttributes([_attribute(name, values) for name, values in unsigned.items()])
        return _signed_data(self.bag(bag), info, content_type, enclosed, self.digest)

    def _info(
        self, who: tuple[str, str], certificate_: bytes, content_type: str, hashed: bytes, *, plain: bool = False
    ) -> cms.SignerInfo:
        named = asn1_x509.Certificate.load(certificate_)
        digest = "sha256" if plain else self.digest
        when = cms.CMSAttribute({"type": "signing_time", "values": [cms.Time(name="utc_time", value=SIGNED_AT)]})
        attributes = cms.CMSAttributes(
            [
                cms.CMSAttribute({"type": "content_type", "values": [content_type]}),
                *([when] if self.stamp_says_when or not plain else []),
                cms.CMSAttribute({"type": "message_digest", "values": [hashlib.new(digest, hashed).digest()]}),
                *([] if plain else [_attribute(name, values) for name, values in self.attributes.items()]),
            ]
        )
        statement = attributes.untag().dump()
        kind = "rsa" if isinstance(_key(who[0]), rsa.RSAPrivateKey) else "ecdsa"
        return cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    name="issuer_and_serial_number",
                    value={"issuer": named.issuer, "serial_number": named.serial_number},
                ),
                "digest_algorithm": algos.DigestAlgorithm({"algorithm": digest}),
                "signed_attrs": attributes,
                "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": f"{digest}_{kind}"}),
                "signature": _sign(who[0], statement if plain else self.statement(statement), digest),
            }
        )

    def _stamper(self) -> bytes:
        return certificate(STAMPER, self.stamp_root, purpose=self.stamp_purpose)

    def _token(self, signature: bytes) -> bytes:
        """An RFC 3161 token about a signature."""
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "1.2.3.4",
                "message_imprint": {
                    "hash_algorithm": {"algorithm": "sha256"},
                    "hashed_message": hashlib.sha256(signature).digest(),
                },
                "serial_number": 1,
                "gen_time": SIGNED_AT,
            }
        ).dump()
        stamper = self._stamper()
        signer = self._info(STAMPER, stamper, self.stamp_type, info, plain=True)
        enclosed = (core.OctetString if self.stamp_type == "data" else core.ParsableOctetString)(info)
        return _signed_data([stamper], signer, self.stamp_type, enclosed, "sha256")


def _attribute(name: str, values: list[bytes]) -> core.Asn1Value:
    """An attribute from the DER of its values, whatever asn1crypto knows of its type."""
    content = core.ObjectIdentifier(name).dump() + _wrap(0x31, b"".join(sorted(values)))
    return cms.CMSAttribute.load(_wrap(0x30, content))


def _wrap(tag: int, content: bytes) -> bytes:
    length = len(content).to_bytes(4, "big").lstrip(b"\0") or b"\0"
    return bytes([tag]) + (length if len(content) < 0x80 else bytes([0x80 | len(length)]) + length) + content


def _signed_data(
    bag: list[bytes], info: cms.SignerInfo, content_type: str, enclosed: core.Asn1Value | None, digest: str
) -> bytes:
    content: dict[str, object] = {"content_type": content_type}
    if enclosed is not None:
        content["content"] = enclosed
    signed = cms.SignedData(
        {
            "version": "v3" if content_type == "tst_info" else "v1",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": digest})],
            "encap_content_info": content,
            "certificates": [asn1_x509.Certificate.load(der) for der in bag],
            "signer_infos": [info],
        }
    )
    return cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()


def lists(*directories: bytes) -> Mapping[str, list[bytes]]:
    """Apple's two signed lists of CodeDirectories; each directory's own hash type says how it is hashed."""
    names = {1: ("sha1", "1.3.14.3.2.26"), 2: ("sha256", "2.16.840.1.101.3.4.2.1")}
    hashed = [(names[one[37]][1], hashlib.new(names[one[37]][0], one).digest()) for one in directories]
    plist = plistlib.dumps({"cdhashes": [digest[:20] for _, digest in hashed]}, fmt=plistlib.FMT_XML)
    pairs = [
        _wrap(0x30, core.ObjectIdentifier(algorithm).dump() + core.OctetString(digest).dump())
        for algorithm, digest in hashed
    ]
    return MappingProxyType({HASHES_PLIST: [core.OctetString(plist).dump()], HASHES: pairs})
