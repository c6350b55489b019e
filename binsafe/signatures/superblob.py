"""The SuperBlob: what LC_CODE_SIGNATURE points at. Big-endian whatever the code is.

Layout: SC_SuperBlob, CS_BlobIndex and SC_GenericBlob in xnu's osfmk/kern/cs_blobs.h.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum
from itertools import pairwise
from typing import Final

import msgspec

from binsafe.signatures.structure import StructureError

MAX_BLOBS: Final = 64
"""Blobs in one signature: 26 slots have a meaning, the richest real signature met has 9."""


class Magic(IntEnum):
    """The first word of a blob (``CSMAGIC_...``)."""

    REQUIREMENT = 0xFADE0C00
    REQUIREMENTS = 0xFADE0C01
    CODE_DIRECTORY = 0xFADE0C02
    EMBEDDED_SIGNATURE = 0xFADE0CC0
    ENTITLEMENTS = 0xFADE7171
    DER_ENTITLEMENTS = 0xFADE7172
    LAUNCH_CONSTRAINT = 0xFADE8181
    WRAPPER = 0xFADE0B01


class Slot(IntEnum):
    """Where a blob belongs (``CSSLOT_...``); 1 to 11 are also the numbers of the special hashes."""

    CODE_DIRECTORY = 0
    INFO_PLIST = 1
    REQUIREMENTS = 2
    CODE_RESOURCES = 3
    APPLICATION = 4
    ENTITLEMENTS = 5
    DER_ENTITLEMENTS = 7
    ALTERNATE_CODE_DIRECTORIES = 0x1000
    SIGNATURE = 0x10000
    TICKET = 0x10002


SPECIAL_SLOTS: Final = range(1, 33)
"""Slots whose components have a special hash in each CodeDirectory. The kernel knows 11, a later one perhaps more."""

CONSTRAINT_SLOTS: Final[Mapping[int, str]] = {8: "self", 9: "parent", 10: "responsible", 11: "library"}
"""``CSSLOT_LAUNCH_CONSTRAINT_SELF`` to ``CSSLOT_LIBRARY_CONSTRAINT``, by what is constrained."""

SIGNATURE_SLOTS: Final = (Slot.SIGNATURE, Slot.TICKET)
"""Slots that are about the CodeDirectories and so cannot be covered by them."""

_MAGIC_OF_SLOT: Final[Mapping[int, Magic]] = {
    Slot.REQUIREMENTS: Magic.REQUIREMENTS,
    Slot.ENTITLEMENTS: Magic.ENTITLEMENTS,
    Slot.DER_ENTITLEMENTS: Magic.DER_ENTITLEMENTS,
    Slot.SIGNATURE: Magic.WRAPPER,
    **dict.fromkeys(CONSTRAINT_SLOTS, Magic.LAUNCH_CONSTRAINT),
}

_SUPERBLOB = struct.Struct(">III")
_INDEX = struct.Struct(">II")
_BLOB = struct.Struct(">II")


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """One blob; ``data`` is all of it, header included, because that is what hashes are made of."""

    slot: int
    magic: int
    offset: int
    data: memoryview

    @property
    def end(self) -> int:
        """Where it ends in the signature."""
        return self.offset + len(self.data)

    @property
    def payload(self) -> memoryview:
        """The blob without its 8 bytes of header."""
        return self.data[_BLOB.size :]


class SuperBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A signature taken apart: its blobs by slot, how many bytes it says it has, and which of them are in no blob."""

    blobs: Mapping[int, Blob]
    size: int
    gaps: tuple[tuple[int, int], ...]

    def payload(self, slot: int) -> memoryview | None:
        """The content of a slot; None where the signature has none."""
        blob = self.blobs.get(slot)
        return None if blob is None else blob.payload


def read(signature: memoryview) -> SuperBlob:
    """Take a signature apart.

    Stricter than the kernel: blobs that overlap and slots that occur twice leave open which of two readings a loader
    takes, and no signer writes them.

    Raises:
        StructureError: counts, offsets or lengths that lead outside, or that contradict each other.
    """
    if len(signature) < _SUPERBLOB.size:
        raise StructureError(f"the signature has {len(signature)} bytes, less than its own header", problem="truncated")
    magic, size, count = _SUPERBLOB.unpack_from(signature)
    if magic != Magic.EMBEDDED_SIGNATURE:
        raise StructureError(f"the signature starts with {magic:#010x}, not with {Magic.EMBEDDED_SIGNATURE:#010x}")
    if size > len(signature):
        raise StructureError(f"the signature says {size} bytes and {len(signature)} are there", problem="truncated")
    index_end = _SUPERBLOB.size + count * _INDEX.size
    if count > MAX_BLOBS or index_end > size:
        raise StructureError(f"the signature's index of {count} blobs cannot be right")
    blobs = [
        _blob(signature[:size], slot, offset, index_end)
        for slot, offset in _INDEX.iter_unpack(signature[_SUPERBLOB.size : index_end])
    ]
    by_slot = {blob.slot: blob for blob in blobs}
    if len(by_slot) != len(blobs):
        raise StructureError("two blobs of the signature claim the same slot")
    placed = sorted(blobs, key=lambda blob: blob.offset)
    for one, other in pairwise(placed):
        if one.end > other.offset:
            raise StructureError(f"the blobs in slots {one.slot:#x} and {other.slot:#x} overlap")
    starts, ends = [*(one.offset for one in placed), size], [index_end, *(one.end for one in placed)]
    return SuperBlob(blobs=by_slot, size=size, gaps=tuple(zip(ends, starts, strict=True)))


def _blob(superblob: memoryview, slot: int, offset: int, floor: int) -> Blob:
    if not floor <= offset <= len(superblob) - _BLOB.size:
        raise StructureError(f"the blob in slot {slot:#x} lies outside the signature")
    magic, size = _BLOB.unpack_from(superblob, offset)
    if not _BLOB.size <= size <= len(superblob) - offset:
        raise StructureError(f"the blob in slot {slot:#x} has an impossible length of {size} bytes")
    expected = _MAGIC_OF_SLOT.get(slot)
    if expected is not None and magic != expected:
        raise StructureError(f"the blob in slot {slot:#x} starts with {magic:#010x}, not with {expected:#010x}")
    return Blob(slot=slot, magic=magic, offset=offset, data=superblob[offset : offset + size])
