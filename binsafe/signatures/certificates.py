"""X.509 certificates: who vouches for whom, up to a root that is pinned, and whether each may.

The path is built by hand and each step verified with the issuer's key (RFC 5280, 6.1, without policies and names): a
general path verifier refuses Apple's certificates for their critical extensions, which only Apple's own code knows.
Revocation is not looked at: that would take the network, and a signature must be judged without it.
"""

import datetime as dt
import warnings
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID, ObjectIdentifier

from binsafe.model import Problem, Signer
from binsafe.signatures.anchors import Anchors, Family
from binsafe.signatures.identity import APPLE_EXTENSIONS
from binsafe.signatures.keys import UNREADABLE, has_issued
from binsafe.signatures.structure import Outcome, StructureError

CODE_SIGNING: Final = ExtendedKeyUsageOID.CODE_SIGNING
TIME_STAMPING: Final = ExtendedKeyUsageOID.TIME_STAMPING
NOTARIZATION: Final = ObjectIdentifier("1.2.840.113635.100.6.1.30")
"""No usage of RFC 5280: Apple marks the certificates that sign its tickets with an extension of their own."""

_LIFETIME: Final = ObjectIdentifier("1.3.6.1.4.1.311.10.3.13")
"""``szOID_KP_LIFETIME_SIGNING``: what it signs is no longer valid when it has run out, time stamp or not."""
_ANY: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
_PURPOSES: Final = {
    CODE_SIGNING: "signing code",
    TIME_STAMPING: "time stamps",
    NOTARIZATION: "notarization tickets",
}

MAX_PATH: Final = 8
"""Longest path; real ones have 3 or 4 certificates."""

MAX_SPARE_BYTES: Final = 4096
"""Of a certificate beside the path; real ones have 900 to 2,300 bytes."""

MIN_RSA_BITS: Final = 2048
MIN_CURVE_BITS: Final = 224
"""NIST SP 800-57, part 1, table 2: no stronger than RSA with 2048 bits."""

