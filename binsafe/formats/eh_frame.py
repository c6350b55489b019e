"""Call frame information: where functions start and end, read from ``.eh_frame`` itself.

Linux Standard Base Core 5.0, section 10.6, and DWARF 4, section 6.4. What ``.eh_frame_hdr`` lists is the same, but
static programs often have none.
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from binsafe.model import Slice

_ABSOLUTE_4, _RELATIVE_4, _INDIRECT = 0x03, 0x1B, 0x80
"""Encodings of a function's address that are read: ``DW_EH_PE_udata4``, and ``DW_EH_PE_pcrel | DW_EH_PE_sdata4``."""
_ADVANCES = frozenset({0x00, 0x02, 0x03, 0x04, *range(0x40, 0x80)})
"""What says nothing of the first instruction: ``DW_CFA_nop``, and all forms of ``DW_CFA_advance_loc``."""
_PERSONALITY, _FUNCTION, _LANGUAGE = b"PRL"


class Extent(NamedTuple):
    """One function, or a part of one that was split off."""

    start: int
    end: int
    whole: bool
    """Whether its frame is that of a call at its first instruction: what was split off has its function's, mostly."""
    catches: bool = False
    """Whether exceptions may be caught in it, or objects destroyed by them: it has language-specific data."""


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


class _Common(NamedTuple):
    """One common information entry."""

    encoding: int
    augmented: bool
    personality: int | None


def frames(slice_: Slice) -> Frames | None:
    """The functions of a slice; None where there is no such section, or not all of it is understood."""
    section = slice_.section(".eh_frame")
    if section is None or section.address + section.size >= 1 << 32:
        return None
    try:
        return _Reader(bytes(slice_.contents(section)), section.address).read()
    except (LookupError, ValueError):
        return None


class _Reader:
    def __init__(self, data: bytes, address: int) -> None:
        self._data = data
        self._address = address

    def read(self) -> Frames:
        """All entries.

        Raises:
            LookupError, ValueError: they are not as expected.
        """
        common: dict[int, _Common] = {}
        extents = []
        for start, end in self._entries():
            distance = self._number(start)
            if distance:
                extents.append(self._function(start, end, common[start - distance]))
            else:
                common[start - 4] = self._common(start + 4)
        called = frozenset(each.personality for each in common.values() if each.personality is not None)
        return Frames(tuple(sorted(each for each in extents if 0 <= each.start < each.end)), called)

    def _entries(self) -> Iterator[tuple[int, int]]:
        """Where each entry starts behind its length, and ends. Those of several files have zeros between them."""
        at = 0
        while at + 4 <= len(self._data):
            size = self._number(at)
            if at + 4 + size > len(self._data) or 0 < size < 4:
                raise ValueError("an entry that goes on behind the end, or is none")
            if size:
                yield at + 4, at + 4 + size
            at += 4 + size

    def _common(self, at: int) -> _Common:
        version = self._data[at]
        end = self._data.index(b"\0", at + 1)
        words = self._data[at + 1 : end]
        at = self._skip(self._skip(end + 1))  # alignments of code and data
        at = at + 1 if version == 1 else self._skip(at)  # the register of the return address
        if not words.startswith(b"z"):
            if words:
                raise ValueError("an augmentation whose size is not said")
            return _Common(0, augmented=False, personality=None)
        at = self._skip(at)
        encoding, personality = 0, None
        for word in words[1:]:
            if word == _FUNCTION:
                encoding, at = self._data[at], at + 1
            elif word == _LANGUAGE:
                at += 1
            elif word == _PERSONALITY:
                kind = self._data[at]
                if not kind & _INDIRECT:
                    personality = self._pointer(at + 1, kind)
                elif kind & 0x0F not in {0x03, 0x0B}:
                    raise ValueError("a pointer of another size")
                at += 5
        return _Common(encoding, augmented=True, personality=personality)

    def _function(self, start: int, end: int, common: _Common) -> Extent:
        first = self._pointer(start + 4, common.encoding)
        at, catches = start + 12, False
        if common.augmented:
            size = self._data[at]
            if size >> 7:
                raise ValueError("an augmentation of a hundred bytes")
            catches = any(self._data[at + 1 : at + 1 + size])
            at += 1 + size
        whole = at >= end or self._data[at] in _ADVANCES
        return Extent(first, first + self._number(start + 8), whole, catches)

    def _pointer(self, at: int, encoding: int) -> int:
        if encoding == _ABSOLUTE_4:
            return self._number(at)
        if encoding != _RELATIVE_4:
            raise ValueError("a pointer in another form")
        return self._address + at + int.from_bytes(self._data[at : at + 4], "little", signed=True)

    def _number(self, at: int) -> int:
        return int.from_bytes(self._data[at : at + 4], "little")

    def _skip(self, at: int) -> int:
        """Where what follows a number of variable length begins (``LEB128``)."""
        while self._data[at] >> 7:
            at += 1
        return at + 1
