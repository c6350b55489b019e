"""CMS (RFC 5652) as code signatures use it: one signer, certificates in the bag, the rest in attributes.

asn1crypto reads it here, at one border, into plain structs; nothing of it is believed because it could be read.
Importing this module imports asn1crypto: only a file that carries a CMS structure pays for it.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec
from asn1crypto import cms, core, tsp, x509

from binsafe.signatures import der
from binsafe.signatures.structure import StructureError, strictly

MAX_BYTES: Final = 2 * 1024**2
"""Largest CMS structure that is read; real ones have 2 to 40 KB, and some 100 KB where they list a program's pages."""

MAX_APPLE_BYTES: Final = 256 * 1024
"""The same for Mach-O, which has no such lists but may have 20 slices, each with one; real ones have 9 to 20 KB."""

MAX_ATTRIBUTES: Final = 64
"""Attributes of one signer; real ones have 2 to 6."""

MAX_CERTIFICATES: Final = 32
"""Certificates in one bag; real ones hold 2 to 10."""

_FRAME_BYTES: Final = 256
"""All that is neither content, certificate, name nor attribute; real ones have 90 to 180 bytes of it."""

_ATTRIBUTE_CERTIFICATE_BYTES: Final = 1024
"""What Microsoft's time-stamping machines bring along about themselves (RFC 5755): one, of 850 to 900 bytes."""

DATA: Final = "1.2.840.113549.1.7.1"
TIME_STAMP_INFO: Final = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_TIME: Final = "1.2.840.113549.1.9.5"

_VERSIONS: Final = {"issuer_and_serial_number": "v1", "subject_key_identifier": "v3"}
"""Of a signer, by how it names its certificate (RFC 5652, 5.3)."""

_DIGESTS = frozenset({"sha1", "sha256", "sha384", "sha512"})


class SignerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One signer's statement. ``signed`` and ``unsigned`` map an attribute's type to the DER of its values.

    ``certificate`` is the DER of the certificate that the statement names, None where the bag does not have it;
    ``statement`` is what the signature is over: the DER of all signed attributes.
    """

    certificate: bytes | None
    digest_algorithm: str
    signature_algorithm: str
    signature: bytes
    statement: bytes
    signed: Mapping[str, tuple[bytes, ...]]
    unsigned: Mapping[str, tuple[bytes, ...]]
    content_type: str
    message_digest: bytes
    signing_time: dt.datetime | None

    def digest(self, data: bytes | memoryview) -> bytes:
        """The hash of some bytes under the signer's digest algorithm."""
        return hashlib.new(self.digest_algorithm, data, usedforsecurity=False).digest()

    def strange(self, known: AbstractSet[str] = frozenset()) -> Iterator[str]:
        """The unsigned attributes that are not ``known`` ones, in words."""
        yield from (f"an unsigned attribute of type {name}" for name in sorted(self.unsigned.keys() - known))


class SignedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a CMS structure says: ``content`` is what it encloses, ``certificates`` the DER of those in its bag.

    ``spare`` is what it holds for nothing, in words: nobody signed it, and code signatures have none of it.
    """

    content_type: str
    content: bytes | None
    certificates: tuple[bytes, ...]
    signer: SignerInfo
    spare: tuple[str, ...] = ()


class TimeStampInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a time-stamping authority signs (RFC 3161, 2.4.2): it saw something with that hash at that time."""

    digest_algorithm: str
    imprint: bytes
    time: dt.datetime


@strictly("the CMS structure")
def read(data: bytes | memoryview, *, most: int = MAX_BYTES) -> SignedMessage:
    """Read one CMS structure of at most ``most`` bytes.

    Raises:
        StructureError: it is no SignedData, has not exactly one signer with signed attributes, or cannot be read.
    """
    if len(data) > most:
        raise StructureError(f"a CMS structure of {len(data)} bytes is not read")
    outer = cms.ContentInfo.load(bytes(data), strict=True)
    if outer["content_type"].native != "signed_data":
        raise StructureError("the CMS structure is not signed data")
    signed = outer["content"]
    if len(signed["signer_infos"]) != 1:
        raise StructureError(f"the CMS structure has {len(signed['signer_infos'])} signers instead of one")
    bag = _bag(signed["certificates"])
    enclosed = signed["encap_content_info"]
    signer = _signer(signed["signer_infos"][0], bag)
    if signer.digest_algorithm not in {one["algorithm"].native for one in signed["digest_algorithms"]}:
        raise StructureError("the CMS structure does not list the digest of its signer")  # RFC 5652, 5.1
    return SignedMessage(
        content_type=enclosed["content_type"].dotted,
        content=_content(enclosed["content"]),
        certificates=bag,
        signer=signer,
        spare=tuple(_spare(signed, len(data))),
    )


@strictly("the CMS structure")
def read_signer(data: bytes, bag: tuple[bytes, ...]) -> SignerInfo:
    """Read a SignerInfo that stands alone, as PKCS #9's countersignature does; its certificate is in another's bag.

    Raises:
        StructureError: as ``read`` does.
    """
    return _signer(cms.SignerInfo.load(data, strict=True), bag)


