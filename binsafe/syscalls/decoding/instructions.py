"""The decoded instructions of a function, as a sequence. Each is made an object only when it is asked for.

Of most functions the analysis looks at a dozen instructions, and to make objects of all would take three times as long
as to decode them: so capstone's records are kept as columns and one long text.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, overload

import msgspec
import numpy as np

from binsafe.arrays import NDArray

_RECORD = struct.Struct("=IxxxxQH24x32s160s6x8x")
"""``cs_insn`` of ``capstone.h``: id, address, size, bytes, mnemonic, operands as text, pointer to details."""
_MNEMONIC, _OPERANDS, _END = 42, 74, 234

RECORD_SIZE: Final = _RECORD.size
JUNK = ".byte"
"""The mnemonic that capstone gives to bytes that it cannot decode."""
_COLUMNS_SIZE = 18
"""Bytes that an instruction takes beside its text."""
_SHORT, _STEP = 32, 16
_MANY = 100
"""From so many instructions on it is worth the time to leave out the part of all texts that is empty."""


class Instruction(msgspec.Struct, frozen=True):
    """One instruction as text."""

    address: int
    size: int
    mnemonic: str
    operands: str


class Instructions(Sequence[Instruction]):
    """Instructions that follow each other in memory."""

    __slots__ = ("_by_first_operand", "_mnemonic", "_sizes", "_stride", "_text", "addresses", "names")

    def __init__(self, records: memoryview, names: Mapping[int, str]) -> None:
        """Copy what is needed of ``cs_insn`` records; ``names`` are capstone's mnemonics by id."""
        self.addresses: Sequence[int] = _column(records, "Q", 8)
        """Ascending."""
        self._sizes = _column(records, "H", 16)
        self.names = list(map(names.__getitem__, _column(records, "I", 0)))
        """Mnemonics without their prefixes, and without what depends on the operands (arm64: ``b`` for ``b.eq``)."""
        self._by_first_operand: dict[str, dict[str, list[int]]] = {}
        if len(self.names) < _MANY:
            self._text, self._stride, self._mnemonic = str(records, "latin-1"), RECORD_SIZE, _MNEMONIC
        else:
            rows = np.frombuffer(records, np.uint8).reshape(-1, RECORD_SIZE)
            texts = rows[:, _MNEMONIC : _longest(rows)]
            self._text, self._stride, self._mnemonic = str(texts.tobytes(), "latin-1"), texts.shape[1], 0

    @property
    def kept_bytes(self) -> int:
        """Memory that they take, roughly."""
        return len(self._text) + len(self.names) * _COLUMNS_SIZE

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

    def at(self, address: int) -> int | None:
        """The index of the one that starts at an address."""
        at = bisect_left(self.addresses, address)
        return at if at < len(self.addresses) and self.addresses[at] == address else None

    def crosses(self, address: int) -> bool:
        """Whether an address lies in the middle of an instruction."""
        at = bisect_left(self.addresses, address) - 1
        return at >= 0 and address < self.addresses[at] + self._sizes[at] and self.names[at] != JUNK

    def operands(self, at: int) -> str:
        """The operands of one of them."""
        start = at * self._stride + self._mnemonic + _OPERANDS - _MNEMONIC
        return self._text[start : self._text.index("\0", start)]

    def end_in(self, address: int) -> bool:
        """Whether the operands of any end in an address, as those of the direct branches to it do."""
        return f"{address:#x}\0" in self._text

    def last_operands(self) -> set[str]:
        """The last operand of each: those of direct branches are their targets."""
        return {self.operands(at).rpartition(" ")[2] for at in range(len(self))}

    def containing(self, texts: Iterable[str]) -> Iterator[int]:
        """The indices of all whose mnemonic or operands contain one of some texts, and perhaps of others."""
        for text in texts:
            found = self._text.find(text)
            while found >= 0:
                at = found // self._stride
                yield at
                found = self._text.find(text, (at + 1) * self._stride)

    def by_first_operand(self, name: str) -> Mapping[str, Sequence[int]]:
        """First operand -> the indices of all instructions with a mnemonic; found out once."""
        if name not in self._by_first_operand:
            found = self._by_first_operand[name] = {}
            for at in (at for at, each in enumerate(self.names) if each == name):
                found.setdefault(self.operands(at).partition(",")[0], []).append(at)
        return self._by_first_operand[name]

    def _read(self, at: int) -> Instruction:
        start = at * self._stride + self._mnemonic
        mnemonic = self._text[start : self._text.index("\0", start)]
        return Instruction(self.addresses[at], self._sizes[at], mnemonic, self.operands(at))


def _column(records: memoryview, kind: Literal["Q", "I", "H"], offset: int) -> memoryview:
    """One field of all records, copied: where it is in each, and its ``struct`` character."""
    numbers = records.cast(kind)
    first, step = offset // numbers.itemsize, RECORD_SIZE // numbers.itemsize
    return memoryview(numbers[first::step].tobytes()).cast(kind)


def _longest(rows: NDArray[np.uint8]) -> int:
    """An offset before which the operands of all records end: where a text goes on there is no NUL.

    Records without operands, and those of junk, whose text is short, do not count: behind it stand old bytes.
    """
    short = (rows[:, _OPERANDS] == 0) | (rows[:, :4].view("<u4")[:, 0] == 0)
    ends = range(_OPERANDS + _SHORT, _END, _STEP)
    return next((end for end in ends if ((rows[:, end - 1] == 0) | short).all()), _END)
