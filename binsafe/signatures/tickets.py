"""Notarization tickets: Apple's word that it has seen some code, by cdhash, and found nothing wrong with it.

Apple does not describe them. The layout is that of a real one (``CMake.app`` of cmake 3.20.5), whose signature holds
over it: four words (magic, version, how many bytes of certificates and of list follow), the certificates as a DER
SEQUENCE with the signer's first, the list, and an ECDSA signature over all of that. All numbers are little-endian.
"""

import datetime as dt
import struct
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm

from binsafe.signatures import certificates, der, keys
from binsafe.signatures.anchors import Anchors
from binsafe.signatures.structure import StructureError, is_blank

MAX_BYTES: Final = 1024**2
"""Largest ticket; real ones have 2 to 100 KB."""

MAX_CERTIFICATES: Final = 8
"""Certificates that are looked at; real tickets bring two along."""

_ENVELOPE: Final = struct.Struct("<4sIII")
_LIST: Final = struct.Struct("<4sHHIIQ")
_HASH: Final = struct.Struct("<B20s")
_PADDING: Final = 8


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket taken apart; ``cdhashes`` are cut to 20 bytes, whatever they were made with."""

    certificates: tuple[bytes, ...]
    cdhashes: frozenset[bytes]
    time: dt.datetime
    statement: memoryview
    signature: bytes


def objection(data: memoryview, cdhashes: Iterable[str], anchors: Anchors) -> str | None:
    """Why a ticket says nothing of the code with these hashes; None where Apple, or who is believed instead, does."""
    try:
        ticket = read(data)
        if ticket.cdhashes.isdisjoint(map(bytes.fromhex, cdhashes)):
            return "is about other code"
        return _forgery(ticket, anchors)
    except StructureError as error:
        return f"cannot be read: {error}"


def read(data: memoryview) -> Ticket:
    """Take a ticket apart; nothing but a few zeros may follow its signature.

    Raises:
        StructureError: it is none, or of a version that is not known.
    """
    if len(data) > MAX_BYTES:
        raise StructureError(f"it has {len(data):,} bytes")
    magic, version, first, second = _unpack(_ENVELOPE, data)
    if (magic, version) != (b"s8ch", 1):
        raise StructureError(f"it starts with {magic!r} and version {version}")
    middle = _ENVELOPE.size + first
    end = middle + second
    listed, named = data[middle:end], data[_ENVELOPE.size : middle]
    magic, version, _, count, _, seconds = _unpack(_LIST, listed)
    hashes = listed[_LIST.size :]
    if (magic, version, count * _HASH.size) != (b"g8tk", 2, len(hashes)):
        raise StructureError(f"a list with {magic!r}, version {version} and {count} hashes in {len(hashes)} bytes")
    signature = der.element(data[end:])
    rest = data[end + signature.size :]
    if len(rest) >= _PADDING or not is_blank(rest):
        raise StructureError(f"{len(rest)} bytes follow its signature")
    bag = tuple(map(bytes, der.split(der.expect(named, der.SEQUENCE).content)))
    if not 1 <= len(bag) <= MAX_CERTIFICATES:
        raise StructureError(f"it holds {len(bag)} certificates")
    try:
        time = dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise StructureError(f"it was made {seconds} seconds after 1970") from error
    return Ticket(
        certificates=bag,
        cdhashes=frozenset(digest for _, digest in _HASH.iter_unpack(hashes)),
        time=time,
        statement=data[:end],
        signature=bytes(data[end : end + signature.size]),
    )


def _unpack(layout: struct.Struct, data: memoryview) -> tuple[Any, ...]:
    if len(data) < layout.size:
        raise StructureError(f"{len(data)} bytes where {layout.size} belong", problem="truncated")
    return layout.unpack_from(data)


def _forgery(ticket: Ticket, anchors: Anchors) -> str | None:
    """What shows that nobody who may has made it."""
    bag, unreadable = certificates.load(ticket.certificates)
    signer = bag.get(ticket.certificates[0])
    if signer is None or unreadable:
        return "has certificates that cannot be read"
    path = certificates.path(signer, tuple(bag.values()), anchors)
    fitness = certificates.fitness(path, at=ticket.time, purpose=certificates.NOTARIZATION)
    faults = (*path.problems, *fitness.problems)
    if faults:
        return f"is not genuine: {faults[0].detail}"
    if path.family != "apple-root" or fitness.unverified:
        return "is signed by nobody who is known to Apple"
    try:
        made = keys.signed(signer, ticket.signature, bytes(ticket.statement), digest="sha256")
    except (UnsupportedAlgorithm, ValueError):
        made = False
    return None if made else "is not genuine: its signature is not over what it says"