@strictly("the CMS structure")
def read_time_stamp(content: bytes) -> TimeStampInfo:
    """Read what a time stamp encloses.

    Raises:
        StructureError: it is no TSTInfo.
    """
    info = tsp.TSTInfo.load(content, strict=True)
    imprint = info["message_imprint"]
    return TimeStampInfo(
        digest_algorithm=_digest(imprint["hash_algorithm"]),
        imprint=imprint["hashed_message"].native,
        time=info["gen_time"].native.astimezone(dt.UTC),
    )


def _signer(signer: Any, bag: tuple[bytes, ...]) -> SignerInfo:
    if signer["version"].native != _VERSIONS[signer["sid"].name]:
        raise StructureError("the version of the CMS signer is not the one that its way to name a certificate has")
    signed = _attributes(signer["signed_attrs"])
    if MESSAGE_DIGEST not in signed or CONTENT_TYPE not in signed:
        raise StructureError("the CMS structure does not sign a message digest and a content type")
    times = signed.get(SIGNING_TIME)
    return SignerInfo(
        certificate=next((one for one in bag if _is_named_by(one, signer["sid"])), None),
        digest_algorithm=_digest(signer["digest_algorithm"]),
        signature_algorithm=signer["signature_algorithm"]["algorithm"].native,
        signature=signer["signature"].native,
        statement=der.encode(der.SET, signer["signed_attrs"].contents),
        signed=signed,
        unsigned=_attributes(signer["unsigned_attrs"]),
        content_type=core.ObjectIdentifier.load(_only(signed[CONTENT_TYPE])).dotted,
        message_digest=core.OctetString.load(_only(signed[MESSAGE_DIGEST]), strict=True).native,
        signing_time=None if times is None else cms.Time.load(_only(times)).native.astimezone(dt.UTC),
    )


def _digest(algorithm: Any) -> str:
    name: str = algorithm["algorithm"].native
    if name not in _DIGESTS:
        raise StructureError(f"the CMS structure hashes with {name!r}")
    return name


def _content(enclosed: Any) -> bytes | None:
    """The enclosed content's own octets: PKCS #7 (RFC 2315, 9.3) leaves tag and length out of what is hashed."""
    if isinstance(enclosed, core.Void) or not enclosed.contents:
        return None
    if isinstance(enclosed, core.OctetString):
        return bytes(enclosed)
    wrapper = der.expect(memoryview(enclosed.dump()), der.CONTEXT_0)
    return bytes(der.expect(wrapper.content, der.SEQUENCE, der.OCTET_STRING).content)


def _attributes(attributes: Any) -> dict[str, tuple[bytes, ...]]:
    """Attributes by type; one type may stand there once (RFC 5652, 5.3: a set without repetitions)."""
    found: dict[str, tuple[bytes, ...]] = {}
    if not isinstance(attributes, core.Void) and len(attributes) > MAX_ATTRIBUTES:
        raise StructureError(f"the CMS structure has {len(attributes)} attributes of one kind")
    for attribute in () if isinstance(attributes, core.Void) else attributes:
        name = attribute["type"].dotted
        if name in found:
            raise StructureError(f"the CMS attribute {name} is there twice")
        values = der.expect(memoryview(attribute.dump()), der.SEQUENCE).content
        values = der.expect(values[der.element(values).size :], der.SET).content
        found[name] = tuple(bytes(values_) for values_ in der.split(values))
    return found


def _only(values: tuple[bytes, ...]) -> bytes:
    if len(values) != 1:
        raise StructureError("a CMS attribute has more than one value")
    return values[0]


def _spare(signed: Any, size: int) -> Iterator[str]:
    """Places of a SignedData of ``size`` bytes that the signature does not cover and nobody reads: room for data."""
    if len(signed["crls"]):
        yield f"{len(signed['crls'])} lists of revoked certificates"
    others = [choice for choice in signed["certificates"] if choice.name != "certificate"]
    stamping = signed["encap_content_info"]["content_type"].dotted == TIME_STAMP_INFO
    usual = stamping and [one.name for one in others] == ["v2_attr_cert"]
    if others and not (usual and len(others[0].dump()) <= _ATTRIBUTE_CERTIFICATE_BYTES):
        yield f"{len(others)} certificates that are not X.509's"
    (signer,) = signed["signer_infos"]
    told = [signed[name] for name in ("encap_content_info", "certificates", "crls")]
    told += [signer[name] for name in ("sid", "signed_attrs", "signature", "unsigned_attrs")]
    frame = size - sum(len(one.dump()) for one in told)
    if frame > _FRAME_BYTES:
        yield f"{frame} bytes of version numbers and algorithms"


def _bag(bag: Any) -> tuple[bytes, ...]:
    if len(bag) > MAX_CERTIFICATES:
        raise StructureError(f"the CMS structure holds {len(bag)} certificates")
    return tuple(choice.chosen.dump() for choice in bag if choice.name == "certificate")


def _is_named_by(certificate: bytes, signer: Any) -> bool:
    """Whether a SignerIdentifier means this certificate; one that cannot be read is nobody's."""
    try:
        named, known = signer.chosen, x509.Certificate.load(certificate)
        if signer.name == "subject_key_identifier":
            return bool(known.key_identifier == named.native)
        same_issuer = known["tbs_certificate"]["issuer"].dump() == named["issuer"].dump()
        return bool(same_issuer and known.serial_number == named["serial_number"].native)
    except Exception:  # noqa: BLE001 - as everywhere with asn1crypto; what cannot be read is reported with the bag
        return False
