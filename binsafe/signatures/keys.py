"""Whose key made a signature: on a certificate, or over what a CMS signer states."""

from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from binsafe.signatures import der

_HASHES: Final = {
    "sha1": hashes.SHA1(),  # noqa: S303 - Apple's time stamps and the signatures of the 2000s are made with it
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ECDSA: Final = {digest: ec.ECDSA(algorithm) for digest, algorithm in _HASHES.items()}
"""Made here, because the first one loads modules: a confined parser can load none."""
UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)
"""What cryptography raises for a certificate that it cannot read."""


def has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool | None:
    """Whether the issuer's key made the signature on a certificate; None for an algorithm that is not looked at.

    As ``verify_directly_issued_by``, which no longer takes the SHA-1 of certificates from before 2016.
    """
    if issuer.subject != certificate.issuer or not _says_one_algorithm(certificate):
        return False
    try:
        algorithm = certificate.signature_hash_algorithm
        if algorithm is None or algorithm.name not in _HASHES:
            return None
        kind = certificate.signature_algorithm_parameters
        return _made(issuer, certificate.signature, certificate.tbs_certificate_bytes, algorithm, kind)
    except UNREADABLE:
        return None


def _says_one_algorithm(certificate: x509.Certificate) -> bool:
    """Whether a certificate names the same algorithm in what is signed and beside it (RFC 5280, 4.1.1.2)."""
    tbs, outer, *_ = der.elements(der.element(memoryview(certificate.public_bytes(Encoding.DER))).content)
    fields = [one for one in der.elements(tbs.content) if one.tag != der.CONTEXT_0]  # the version, where it is not 1
    return len(fields) > 1 and fields[1].content == outer.content


def signed(certificate: x509.Certificate, signature: bytes, data: bytes, *, digest: str) -> bool:
    """Whether a certificate's key made a signature, with RSA (PKCS #1 v1.5) or ECDSA over the named digest.

    Raises:
        UnsupportedAlgorithm, ValueError: the key is of another kind, or cannot be read.
    """
    return _made(certificate, signature, data, _HASHES[digest], padding.PKCS1v15())


def _made(
    certificate: x509.Certificate,
    signature: bytes,
    data: bytes,
    algorithm: hashes.HashAlgorithm,
    kind: padding.PKCS1v15 | padding.PSS | ec.ECDSA | None,
) -> bool:
    """Whether a certificate's key made a signature; ``kind`` matters for RSA only, which pads in two ways."""
    key = certificate.public_key()
    try:
        match key, kind:
            case rsa.RSAPublicKey(), padding.PKCS1v15() | padding.PSS():
                key.verify(signature, data, kind, algorithm)
            case ec.EllipticCurvePublicKey(), _:
                key.verify(signature, data, _ECDSA[algorithm.name])
            case _:
                raise UnsupportedAlgorithm("neither RSA nor ECDSA")
    except InvalidSignature:
        return False
    return True
