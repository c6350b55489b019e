"""A CMS signer's statement, checked: is it about this content, did this key make it, and whose key is that."""

import datetime as dt
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ObjectIdentifier

from binsafe.model import Problem
from binsafe.signatures import certificates, keys
from binsafe.signatures.anchors import Anchors
from binsafe.signatures.certificates import Path
from binsafe.signatures.cms import SignerInfo
from binsafe.signatures.structure import Outcome

_SCHEMES: Final = ("rsassa_pkcs1v15", "rsa", "ecdsa")
"""How asn1crypto calls signature algorithms that name no digest of their own."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Whose statement it is, as far as that could be followed, and what is wrong with it."""

    path: Path
    outcome: Outcome


def check(
    signer: SignerInfo,
    *,
    content: bytes | memoryview,
    content_type: str,
    bag: Mapping[bytes, x509.Certificate],
    anchors: Anchors,
    purpose: ObjectIdentifier,
    at: dt.datetime | None,
) -> Checked:
    """Check one statement; certificates are judged at the time ``at``, which None leaves open."""
    said = _said(signer, content, content_type)
    leaf = None if signer.certificate is None else bag.get(signer.certificate)
    if leaf is None:
        nobody = Problem(id="cms-chain", detail="the signer's certificate is not in the CMS structure")
        return Checked(path=Path(certificates=()), outcome=said + Outcome(problems=(nobody,)))
    path = certificates.path(leaf, tuple(bag.values()), anchors)
    outcome = said + Outcome(problems=path.problems) + certificates.fitness(path, at=at, purpose=purpose)
    if not path.problems or len(path.certificates) > 1:  # a certificate that was changed has another key
        outcome += _made(signer, leaf)
    return Checked(path=path, outcome=outcome)


def _said(signer: SignerInfo, content: bytes | memoryview, content_type: str) -> Outcome:
    """Whether the statement is about this content (RFC 5652, 5.4 and 11.1)."""
    wrong = []
    if signer.digest(content) != signer.message_digest:
        wrong.append("the CMS structure signs something else: what is here, or the signed digest, was changed")
    if signer.content_type != content_type:
        wrong.append(f"the CMS structure signs content of type {signer.content_type} and holds {content_type}")
    return Outcome(problems=tuple(Problem(id="cms-digest", detail=detail) for detail in wrong))


def _made(signer: SignerInfo, leaf: x509.Certificate) -> Outcome:
    """Whether the certificate's key made the signature over the statement."""
    algorithm = signer.signature_algorithm
    if algorithm not in _SCHEMES and algorithm not in {f"{signer.digest_algorithm}_{key}" for key in _SCHEMES}:
        return Outcome(unverified=(f"the signature, which is made with {algorithm}",))
    try:
        if keys.signed(leaf, signer.signature, signer.statement, digest=signer.digest_algorithm):
            return Outcome()
    except (UnsupportedAlgorithm, ValueError) as error:
        return Outcome(unverified=(f"the signature: {error}",))
    detail = f"the key of {certificates.common_name(leaf.subject)!r} did not sign what the CMS structure states"
    return Outcome(problems=(Problem(id="cms-digest", detail=detail),))
