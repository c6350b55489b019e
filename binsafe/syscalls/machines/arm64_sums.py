"""AArch64: additions to addresses of code in registers, and to return addresses. See `x86_64_sums`."""

from collections.abc import Iterator

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.machines.edges import Addresses, Edges
from binsafe.syscalls.machines.held import Held, Sums, all_of, together
from binsafe.syscalls.sets import distinct, firsts

_REACH = range(10, 64)
"""Instructions behind where a register gets an address in which additions are looked for, see `Held.behind`."""
_PAGE_WINDOW = 16
"""Instructions behind an ``adrp`` in which the ``add`` that completes the address is looked for."""
_STACK_WINDOW = 10
"""Instructions behind a store to the stack in which the same is loaded again."""
_SHORTLY = 4
"""Instructions between which a return address is copied, changed and gone to."""
_AT_ONCE = 1 << 13
"""Rows of `Held` that are looked at at a time: each takes arrays of as many numbers as instructions are looked at."""
_LINK, _STACK = 30, 31
_KEPT = np.array([19 <= register < 29 for register in range(32)])
_CALL_OF_NEXT = 0x9400_0001

Words = NDArray[np.uint32]


def sums(start: int, words: Words, taking: Edges) -> Sums:
    """The sums of the code at an address; ``taking`` are the instructions that compute an address of code."""
    end = start + 4 * len(words)
    held = together(_completed(start, words, taking), _read(words), _own_addresses(start, words))
    held = held.chosen((held.addresses >= start) & (held.addresses < end))
    calls = np.flatnonzero((words >> 26 == 0b100101) | (words & 0xFFFF_FC1F == 0xD63F_0000))
    parts = (held.chosen(slice(first, first + _AT_ONCE)) for first in range(0, len(held.starts), _AT_ONCE))
    found = (_of_held(start, words, part, calls) for part in parts)
    return all_of(Sums(*[Edges(calls[:0], calls[:0])] * 3), *found).inside(start, end)


def changed_returns(start: int, words: Words) -> Iterator[int]:
    """Where something is added to the return address, or to a copy, that one of the next instructions goes to.

    ``add x30, x30, #4; ret``, or ``mov x1, x30; add x1, x1, #4; br x1``.
    """
    going = np.flatnonzero((words & 0xFFFF_FC1F == 0xD61F_0000) | (words & 0xFFFF_FC1F == 0xD65F_0000))
    which, at = _shortly_before(going)
    word, to = words[at], words[going[which]] >> 5 & 31
    adds = ((word & 0x9F00_0000 == 0x9100_0000) | (word & 0x9F00_0000 == 0x8B00_0000)) & (word & 31 == to)
    at, source = distinct(at[adds]), words[distinct(at[adds])] >> 5 & 31
    which, before = _shortly_before(at)
    copied = words[before] == (0xAA00_03E0 | _LINK << 16 | source[which])
    return iter((start + 4 * distinct(np.concatenate([at[source == _LINK], at[which[copied]]]))).tolist())


def _shortly_before(places: Addresses) -> tuple[Addresses, Addresses]:
    """For each of some instructions its row, and the index of each of those shortly before it."""
    before = places[:, np.newaxis] - np.arange(1, _SHORTLY + 1)
    which, _ = np.nonzero(before >= 0)
    return which, before[before >= 0]


def _completed(start: int, words: Words, taking: Edges) -> Held:
    """``adr``, ``movz`` and ``movk``; and ``adrp``, where the ``add`` behind it completes the address."""
    at = (taking.sources - start) // 4
    pages = words[at] & 0x9F00_0000 == 0x9000_0000
    near = np.minimum(at[:, np.newaxis] + np.arange(1, _PAGE_WINDOW + 1), len(words) - 1)
    adds = words[near] & 0xFFFF_FFE0 == (0x9100_0000 | (taking.targets & 0xFFF) << 10 | (words[at] & 31) << 5)[:, None]
    ends = np.where(pages, near[np.arange(len(at)), adds.argmax(axis=1)], at)
    kept = ~pages | adds.any(axis=1)
    return Held(at[kept], ends[kept] + 1, (words[ends[kept]] & 31).astype(np.int64), taking.targets[kept])


