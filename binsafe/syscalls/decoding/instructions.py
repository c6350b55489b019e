"""Decoded code: what capstone left in memory, of which each instruction is read when it is asked for.

Of a function that is walked a dozen instructions are looked at: to make objects of all of them takes three times as
long as to decode them.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, overload

_RECORD = struct.Struct("=IxxxxQH24x32s160s6x8x")
"""``cs_insn`` of ``capstone.h``: id, address, size, bytes, mnemonic, operands as text, pointer to details."""
_HEAD = struct.Struct(f"=IxxxxQH{_RECORD.size - 18}x")
_MNEMONIC, _OPERANDS = 42, 74

RECORD_SIZE = _RECORD.size


class Instruction(NamedTuple):
    """One instruction as text."""

    address: int
    size: int
    mnemonic: str
    operands: str


class Instructions(Sequence[Instruction]):
    """Instructions that follow each other in memory."""

    __slots__ = ("_sizes", "_text", "addresses", "names")

    def __init__(self, records: bytes, names: Mapping[int, str]) -> None:
        """Of whole ``cs_insn``; ``names`` are capstone's for its ids."""
        columns: tuple[Sequence[int], ...] = ((),) * 3
        if records:
            columns = tuple(zip(*_HEAD.iter_unpack(records), strict=True))
        kinds, self.addresses, self._sizes = columns
        self.names = list(map(names.__getitem__, kinds))
        """Mnemonics without their prefixes, and without what depends on the operands (arm64: ``b`` for ``b.eq``)."""
        self._text = records.decode("latin-1")

    @property
    def end(self) -> int:
        """The address behind the last one."""
        return self.addresses[-1] + self._sizes[-1]

    def __len__(self) -> int:
        return len(self.addresses)

    @overload
    def __getitem__(self, at: int) -> Instruction: ...

    @overload
    def __getitem__(self, at: slice) -> list[Instruction]: ...

    def __getitem__(self, at: int | slice) -> Instruction | list[Instruction]:
        if isinstance(at, slice):
            return [self._read(index) for index in range(*at.indices(len(self.addresses)))]
        return self._read(at if at >= 0 else at + len(self.addresses))

    def __iter__(self) -> Iterator[Instruction]:
        return map(self._read, range(len(self.addresses)))

    def operands(self, at: int) -> str:
        """The operands of one of them."""
        start = at * RECORD_SIZE + _OPERANDS
        return self._text[start : self._text.index("\0", start)]

    def _read(self, at: int) -> Instruction:
        start = at * RECORD_SIZE + _MNEMONIC
        mnemonic = self._text[start : self._text.index("\0", start)]
        return Instruction(self.addresses[at], self._sizes[at], mnemonic, self.operands(at))