_UNDERSTOOD: Final = frozenset(
    {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
    | {ExtensionOID.CERTIFICATE_POLICIES, ExtensionOID.SUBJECT_KEY_IDENTIFIER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER}
)
"""Extensions that may be critical, because they are looked at here or limit nothing that is asked."""

_E = TypeVar("_E", bound=x509.ExtensionType)


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """Certificates, leaf first, each signed by the next; ``family`` is whose root the last one is, None for nobody's.

    ``missing`` is whom the last certificate names as its issuer, where nobody has that certificate.
    """

    certificates: tuple[x509.Certificate, ...]
    family: Family | None = None
    missing: str | None = None
    problems: tuple[Problem, ...] = ()


def load(encoded: Iterable[bytes]) -> tuple[dict[bytes, x509.Certificate], tuple[Problem, ...]]:
    """The certificates that can be read by their DER, and a problem for those that cannot."""
    found: dict[bytes, x509.Certificate] = {}
    unreadable = 0
    for one in encoded:
        try:
            with (
                warnings.catch_warnings()
            ):  # names of more than 64 letters, serial numbers below 1: real ones have them
                warnings.simplefilter("ignore")
                certificate = x509.load_der_x509_certificate(one)
                _ = certificate.subject, certificate.issuer, certificate.not_valid_after_utc  # are read when asked for
            found[one] = certificate
        except UNREADABLE:
            unreadable += 1
    return found, ((_broken(f"{unreadable} of the certificates cannot be read"),) if unreadable else ())


def path(leaf: x509.Certificate, bag: tuple[x509.Certificate, ...], anchors: Anchors) -> Path:
    """From a certificate upwards, to a pinned root or as far as it goes."""
    chain = [leaf]
    while len(chain) < MAX_PATH:
        last = chain[-1]
        family = anchors.family(last)
        if family is not None:
            return Path(certificates=tuple(chain), family=family)
        candidates = [one for one in (*anchors.certificates, *bag) if one != last and _may_have_issued(one, last)]
        answers = [has_issued(one, last) for one in candidates]
        issuer = next((one for one, answer in zip(candidates, answers, strict=True) if answer), None)
        if issuer is None:
            return _end(chain, forged=False in answers and None not in answers)
        if issuer in chain:
            break
        chain.append(issuer)
    return Path(certificates=tuple(chain), problems=(_broken("the certificates sign each other without an end"),))


def _end(chain: list[x509.Certificate], *, forged: bool) -> Path:
    """A path that ends without a root; ``forged``: a certificate at hand is named as issuer and did not sign."""
    last = chain[-1]
    if forged or (last.subject == last.issuer and has_issued(last, last) is False):
        detail = f"{common_name(last.issuer)!r} did not sign the certificate of {common_name(last.subject)!r}"
        return Path(certificates=tuple(chain), problems=(_broken(detail),))
    missing = None if last.subject == last.issuer else common_name(last.issuer)
    return Path(certificates=tuple(chain), missing=missing)


def strays(bag: tuple[x509.Certificate, ...], used: Iterable[x509.Certificate], anchors: Anchors) -> Iterator[Problem]:
    """Certificates beside the path that their issuer, who is at hand, did not sign, or that pose as one that is known.

    No authority gives one number twice (RFC 5280, 4.1.2.2): another certificate with a known one's is a changed copy.
    """
    used, roots = set(used), anchors.certificates
    pinned = {one.subject for one in roots}
    known = {(one.issuer, one.serial_number) for one in (*roots, *used)}
    for one in bag:
        if one in used or anchors.family(one) is not None:
            continue
        issuers = [other for other in (*roots, *bag) if _must_have_issued(other, one)]
        if issuers and all(has_issued(other, one) is False for other in issuers):
            detail = f"{common_name(one.issuer)!r} did not sign the certificate of {common_name(one.subject)!r}"
            yield _broken(detail)
            continue
        poses = (one.issuer, one.serial_number) in known or (one.subject == one.issuer and one.subject in pinned)
        if poses and not any(has_issued(other, one) for other in (*roots, *bag)):
            yield _broken(f"the certificate of {common_name(one.subject)!r} is not the one that is known")


def isolated(bag: tuple[x509.Certificate, ...], used: Iterable[x509.Certificate], anchors: Anchors) -> Iterator[str]:
    """That certificates are connected to nothing that is known, or are far too large: neither path nor roots need them.

    An authority's other certificates are brought along at times; one of anybody else's is a place to put data into, and
    so are several that vouch for each other alone.
    """
    known, used = [*used, *anchors.certificates], set(used)
    spare = [one for one in bag if one not in used and anchors.family(one) is None]
    while near := [
        one for one in spare if _size(one) <= MAX_SPARE_BYTES and any(_related(one, other) for other in known)
    ]:
        known = near  # the others have been compared with those before
        spare = [one for one in spare if one not in near]
    if spare:
        yield f"{len(spare)} certificates that have nothing to do with the signer"


def _size(certificate: x509.Certificate) -> int:
    return len(certificate.public_bytes(Encoding.DER))


def _related(one: x509.Certificate, other: x509.Certificate) -> bool:
    return bool(has_issued(one, other) or has_issued(other, one))


def fitness(found: Path, *, at: dt.datetime | None, purpose: ObjectIdentifier) -> Outcome:
    """Whether the certificates of a path may do what they do, at that time; a pinned root is asked nothing."""
    own = found.certificates[:-1] if found.family is not None else found.certificates
    problems: list[Problem] = []
    unverified: list[str] = []
    for height, certificate in enumerate(own):
        name = common_name(certificate.subject)
        try:
            faults = list(_faults(certificate, height, purpose))
            doubts = list(_doubts(certificate))
        except UNREADABLE as error:
            raise StructureError(f"the certificate of {name!r} cannot be read: {error}", problem="cms-chain") from error
        if at is not None and not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            faults.append(f"was not valid at {at.isoformat()}")
        problems += [_broken(f"the certificate of {name!r} {fault}") for fault in faults]
        unverified += [f"the certificate of {name!r}, {doubt}" for doubt in doubts]
    return Outcome(problems=tuple(problems), unverified=tuple(unverified))


def _faults(certificate: x509.Certificate, height: int, purpose: ObjectIdentifier) -> Iterator[str]:
    """What a certificate does and may not, as the end of a sentence."""
    usage = extension(certificate, x509.KeyUsage)
    if height == 0:
        if not _serves(certificate, purpose):
            yield f"is not for {_PURPOSES[purpose]}"
        if usage is not None and not usage.digital_signature:
            yield "is not for signatures"
        return
    basic = extension(certificate, x509.BasicConstraints)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        yield "is not an authority's"
    elif basic.path_length is not None and height - 1 > basic.path_length:
        yield "may not stand so far above"
    elif not _may_issue_for(certificate, purpose):
        yield f"may not issue any for {_PURPOSES[purpose]}"


def _serves(certificate: x509.Certificate, purpose: ObjectIdentifier) -> bool:
    if purpose == NOTARIZATION:
        return purpose.dotted_string in markers(certificate)
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    return purposes is not None and purpose in purposes


def _may_issue_for(authority: x509.Certificate, purpose: ObjectIdentifier) -> bool:
    """Whether an authority's own usages have that purpose: Windows takes them as a limit on all that it issues."""
    purposes = extension(authority, x509.ExtendedKeyUsage)
    return purpose == NOTARIZATION or purposes is None or purpose in purposes or _ANY in purposes


def _doubts(certificate: x509.Certificate) -> Iterator[str]:
    """What keeps a certificate from proving anything, as the end of a sentence."""
    for one in certificate.extensions:
        known = one.oid in _UNDERSTOOD or one.oid.dotted_string.startswith(APPLE_EXTENSIONS)
        if one.critical and not known:
            yield f"whose extension {one.oid.dotted_string} is critical and not known here"
    if _LIFETIME in (extension(certificate, x509.ExtendedKeyUsage) or ()):
        yield "with which its signatures run out, too: whether it has was not looked at"
    key = certificate.public_key()
    least = MIN_RSA_BITS if isinstance(key, rsa.RSAPublicKey) else MIN_CURVE_BITS
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) and key.key_size < least:
        yield f"whose key has only {key.key_size} bits"


