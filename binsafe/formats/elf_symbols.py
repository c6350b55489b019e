"""The dynamic symbols of a 64-bit little-endian ELF file, read when they are asked for.

A Haskell program has 400,000 of them, of which a few hundred are looked at by name: of the rest numbers are enough,
which come as columns.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

import msgspec
import numpy as np

from binsafe.arrays import ArrayLike, NDArray
from binsafe.formats.symbols import Strings, Symbols, layout, names_at

RECORD = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("index", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
"""``Elf64_Sym`` (gABI, chapter 4)."""
Numbers = NDArray[np.int64]

_PLACE = layout("I4xQQ", "little")
_SHN_ABS = 0xFFF1
_HIDDEN = 0x8000
"""The bit of a version index that says: not the default for who asks without a version."""
_MOST = 1 << 62
"""A value or size from here on is no address of a program, and counts as none."""


class DynamicSymbol(msgspec.Struct, frozen=True):
    """One entry of the dynamic symbol table; the index of a relocation's symbol is its place there."""

    name: str
    version: str | None
    default: bool
    """Whether who asks without a version gets this one."""
    defined: bool
    absolute: bool
    """A number that is no address: the names of versions are symbols, too."""
    kind: int
    value: int
    size: int


class DynamicSymbols(Sequence[DynamicSymbol]):
    """A table of them; the file is not copied."""

    def __init__(
        self, table: NDArray[Any], strings: memoryview, indices: NDArray[np.uint16], versions: Mapping[int, str]
    ) -> None:
        """``table`` has records of `RECORD`; ``indices`` say the version of as many symbols as there are of them."""
        self._table = table
        self._strings = strings
        self._indices = indices
        self._versions = versions

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> DynamicSymbol: ...

    @overload
    def __getitem__(self, index: slice) -> list[DynamicSymbol]: ...

    def __getitem__(self, index: int | slice) -> DynamicSymbol | list[DynamicSymbol]:
        chosen = np.arange(len(self))[index]
        found = [*self.chosen(np.atleast_1d(chosen))]
        return found if isinstance(index, slice) else found[0]

    def __iter__(self) -> Iterator[DynamicSymbol]:
        return self.chosen(np.arange(len(self)))

    def chosen(self, indices: ArrayLike) -> Iterator[DynamicSymbol]:
        """Those with these indices: much sooner than one by one."""
        wanted = np.asarray(indices, np.int64)
        strings = Strings(self._strings)
        rows = zip(self._table[wanted].tolist(), self.versions(wanted), strict=True)
        for (name, info, _, section, value, size), (version, default) in rows:
            yield DynamicSymbol(
                name=strings.at(name),
                version=version,
                default=default,
                defined=section != 0,
                absolute=section == _SHN_ABS,
                kind=info & 15,
                value=value if value < _MOST else 0,
                size=size if size < _MOST else 0,
            )

    def names(self, indices: Numbers) -> Iterator[str]:
        """The names of those with these indices, which are many."""
        return names_at(self._strings, self._table["name"][indices].tolist())

    def versions(self, indices: Numbers) -> Iterator[tuple[str | None, bool]]:
        """The versions of those with these indices, and whether each is the default one."""
        numbers = np.ones(len(self), np.uint16)
        numbers[: len(self._indices)] = self._indices
        return ((self._versions.get(each & ~_HIDDEN), not each & _HIDDEN) for each in numbers[indices].tolist())

    def supplied(self) -> Symbols:
        """What the file has that others can ask for by name."""
        kept = np.flatnonzero(self.defined & self.named & ~self.absolute)
        return Symbols(self._table.data.cast("B"), self._strings, _PLACE, array("I", kept.astype(np.uint32).tobytes()))

    @cached_property
    def values(self) -> NDArray[np.int64]:
        """Where each lies, or what number it is."""
        return _signed(self._table["value"])

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Bytes of each; 0 where the file does not say it."""
        return _signed(self._table["size"])

    @property
    def kinds(self) -> NDArray[np.uint8]:
        """What each is (``STT_*``)."""
        return self._table["info"] & np.uint8(15)

    @property
    def bindings(self) -> NDArray[np.uint8]:
        """The binding of each (``STB_*``)."""
        return self._table["info"] >> np.uint8(4)

    @cached_property
    def defined(self) -> NDArray[np.bool_]:
        """Whether the file has it, and does not ask for it."""
        return np.asarray(self._table["index"] != 0)

    @property
    def absolute(self) -> NDArray[np.bool_]:
        """Whether its value is no address."""
        return np.asarray(self._table["index"] == _SHN_ABS)

    @cached_property
    def named(self) -> NDArray[np.bool_]:
        """Whether it has a name."""
        letters = np.frombuffer(self._strings, np.uint8)
        inside = self._table["name"] < len(letters)
        inside[inside] = letters[self._table["name"][inside]] != 0
        return inside


def _signed(column: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.where(column < _MOST, column, 0).astype(np.int64)
