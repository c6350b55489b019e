"""What memory holds pointers to before a program starts: by its relocations, or by its words where it has none."""

from typing import NamedTuple

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.elf_linking import Linking
from binsafe.formats.gopclntab import FunctionTable
from binsafe.model import Slice
from binsafe.syscalls.controlflow.go_types import are_names
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS, Code, aligned_words
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.sets import among, distinct, firsts

_NOTHING = np.array([], np.int64)

_ABSOLUTE, _COPY, _SLOT, _RELATIVE, _INDIRECT = "absolute", "copy", "slot", "relative", "indirect"
_KINDS = {
    "x86_64": {1: _ABSOLUTE, 5: _COPY, 6: _SLOT, 7: _SLOT, 8: _RELATIVE, 37: _INDIRECT},
    "arm64": {257: _ABSOLUTE, 1024: _COPY, 1025: _SLOT, 1026: _SLOT, 1027: _RELATIVE, 1032: _INDIRECT},
}
"""``R_X86_64_*`` (psABI, section 4.4.1) and ``R_AARCH64_*`` (AAELF64, section 5.7); the rest leads to no code."""


class Pointers(NamedTuple):
    """Slots of memory, ascending, and where each points to: an address of the image, or a symbol to look up."""

    slots: Addresses
    targets: Addresses
    """-1 where a symbol says it."""
    symbols: Addresses
    """Index into the dynamic symbols; 0 where an address says it."""
    single: NDArray[np.bool_]
    """Whether the slot is an entry of the global offset table, which stands for itself and not for a table."""
    resolvers: Addresses
    """Functions that the loader calls to learn an address (``IRELATIVE``)."""
    relocated: bool
    """Whether relocations tell of all of them: elsewhere words are taken for some."""

    def at(self, slot: int) -> int | None:
        """The address that a slot holds; None where it holds none that is known."""
        found = int(np.searchsorted(self.slots, slot))
        there = found < len(self.slots) and self.slots[found] == slot and self.targets[found] >= 0
        return int(self.targets[found]) if there else None

    def without(self, slots: Addresses) -> "Pointers":
        """Those that stand elsewhere."""
        kept = ~among(self.slots, slots)
        columns = (self.slots[kept], self.targets[kept], self.symbols[kept], self.single[kept])
        return Pointers(*columns, self.resolvers, self.relocated)

    def to(self, target: int) -> list[int]:
        """The slots that hold an address."""
        return [int(slot) for slot in self.slots[self.targets == target]]


def pointers(slice_: Slice, code: Code, linking: Linking | None, go: FunctionTable | None) -> Pointers:
    """The pointers of a slice. Without dynamic relocations every aligned word with an address of code is one.

    But not those of Go's own tables: ``go`` names all its functions, its types hold distances that look like pointers.
    """
    found = _all(slice_, code, linking)
    if go is None:
        return found
    slots = found.slots
    own = distinct(np.frombuffer(go.entries, np.int64))
    begin, end = go.extent
    other = (slots >= begin) & (slots < end) | are_names(slice_, slots)
    return found.without(np.concatenate([own, slots[other]]))


def _all(slice_: Slice, code: Code, linking: Linking | None) -> Pointers:
    position_independent = bool(slice_.traits.get("pie", linking is not None and bool(len(linking.relocations.kinds))))
    columns = [] if linking is None else [_relocated(slice_, linking), _packed(slice_, linking)]
    if not position_independent:
        loaded = (s for s in slice_.segments if s.address + s.file_size <= HIGHEST_ADDRESS)
        columns += [_words(code, segment.address, segment.file_size) for segment in loaded]
    slots, targets, symbols, single = (
        (np.concatenate(column) for column in zip(*columns, strict=True)) if columns else (_NOTHING,) * 4
    )
    _, first = firsts(slots)
    return Pointers(
        slots[first],
        targets[first],
        symbols[first],
        single[first].astype(np.bool_) | _in_section(slice_, ".got", slots[first]),
        _NOTHING if linking is None else _resolvers(slice_, linking),
        position_independent,
    )


Columns = tuple[Addresses, Addresses, Addresses, Addresses]


def _kind(slice_: Slice, linking: Linking, *names: str) -> NDArray[np.bool_]:
    numbers = [number for number, name in _KINDS.get(slice_.arch, {}).items() if name in names]
    return among(linking.relocations.kinds, numbers)


def _relocated(slice_: Slice, linking: Linking) -> Columns:
    table = linking.relocations
    symbolic = _kind(slice_, linking, _ABSOLUTE, _SLOT, _COPY) & (table.symbols > 0)
    symbolic &= table.symbols < len(linking.symbols)
    plain = _kind(slice_, linking, _RELATIVE, _INDIRECT)
    plain |= _kind(slice_, linking, _ABSOLUTE, _SLOT) & (table.symbols == 0)  # of this file itself
    chosen = symbolic | plain
    return (
        table.addresses[chosen],
        np.where(plain, table.addends, -1)[chosen],
        np.where(symbolic, table.symbols, 0)[chosen],
        (_kind(slice_, linking, _SLOT, _INDIRECT)[chosen]).astype(np.int64),
    )


def _packed(slice_: Slice, linking: Linking) -> Columns:
    slots = linking.packed
    targets = np.array(
        [int.from_bytes(slice_.read(int(slot), 8), "little") & (1 << 62) - 1 for slot in slots], np.int64
    )
    return slots, targets, np.zeros_like(slots), np.zeros_like(slots)


def _words(code: Code, address: int, size: int) -> Columns:
    skew = -address % 8
    offset = code.slice.offset_of(address) or 0
    places, targets = [_NOTHING], [_NOTHING]
    for first, words in aligned_words(code.slice.data[offset + skew : offset + size]):
        at = np.flatnonzero(code.holds(words))
        places.append(address + skew + first + 8 * at)
        targets.append(words[at].astype(np.int64))
    kept = ~of_handlers(code.slice, np.concatenate(places))
    slots = np.concatenate(places)[kept]
    return slots, np.concatenate(targets)[kept], np.zeros_like(slots), np.zeros_like(slots)


def of_handlers(slice_: Slice, slots: Addresses) -> NDArray[np.bool_]:
    """Slots of the tables that say where exceptions are caught.

    Only the unwinder reads them, and places of code stand there as distances, see `catching`: what looks like an
    address is some of these side by side.
    """
    return _in_section(slice_, ".gcc_except_table", slots)


def _in_section(slice_: Slice, name: str, slots: Addresses) -> NDArray[np.bool_]:
    """Slots of the section of a name: of ``.got``, where a local function's address stands by itself, too."""
    section = slice_.section(name)
    if section is None:
        return np.zeros(len(slots), np.bool_)
    return (slots >= section.address) & (slots < section.address + section.size)


def _resolvers(slice_: Slice, linking: Linking) -> Addresses:
    return linking.relocations.addends[_kind(slice_, linking, _INDIRECT)]
