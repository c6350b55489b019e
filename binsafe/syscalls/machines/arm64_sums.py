"""AArch64: addresses of code that code computes from another one of its own, and return addresses that it changes.

See `x86_64_sums`: assembler does so, and compilers do not.
"""

from collections.abc import Iterator

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.machines.held import Held, Sums, all_of, together
from binsafe.syscalls.machines.machine import Addresses, Edges
from binsafe.syscalls.sets import distinct, firsts

_REACH = range(10, 64)
"""Instructions behind an address in a register in which something is added to it, up to a call and beyond it."""
_NEAR = 16
"""Instructions behind an ``adrp`` in which the rest is added."""
_AROUND = 10
"""Instructions behind a store to the stack in which the same is loaded again."""
_AT_ONCE = 1 << 13
_LINK, _STACK = 30, 31
_KEPT = np.array([19 <= register < 29 for register in range(32)])
_CALL_OF_NEXT, _RETURN = 0x9400_0001, 0xD65F_03C0

Words = NDArray[np.uint32]


def sums(start: int, words: Words, taking: Edges) -> Sums:
    """The sums of the code at an address; ``taking`` are the instructions that compute an address of code."""
    end = start + 4 * len(words)
    held = together(_completed(start, words, taking), _read(words), _own_addresses(start, words))
    inside = (held.addresses >= start) & (held.addresses < end)
    held = Held(*(column[inside] for column in held))
    calls = np.flatnonzero((words >> 26 == 0b100101) | (words & 0xFFFF_FC1F == 0xD63F_0000))
    parts = (held.chosen(slice(first, first + _AT_ONCE)) for first in range(0, len(held.starts), _AT_ONCE))
    found = (_near(start, words, part, calls) for part in parts)
    return all_of(Sums(*[Edges(calls[:0], calls[:0])] * 2), *found).inside(start, end)


def changed_returns(start: int, words: Words) -> Iterator[int]:
    """Where something is added to the address that the next instruction returns to: ``add x30, x30, #4``."""
    returning = np.flatnonzero(words[1:] == _RETURN)
    before = words[returning]
    changes = ((before & 0x9F00_0000 == 0x9100_0000) | (before & 0x9F00_0000 == 0x8B00_0000)) & (before & 31 == _LINK)
    return iter((start + 4 * returning[changes]).tolist())


def _completed(start: int, words: Words, taking: Edges) -> Held:
    """``adr``, ``movz`` and ``movk``; and ``adrp``, where the ``add`` behind it completes the address."""
    at = (taking.sources - start) // 4
    pages = words[at] & 0x9F00_0000 == 0x9000_0000
    near = np.minimum(at[:, np.newaxis] + np.arange(1, _NEAR + 1), len(words) - 1)
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


def _near(start: int, words: Words, held: Held, calls: Addresses) -> Sums:
    """What is added to addresses behind where registers get them, or to copies."""
    row, at = held.behind(calls, _KEPT, _REACH, len(words))
    copies = together(*_copies(words, held, row, at))
    second = _summed(start, words, copies, *copies.behind(calls, _KEPT, _REACH, len(words)))
    return all_of(_summed(start, words, held, row, at), second)


def _summed(start: int, words: Words, held: Held, row: Addresses, at: Addresses) -> Sums:
    """``add`` and ``sub`` of a constant, and of another register, shifted or extended."""
    word, registers = words[at], held.registers[row]
    first, second = word >> 5 & 31 == registers, word >> 16 & 31 == registers
    constant = (word & 0x9F00_0000 == 0x9100_0000) & first
    amount = (word[constant] >> 10).astype(np.int64) & 0xFFF
    amount <<= np.where(word[constant] >> 22 & 1, 12, 0)
    sums = held.addresses[row[constant]] + np.where(word[constant] >> 30 & 1, -amount, amount)
    unknown = distinct(row[(word & 0x9F00_0000 == 0x8B00_0000) & (first | second)])
    known = Edges(start + 4 * at[constant], sums)
    return Sums(known, Edges(start + 4 * held.starts[unknown], held.addresses[unknown]))


def _copies(words: Words, held: Held, row: Addresses, at: Addresses) -> Iterator[Held]:
    """Other registers that get the same addresses: by ``mov``, or over the stack."""
    word, registers = words[at], held.registers[row]
    moves = (word & 0xFFE0_FFE0 == 0xAA00_03E0) & (word >> 16 & 31 == registers)
    yield Held(held.starts[row[moves]], at[moves] + 1, word[moves].astype(np.int64) & 31, held.addresses[row[moves]])
    of_stack = word >> 5 & 31 == _STACK
    stores = of_stack & (word & 31 == registers) & ((word >> 22 == 0x3E4) | (word >> 22 == 0x3E0))
    row, at = row[stores], at[stores]
    near = np.minimum(at[:, np.newaxis] + np.arange(1, _AROUND), len(words) - 1)
    later = words[near]
    loads = (later >> 5 & 31 == _STACK) & ((later >> 22 == 0x3E5) | (later >> 22 == 0x3E1))
    which, first = firsts(np.nonzero(loads)[0])
    loading = near[which, np.nonzero(loads)[1][first]]
    row = row[which]
    yield Held(held.starts[row], loading + 1, words[loading].astype(np.int64) & 31, held.addresses[row])
