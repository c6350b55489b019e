"""Data as nodes of a file's graph: where objects start, which of them hold pointers, and which are parts of one array.

Of most objects no symbol is left. Where one starts is told by what code computes the address of and by where pointers
lead. Some of that is in the middle of one: what looks so is no start.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.elf_linking import Linking
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.strides import strides
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS
from binsafe.syscalls.machines.edges import TAKEN, Addresses
from binsafe.syscalls.sets import among, distinct

_C_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEVER_WALKED = frozenset({"__libc_IO_vtables"})
"""glibc before 2.37 looks whether a pointer lies in it, and calls what it finds by that pointer (vtables.c)."""
_ALIGNED = 16
"""Compilers align tables to this much; a smaller address is inside of something."""
_LARGEST_ENTRY = 8
"""Words of an entry of a table that is known by them, or of which code names a member: GCC's loops over an array begin
with the address of whichever is used (``entries + 16``)."""
_FEW = 8
"""Places that name a member or the last entry of an array; what is named by more begins there."""
_WORD = 8
_CODE, _DATA = 1, 2


class Objects(NamedTuple):
    """The objects of one file."""

    cuts: Addresses
    """Where they start, ascending."""
    nodes: Addresses
    """The number of each among those that hold pointers; -1 for one that holds none."""
    ends: Addresses
    """Where each of these ends, if only code and pointers tell so; -1 where a name or a size does."""


def objects(program: Program, linking: Linking) -> Objects:
    """The objects of a file.

    They start at symbols, at addresses that code computes (`lea`), which is what code does with a table, and where
    pointers lead; not inside of a symbol whose size is known. Loads cut nothing: they read one entry of a table. An
    entry of the global offset table is an object of its own. A linker's set is one object, whatever symbols it has.
    """
    pointers = program.pointers
    symbols = linking.symbols
    named = distinct(np.concatenate([symbols.values[symbols.defined], program.layout.named]))
    sized = symbols.defined & (symbols.sizes > 0)
    starts, ends = symbols.values[sized], symbols.values[sized] + symbols.sizes[sized]
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    taken = distinct(np.concatenate([program.references.targets[program.references.uses == TAKEN], pointers.targets]))
    if len(starts):
        at = np.searchsorted(starts, taken, side="right") - 1
        taken = taken[(at < 0) | (ends[at] <= taken)]
    single = pointers.slots[pointers.single]
    cuts = distinct(np.concatenate([named, ends, taken, single, single + _WORD, np.array([0])]))
    for start, end in _sets(program):
        cuts = distinct(np.concatenate([cuts[(cuts <= start) | (cuts >= end)], [start, end]]))
    sure = among(cuts, np.concatenate([named, ends, single, single + _WORD]))
    while (odd := _at_odd_places(program, cuts) & ~sure).any():  # one less may leave another one before pointers
        cuts, sure = cuts[~odd], sure[~odd]
    kept = ~_inside(program, cuts, sure)
    cuts, sure = cuts[kept], sure[kept]
    nodes = np.full(len(cuts), -1, np.int64)
    holding = _holding(cuts, program.pointers.slots)
    nodes[holding] = np.arange(len(holding))
    ends = np.concatenate([np.where(sure[1:], -1, cuts[1:]), [-1]])
    return Objects(cuts, nodes, ends[holding])


def _holding(cuts: Addresses, slots: Addresses) -> Addresses:
    """The cuts behind which pointers stand, by index."""
    return distinct(np.searchsorted(cuts, slots, side="right") - 1)


def _at_odd_places(program: Program, cuts: Addresses) -> NDArray[np.bool_]:
    """Which cuts are members, as pointers stand behind them and no object that holds some begins at such an address."""
    found = np.zeros(len(cuts), np.bool_)
    holding = _holding(cuts, program.pointers.slots)
    found[holding] = cuts[holding] % _WORD != 0
    return found


def _inside(program: Program, cuts: Addresses, sure: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which cuts lie in the middle of an object, as far as can be told: pointers stand before such a one and behind it.

    Those that are ``sure`` do not.
    """
    holds, found = np.zeros((2, len(cuts)), np.bool_)
    holds[_holding(cuts, program.pointers.slots)] = True
    between = 1 + np.flatnonzero(holds[1:] & holds[:-1] & ~sure[1:])
    near = cuts[between] - cuts[between - 1] < _WORD * _LARGEST_ENTRY
    found[between] = near | (cuts[between] % _ALIGNED != 0) | _repeats(program, cuts[between])
    behind, holding, walls = _holding(cuts, _leading_on(program, cuts)), np.flatnonzero(holds), np.cumsum(sure)
    behind = behind[np.searchsorted(holding, behind) > 0]
    before = holding[np.searchsorted(holding, behind) - 1]
    asked = ~found[behind] & (walls[before] == walls[behind])
    ends = np.concatenate([cuts[sure], [HIGHEST_ADDRESS]])[walls[behind]]
    for first, last, end in np.stack([before, behind, ends], axis=1)[asked].tolist():
        found[first + 1 : last + 1] |= _is_gone_over(program, int(cuts[first]), int(cuts[last]), end)
    return found


