"""When something was signed, on another's word than the signer's: RFC 3161 tokens and PKCS #9 countersignatures."""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from cryptography import x509

from binsafe.model import Problem
from binsafe.signatures import certificates, cms
from binsafe.signatures.anchors import Anchors, Family
from binsafe.signatures.cms import SignerInfo
from binsafe.signatures.statements import Checked, check
from binsafe.signatures.structure import Outcome, StructureError

Bag = Mapping[bytes, x509.Certificate]


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """A time, and what is wrong with it; only with an empty ``outcome`` somebody known vouches for it.

    ``strange`` is what it holds for nothing, in words: neither its own signature nor the one it is about covers that.
    """

    time: dt.datetime
    outcome: Outcome
    path: tuple[x509.Certificate, ...]
    family: Family | None
    """Whose root its certificates lead to."""
    strange: tuple[str, ...]


def verify(signer: SignerInfo, bag: Bag, anchors: Anchors) -> Stamp | None:
    """The time stamp of a statement's signature; None where it has none.

    Raises:
        StructureError: a time stamp that cannot be read; its problem is "timestamp".
    """
    stamps = list(_stamps(signer, bag, anchors))
    if not stamps:
        return None
    best = next((stamp for stamp in stamps if stamp.outcome == Outcome()), stamps[0])
    doubtful = sum(stamp.outcome != Outcome() for stamp in stamps if stamp is not best)
    unread = sum(len(signer.unsigned.get(attribute, ())) for attribute in KINDS) - len(stamps)
    strange = [f"a time stamp with {what}" for stamp in stamps for what in stamp.strange]
    strange += [f"{doubtful} time stamps that prove nothing"] if doubtful else []
    strange += [f"{unread} time stamps that were not looked at"] if unread else []
    return msgspec.structs.replace(best, strange=tuple(dict.fromkeys(strange)))


def _stamps(signer: SignerInfo, bag: Bag, anchors: Anchors) -> Iterator[Stamp]:
    for attribute, read in KINDS.items():
        for value in signer.unsigned.get(attribute, ())[:MAX_STAMPS]:
            try:
                yield read(value, signer, bag, anchors)
            except StructureError as error:
                raise StructureError(f"the time stamp cannot be read: {error}", problem="timestamp") from error


def _token(value: bytes, signer: SignerInfo, _: Bag, anchors: Anchors) -> Stamp:
    """An RFC 3161 token: a CMS structure of its own about the hash of the signature."""
    message = cms.read(value)
    if message.content_type != cms.TIME_STAMP_INFO or message.content is None:
        raise StructureError(f"it holds {message.content_type}")
    info = cms.read_time_stamp(message.content)
    bag, unreadable = certificates.load(message.certificates)
    checked = check(
        message.signer,
        content=message.content,
        content_type=message.content_type,
        bag=bag,
        anchors=anchors,
        purpose=certificates.TIME_STAMPING,
        at=info.time,
    )
    imprint = hashlib.new(info.digest_algorithm, signer.signature, usedforsecurity=False).digest()
    strays = certificates.strays(tuple(bag.values()), checked.path.certificates, anchors)
    problems = (*unreadable, *strays, *(() if imprint == info.imprint else (_of_another(),)))
    alone = () if problems else certificates.isolated(tuple(bag.values()), checked.path.certificates, anchors)
    strange = (*message.spare, *message.signer.strange(), *alone)
    return _stamp(info.time, checked, Outcome(problems=problems), strange)


def _countersignature(value: bytes, signer: SignerInfo, bag: Bag, anchors: Anchors) -> Stamp:
    """A PKCS #9 countersignature (RFC 5652, 11.4): a statement about the signature, with a signing time."""
    counter = cms.read_signer(value, tuple(bag))
    if counter.signing_time is None:
        raise StructureError("it names no time")
    checked = check(
        counter,
        content=signer.signature,
        content_type=cms.DATA,
        bag=bag,
        anchors=anchors,
        purpose=certificates.TIME_STAMPING,
        at=counter.signing_time,
    )
    return _stamp(counter.signing_time, checked, Outcome(), counter.strange())


def _stamp(time: dt.datetime, checked: Checked, more: Outcome, strange: Iterable[str]) -> Stamp:
    """All that is wrong, under the one id that a time stamp's problems have."""
    found = checked.outcome + more
    unverified = [f"the time stamp: {what}" for what in found.unverified]
    if checked.path.family is None and not found.problems:
        top = checked.path.missing or certificates.common_name(checked.path.certificates[-1].subject)
        unverified.append(f"the time stamp, which leads to {top!r} and no known root")
    problems = tuple(Problem(id="timestamp", detail=f"the time stamp: {one.detail}") for one in found.problems)
    outcome = Outcome(problems=problems, unverified=tuple(unverified))
    path = checked.path
    return Stamp(time=time, outcome=outcome, path=path.certificates, family=path.family, strange=tuple(strange))


def _of_another() -> Problem:
    return Problem(id="timestamp", detail="it is about another signature")


MAX_STAMPS: Final = 4
"""Time stamps of one kind that are looked at; real signatures have one."""

KINDS: Final[Mapping[str, Callable[[bytes, SignerInfo, Bag, Anchors], Stamp]]] = {
    "1.2.840.113549.1.9.16.2.14": _token,
    "1.3.6.1.4.1.311.3.3.1": _token,
    "1.2.840.113549.1.9.6": _countersignature,
}
"""Unsigned attributes that carry a time: RFC 3161's, Microsoft's name for the same, and PKCS #9's countersignature."""
