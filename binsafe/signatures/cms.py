"""CMS (RFC 5652) as code signatures use it: one signer, certificates in the bag, the rest in attributes.

asn1crypto reads it here, at one border, into plain structs; nothing of it is believed because it could be read.
Importing this module imports asn1crypto: only a file that carries a CMS structure pays for it.
"""

import hashlib
from typing import Any, Final

import msgspec
from asn1crypto import cms, core, x509

from binsafe.model import Signer
from binsafe.signatures import der
from binsafe.signatures.structure import StructureError

MAX_BYTES: Final = 8 * 1024**2
"""Largest CMS structure that is read; real ones have 2 KB to some 100 KB."""

MAX_CERTIFICATES: Final = 64
"""Certificates in one bag; real ones hold 2 to 6."""

_DIGESTS = frozenset({"sha1", "sha256", "sha384", "sha512"})
_MESSAGE_DIGEST, _SIGNING_TIME = "message_digest", "signing_time"
_TIME_STAMP_TOKENS = frozenset({"1.2.840.113549.1.9.16.2.14", "1.3.6.1.4.1.311.3.3.1", "1.2.840.113549.1.9.6"})
"""Unsigned attributes that carry a time: RFC 3161's, Microsoft's name for the same, and PKCS #9's countersignature."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate: its DER, whom it names, and the object identifiers of its extensions."""

    der: bytes
    subject: Signer
    extensions: frozenset[str]


class SignedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a CMS structure says. ``chain`` is built from names alone, leaf first; ``content`` is what it encloses."""

    chain: tuple[Certificate, ...]
    content_type: str
    content: bytes | None
    digest_algorithm: str
    message_digest: bytes
    signed_at: str | None
    timestamped: bool

    def digest(self, data: bytes | memoryview) -> bytes:
        """The hash of some bytes under the signer's digest algorithm."""
        return hashlib.new(self.digest_algorithm, data, usedforsecurity=False).digest()


def read(data: memoryview) -> SignedMessage:
    """Read one CMS structure.

    Raises:
        StructureError: it is no SignedData, has not exactly one signer with signed attributes, or cannot be read.
    """
    if len(data) > MAX_BYTES:
        raise StructureError(f"a CMS structure of {len(data)} bytes is not read")
    try:
        return _read(bytes(data))
    except StructureError:
        raise
    except Exception as error:  # asn1crypto parses lazily and lets TypeError, KeyError and more through
        raise StructureError(f"the CMS structure cannot be read: {type(error).__name__}") from error


def _read(data: bytes) -> SignedMessage:
    outer = cms.ContentInfo.load(data, strict=True)
    if outer["content_type"].native != "signed_data":
        raise StructureError("the CMS structure is not signed data")
    signed = outer["content"]
    if len(signed["signer_infos"]) != 1:
        raise StructureError(f"the CMS structure has {len(signed['signer_infos'])} signers instead of one")
    signer = signed["signer_infos"][0]
    digest_algorithm = signer["digest_algorithm"]["algorithm"].native
    if digest_algorithm not in _DIGESTS:
        raise StructureError(f"the CMS structure hashes with {digest_algorithm!r}")
    attributes = _attributes(signer["signed_attrs"])
    if _MESSAGE_DIGEST not in attributes:
        raise StructureError("the CMS structure does not sign a message digest")
    signed_at = attributes.get(_SIGNING_TIME)
    enclosed = signed["encap_content_info"]
    return SignedMessage(
        chain=_chain(signed["certificates"], signer["sid"]),
        content_type=enclosed["content_type"].dotted,
        content=_content(enclosed["content"]),
        digest_algorithm=digest_algorithm,
        message_digest=attributes[_MESSAGE_DIGEST].native,
        signed_at=None if signed_at is None else signed_at.native.isoformat(),
        timestamped=bool(_TIME_STAMP_TOKENS & _types(signer["unsigned_attrs"])),
    )


def _content(enclosed: Any) -> bytes | None:
    """The enclosed content's own octets: PKCS #7 (RFC 2315, 9.3) leaves tag and length out of what is hashed."""
    if isinstance(enclosed, core.Void) or not enclosed.contents:
        return None
    wrapper = der.expect(memoryview(enclosed.dump()), der.CONTEXT_0)
    return bytes(der.expect(wrapper.content, der.SEQUENCE, der.OCTET_STRING).content)


def _attributes(attributes: Any) -> dict[str, Any]:
    """The attributes that are used here, by name, each with its only value (RFC 5652, 11.2 and 11.3)."""
    found: dict[str, Any] = {}
    for attribute in attributes:
        name = attribute["type"].native
        if name not in {_MESSAGE_DIGEST, _SIGNING_TIME}:
            continue
        if name in found or len(attribute["values"]) != 1:
            raise StructureError(f"the CMS attribute {name!r} has more than one value")
        found[name] = attribute["values"][0]
    return found


def _types(attributes: Any) -> set[str]:
    return {attribute["type"].dotted for attribute in attributes}


def _chain(bag: Any, signer: Any) -> tuple[Certificate, ...]:
    """The signer's certificate and its issuers by name, as far as the bag goes: nobody has checked their signatures."""
    if len(bag) > MAX_CERTIFICATES:
        raise StructureError(f"the CMS structure holds {len(bag)} certificates")
    certificates = [choice.chosen for choice in bag if choice.name == "certificate"]
    leaf = next((one for one in certificates if _is_named_by(one, signer)), None)
    chain: list[x509.Certificate] = []
    while leaf is not None and leaf not in chain:
        chain.append(leaf)
        issuer = leaf.issuer
        leaf = next((one for one in certificates if one.subject == issuer), None)
    return tuple(_certificate(one) for one in chain)


def _is_named_by(certificate: x509.Certificate, signer: Any) -> bool:
    if signer.name == "subject_key_identifier":
        return bool(certificate.key_identifier == signer.chosen.native)
    named = signer.chosen
    return bool(certificate.issuer == named["issuer"] and certificate.serial_number == named["serial_number"].native)


def _certificate(certificate: x509.Certificate) -> Certificate:
    names = certificate.subject.native
    extensions = certificate["tbs_certificate"]["extensions"]
    return Certificate(
        der=certificate.dump(),
        subject=Signer(
            common_name=_one_line(names.get("common_name")),
            organization=_one_line(names.get("organization_name")),
            not_after=certificate.not_valid_after.date().isoformat(),
        ),
        extensions=frozenset(extension["extn_id"].dotted for extension in extensions),
    )


def _one_line(name: Any) -> str | None:
    """A name may be there several times."""
    return " / ".join(name) if isinstance(name, list) else name