def _read(words: Words) -> Held:
    """``ldr`` of an address that stands among the code."""
    at = np.flatnonzero(words & 0xFF00_0000 == 0x5800_0000)
    from_here = (words[at] >> 5).astype(np.int64) & 0x7_FFFF
    place = at + from_here - ((from_here >> 18) << 19)
    inside = (place >= 0) & (place < len(words) - 1)
    at, place = at[inside], place[inside]
    addresses = words[place].astype(np.int64) | (words[place + 1].astype(np.int64) & 0x7FFF_FFFF) << 32
    return Held(at, at + 1, (words[at] & 31).astype(np.int64), addresses)


def _own_addresses(start: int, words: Words) -> Held:
    """``bl`` of the next instruction."""
    at = np.flatnonzero(words == _CALL_OF_NEXT)
    return Held(at, at + 1, np.full(len(at), _LINK, np.int64), start + 4 * at + 4)


def _of_held(start: int, words: Words, held: Held, calls: Addresses) -> Sums:
    """What is added to addresses in registers, and to copies of them."""
    which, at = held.behind(calls, _KEPT, _REACH, len(words))
    copies = together(_copied(words, held, which, at), _reloaded(words, held, which, at))
    of_copies = _added(start, words, copies, *copies.behind(calls, _KEPT, _REACH, len(words)))
    return all_of(_added(start, words, held, which, at), of_copies)


def _added(start: int, words: Words, held: Held, which: Addresses, at: Addresses) -> Sums:
    """What the instructions ``at`` add to the register of the ``which``-th row of ``held``.

    A constant by ``add`` and ``sub``; another register, shifted or extended, by ``add``. Behind an ``adrp`` of the
    register the constant is added to that page: Go's ``reflectcall`` takes two dozen addresses in one register in turn.
    """
    word, registers = words[at], held.registers[which]
    first, second = word >> 5 & 31 == registers, word >> 16 & 31 == registers
    constant = (word & 0x9F00_0000 == 0x9100_0000) & first
    constant &= words[at - 1] & 0x9F00_001F != (0x9000_0000 | registers)
    amount = (word[constant] >> 10).astype(np.int64) & 0xFFF
    amount <<= np.where(word[constant] >> 22 & 1, 12, 0)
    sums = held.addresses[which[constant]] + np.where(word[constant] >> 30 & 1, -amount, amount)
    unknown = distinct(which[(word & 0x9F00_0000 == 0x8B00_0000) & (first | second)])
    known = Edges(start + 4 * at[constant], sums)
    nothing = Edges(unknown[:0], unknown[:0])
    return Sums(known, Edges(start + 4 * held.starts[unknown], held.addresses[unknown]), nothing)


def _copied(words: Words, held: Held, which: Addresses, at: Addresses) -> Held:
    """Other registers that get the same addresses by ``mov``."""
    word = words[at]
    moves = (word & 0xFFE0_FFE0 == 0xAA00_03E0) & (word >> 16 & 31 == held.registers[which])
    return held.passed_on(which[moves], at[moves] + 1, word[moves].astype(np.int64) & 31)


def _reloaded(words: Words, held: Held, which: Addresses, at: Addresses) -> Held:
    """Registers that get the same addresses by way of the stack: by the next load from it behind a store."""
    word = words[at]
    stores = (word >> 5 & 31 == _STACK) & (word & 31 == held.registers[which])
    stores &= (word >> 22 == 0x3E4) | (word >> 22 == 0x3E0)
    which, at = which[stores], at[stores]
    near = np.minimum(at[:, np.newaxis] + np.arange(1, _STACK_WINDOW), len(words) - 1)
    later = words[near]
    row, column = np.nonzero((later >> 5 & 31 == _STACK) & ((later >> 22 == 0x3E5) | (later >> 22 == 0x3E1)))
    row, first = firsts(row)
    loads = near[row, column[first]]
    return held.passed_on(which[row], loads + 1, words[loads].astype(np.int64) & 31)