def markers(certificate: x509.Certificate) -> frozenset[str]:
    """The object identifiers of a certificate's extensions, none if they cannot be read."""
    try:
        return frozenset(one.oid.dotted_string for one in certificate.extensions)
    except UNREADABLE:
        return frozenset()


def extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    """The certificate's extension of that kind."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def describe(certificate: x509.Certificate) -> Signer:
    """Whom a certificate names."""
    return Signer(
        common_name=_joined(certificate.subject, NameOID.COMMON_NAME),
        organization=_joined(certificate.subject, NameOID.ORGANIZATION_NAME),
        not_after=certificate.not_valid_after_utc.date().isoformat(),
    )


def units(certificate: x509.Certificate) -> tuple[str, ...]:
    """The organizational units that a certificate names."""
    named = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return tuple(str(one.value) for one in named)


def common_name(name: x509.Name) -> str:
    """What people call a name: its common name, else all of it."""
    return _joined(name, NameOID.COMMON_NAME) or name.rfc4514_string()


def _joined(name: x509.Name, attribute: ObjectIdentifier) -> str | None:
    return " / ".join(str(one.value) for one in name.get_attributes_for_oid(attribute)) or None


def _may_have_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Named as the issuer, by name or by key: one changed byte cannot hide both."""
    return issuer.subject == certificate.issuer or _same_key(issuer, certificate) is True


def _must_have_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Named as the issuer, by key, or by name where the key is not said: of one name there may be several keys."""
    same = _same_key(issuer, certificate)
    return issuer.subject == certificate.issuer if same is None else same


def _same_key(issuer: x509.Certificate, certificate: x509.Certificate) -> bool | None:
    """Whether a certificate says that its issuer has this certificate's key; None where one of them does not say."""
    try:
        own = extension(issuer, x509.SubjectKeyIdentifier)
        named = extension(certificate, x509.AuthorityKeyIdentifier)
    except UNREADABLE:
        return None
    if own is None or named is None or named.key_identifier is None:
        return None
    return own.digest == named.key_identifier


def _broken(detail: str) -> Problem:
    return Problem(id="cms-chain", detail=detail)
