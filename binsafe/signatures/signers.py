"""Who signed a piece of code, and when: a CMS structure with its certificates and its time stamp, verified."""

import datetime as dt
from typing import Literal

import msgspec
from cryptography import x509

from binsafe.model import Signer
from binsafe.signatures import certificates, timestamps
from binsafe.signatures.anchors import Anchors, Family
from binsafe.signatures.cms import SignedMessage
from binsafe.signatures.statements import check
from binsafe.signatures.structure import Outcome, StructureError, strictly

Chain = Literal[Family, "other", "unknown"]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a CMS structure leads to, leaf first, and what is wrong with it.

    ``time`` is the time stamp's, else the one that the signer claims; ``timestamped`` says that there is a time stamp.
    ``missing`` is who issued the last certificate, where that authority's own is nowhere at hand. ``strange`` is what
    the structure holds for nothing, in words: it is room for data that nobody signed.
    """

    path: tuple[x509.Certificate, ...]
    chain: Chain
    missing: str | None
    time: dt.datetime | None
    timestamped: bool
    stamper: Family | None
    """Whose root the time stamp's certificates lead to."""
    outcome: Outcome
    strange: tuple[str, ...]

    @property
    def signers(self) -> tuple[Signer, ...]:
        """Whom the certificates name, leaf first."""
        return tuple(certificates.describe(one) for one in self.path)

    @property
    def signed_at(self) -> str | None:
        """The time as ISO 8601 in UTC."""
        return None if self.time is None else self.time.isoformat(timespec="seconds")


@strictly("the certificates", problem="cms-chain")
def verify(
    message: SignedMessage, content: bytes | memoryview, anchors: Anchors, *, attributes: frozenset[str]
) -> Signed:
    """Verify one CMS structure about some content; ``attributes`` are the unsigned ones that mean something.

    All certificates are judged at the time of signing: one that has run out since does no harm. Without a time stamp
    that time is the signer's own claim, which is for the caller to accept or not.

    Raises:
        StructureError: a certificate that leads on cannot be read.
    """
    bag, unreadable = certificates.load(message.certificates)
    try:
        stamp = timestamps.verify(message.signer, bag, anchors)
    except StructureError as error:
        stamp = None
        unreadable += (error.problem,)
    time = message.signer.signing_time if stamp is None else stamp.time
    checked = check(
        message.signer,
        content=content,
        content_type=message.content_type,
        bag=bag,
        anchors=anchors,
        purpose=certificates.CODE_SIGNING,
        at=time,
    )
    path = checked.path
    strays = tuple(certificates.strays(tuple(bag.values()), path.certificates, anchors))
    outcome = checked.outcome + Outcome(problems=unreadable + strays) + (stamp.outcome if stamp else Outcome())
    broken = bool(path.problems) or not path.certificates
    used = (*path.certificates, *(stamp.path if stamp else ()))
    followed = not broken or path.family is not None
    if path.family is None and not broken:
        top = path.missing or certificates.common_name(path.certificates[-1].subject)
        outcome += Outcome(unverified=(f"its certificates, which lead to {top!r} and no known root",))
    return Signed(
        path=path.certificates,
        chain=path.family or ("unknown" if broken else "other"),
        missing=path.missing,
        time=time,
        timestamped=stamp is not None,
        stamper=stamp.family if stamp else None,
        outcome=outcome,
        strange=(
            *message.spare,
            *message.signer.strange(attributes),
            *(certificates.isolated(tuple(bag.values()), used, anchors) if followed else ()),
            *(stamp.strange if stamp else ()),
        ),
    )