def _leading_on(program: Program, cuts: Addresses) -> Addresses:
    """The pointers to code or to what holds pointers in turn: with others, as to texts, nothing is lost."""
    pointers = program.pointers
    on = program.code.holds(pointers.targets) | (pointers.symbols > 0)
    on |= among(np.searchsorted(cuts, pointers.targets, side="right") - 1, _holding(cuts, pointers.slots))
    return pointers.slots[on]


def _is_gone_over(program: Program, start: int, cut: int, end: int) -> bool:
    """Whether code that names a cut goes on from there in steps that fit to what stands before it, as in one array.

    What stands before begins at ``start``; what stands behind, before ``end``. Either may be less than an entry.
    """
    naming = [at for at, _, use in program.references.into(cut, cut + 1) if use == TAKEN]
    steps = [strides(program, at, cut) for at in naming] if len(naming) <= _FEW else []
    return any(_fits(program, step, max(start, cut - step), min(cut + step, end)) for step in frozenset().union(*steps))


def _fits(program: Program, step: int, begin: int, end: int) -> bool:
    """Whether no word leads to code and the one a step behind it to data, or the reverse."""
    places = np.arange(begin, end - step, _WORD)
    first, second = _kinds(program, places), _kinds(program, places + step)
    return not ((first != second) & (first != 0) & (second != 0)).any()


def _repeats(program: Program, cuts: Addresses) -> NDArray[np.bool_]:
    """Whether what stands behind a cut is like what stands before it, as in the middle of an array.

    Compilers compute the address of an entry that is not the first (``handlers + 2``) as they do that of a table.
    Like each other are words that point to code, to data, or nowhere, in entries of up to `_LARGEST_ENTRY` words.
    """
    kinds = _kinds(program, cuts[:, None] + _WORD * np.arange(-_LARGEST_ENTRY, _LARGEST_ENTRY))
    found = np.zeros(len(cuts), np.bool_)
    for words in range(1, _LARGEST_ENTRY + 1):
        before = kinds[:, _LARGEST_ENTRY - words : _LARGEST_ENTRY]
        behind = kinds[:, _LARGEST_ENTRY : _LARGEST_ENTRY + words]
        found |= (before == behind).all(axis=1) & (before == _CODE).any(axis=1)
    return found


def _kinds(program: Program, places: Addresses) -> NDArray[np.int64]:
    """Whether each word points to code, to data, or nowhere."""
    pointers = program.pointers
    if not len(pointers.slots):
        return np.zeros(places.shape, np.int64)
    at = np.minimum(np.searchsorted(pointers.slots, places.ravel()), len(pointers.slots) - 1)
    code = program.code.holds(pointers.targets[at]) | (pointers.symbols[at] > 0)
    kinds = np.where(pointers.slots[at] == places.ravel(), np.where(code, _CODE, _DATA), 0)
    return kinds.reshape(places.shape)


def _sets(program: Program) -> Iterator[tuple[int, int]]:
    """Where linker sets lie: things that many files put into a section, which code walks from end to end.

    GNU ld and lld define ``__start_NAME`` and ``__stop_NAME`` for sections named as C names are; no symbol needs to
    be left of them, nor to say how far the walk goes.
    """
    for section in program.slice.sections:
        if _C_NAME.fullmatch(section.name) and not section.executable and section.name not in _NEVER_WALKED:
            yield section.address, section.address + section.size
