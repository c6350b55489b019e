"""Call frame information: where functions start and end, read from ``.eh_frame`` itself.

Linux Standard Base Core 5.0, section 10.6, and DWARF 4, section 6.4. What ``.eh_frame_hdr`` lists is the same, but
static programs often have none.
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from binsafe.formats.eh_pointers import OMITTED, Cursor
from binsafe.limits import MAX_UNWOUND
from binsafe.model import Slice

_ABSOLUTE_4, _RELATIVE_4, _INDIRECT = 0x03, 0x1B, 0x80
"""Encodings of a function's address that are read: ``DW_EH_PE_udata4``, and ``DW_EH_PE_pcrel | DW_EH_PE_sdata4``."""
_ADVANCES = frozenset({0x00, 0x02, 0x03, 0x04, *range(0x40, 0x80)})
"""What says nothing of the first instruction: ``DW_CFA_nop``, and all forms of ``DW_CFA_advance_loc``."""
_LONGEST = 1 << 20
"""Bytes of an entry."""
_PERSONALITY, _FUNCTION, _LANGUAGE = b"PRL"
_ARGUMENTS = 0x2E
"""``DW_CFA_GNU_args_size``: what was pushed for a call is gone where an exception out of it is caught."""
UNKNOWN = -1
"""In place of an address."""


class Extent(NamedTuple):
    """One function, or a part of one that was split off."""

    start: int
    end: int
    whole: bool
    """Whether its frame is that of a call at its first instruction: what was split off has its function's, mostly."""
    table: int = 0
    """Where its `exception_table` is; 0 where it has none, and `UNKNOWN`."""
    pushes: bool = False
    """Whether a call out of which an exception comes may have arguments on the stack that were pushed for it."""

    @property
    def catches(self) -> bool:
        """Whether exceptions may be caught in it, or objects destroyed by them."""
        return self.table != 0


class Frames(NamedTuple):
    """What the section says."""

    extents: tuple[Extent, ...]
    """By address."""
    personalities: frozenset[int]
    """Functions that the unwinder calls."""

    def holding(self, address: int) -> Extent | None:
        """The last one that begins before an address and goes on behind it; None where the last that begins does not.

        Parts of a function lie behind each other, not in each other.
        """
        at = bisect_right(self.extents, address, key=lambda extent: extent.start) - 1
        return self.extents[at] if at >= 0 and address < self.extents[at].end else None


class Common(NamedTuple):
    """One common information entry: what its functions share."""

    encoding: int
    augmented: bool
    personality: int | None
    language: int = OMITTED
    """How a function's pointer to its `exception_table` is encoded."""


def frames(slice_: Slice) -> Frames | None:
    """The functions of a slice; None where there is no such section, it is too long, or not all is understood."""
    section = slice_.section(".eh_frame")
    if section is None or section.address + section.size >= 1 << 32:
        return None
    try:
        return _Reader(bytes(slice_.contents(section)), section.address).read()
    except (LookupError, ValueError):
        return None


def extent(slice_: Slice, address: int) -> Extent:
    """The function of one entry.

    Raises:
        LookupError, ValueError: it is not as expected.
    """
    entry = _entry(slice_, address)
    return entry.function(4, common(slice_, address + 4 - entry.number(4)))


def common(slice_: Slice, address: int) -> Common:
    """The common information entry at an address.

    Raises:
        LookupError, ValueError: it is not as expected.
    """
    return _entry(slice_, address).common(8)


def _entry(slice_: Slice, address: int) -> "_Reader":
    size = int.from_bytes(slice_.read(address, 4), "little")
    if not 4 <= size <= _LONGEST:
        raise ValueError("an entry of another form")
    return _Reader(slice_.read(address, 4 + size), address)


class _Reader:
    def __init__(self, data: bytes, address: int) -> None:
        self._data = data
        self._address = address

    def read(self) -> Frames:
        """All entries.

        Raises:
            LookupError, ValueError: they are not as expected, or too many.
        """
        common: dict[int, Common] = {}
        extents = []
        for number, start in enumerate(self._entries()):
            if number > MAX_UNWOUND:
                raise ValueError("more entries than are looked at")
            distance = self.number(start)
            if distance:
                extents.append(self.function(start, common[start - distance]))
            else:
                common[start - 4] = self.common(start + 4)
        called = frozenset(each.personality for each in common.values() if each.personality is not None)
        return Frames(tuple(sorted(each for each in extents if 0 <= each.start < each.end)), called)

    def _entries(self) -> Iterator[int]:
        """Where each entry starts, behind its length. Those of several files have zeros between them."""
        at = 0
        while at + 4 <= len(self._data):
            size = self.number(at)
            if at + 4 + size > len(self._data) or 0 < size < 4:
                raise ValueError("an entry that goes on behind the end, or is none")
            if size:
                yield at + 4
            at += 4 + size

    def common(self, at: int) -> Common:
        """The common information entry whose version stands at an offset."""
        version = self._data[at]
        end = self._data.index(b"\0", at + 1)
        words = self._data[at + 1 : end]
        at = self._skip(self._skip(end + 1))  # alignments of code and data
        at = at + 1 if version == 1 else self._skip(at)  # the register of the return address
        if not words.startswith(b"z"):
            if words:
                raise ValueError("an augmentation whose size is not said")
            return Common(0, augmented=False, personality=None)
        at = self._skip(at)
        encoding, personality, language = 0, None, OMITTED
        for word in words[1:]:
            if word == _FUNCTION:
                encoding, at = self._data[at], at + 1
            elif word == _LANGUAGE:
                language, at = self._data[at], at + 1
            elif word == _PERSONALITY:
                kind = self._data[at]
                pointer = Cursor(self._data, self._address, at + 1)
                found = pointer.pointer(kind & ~_INDIRECT)
                personality, at = None if kind & _INDIRECT else found, pointer.at
        return Common(encoding, augmented=True, personality=personality, language=language)

    def function(self, start: int, common: Common) -> Extent:
        """The function whose entry starts at an offset, behind its length."""
        first, end = self._pointer(start + 4, common.encoding), start + self.number(start - 4)
        at, table = start + 12, 0
        if common.augmented:
            size = self._data[at]
            if size >> 7:
                raise ValueError("an augmentation of a hundred bytes")
            if any(self._data[at + 1 : at + 1 + size]):
                table = self._table(at + 1, common.language)
            at += 1 + size
        whole = at >= end or self._data[at] in _ADVANCES
        pushes = table != 0 and _ARGUMENTS in self._data[at:end]
        return Extent(first, first + self.number(start + 8), whole, table, pushes)

    def _table(self, at: int, encoding: int) -> int:
        try:
            return Cursor(self._data, self._address, at).pointer(encoding)
        except (LookupError, ValueError):
            return UNKNOWN

    def _pointer(self, at: int, encoding: int) -> int:
        if encoding == _ABSOLUTE_4:
            return self.number(at)
        if encoding != _RELATIVE_4:
            raise ValueError("a pointer in another form")
        return self._address + at + int.from_bytes(self._data[at : at + 4], "little", signed=True)

    def number(self, at: int) -> int:
        """Four bytes at an offset."""
        return int.from_bytes(self._data[at : at + 4], "little")

    def _skip(self, at: int) -> int:
        """Where what follows a number of variable length begins (``LEB128``)."""
        while self._data[at] >> 7:
            at += 1
        return at + 1
