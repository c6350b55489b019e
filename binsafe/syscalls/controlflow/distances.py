"""Code that constant memory names by its distance: tables that the loader has nothing to do with.

Entries of four bytes, each to be added to the address that code counts from, or to its own, as in Swift's metadata:
what Clang makes of C++'s virtual functions (``-fexperimental-relative-c++-abi-vtables``), and what assembler has where
there must be no relocations. A jump table looks the same, but leads into the middle of a function, mostly of
the one that reads it, and has nothing else in it. (Where any entry may be nothing, chance has many that lead into the
middle of large programs.)
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS
from binsafe.syscalls.machines.edges import MAYBE_TAKEN, TAKEN, Addresses, Edges
from binsafe.syscalls.sets import among, changes, distinct

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_LARGEST = 1 << 12
"""Bytes from the address that code counts from to an entry."""
_ENTRY = 4
_AT_ONCE = 1 << 10
"""Tables that are read in one step: each may have a thousand entries."""
_HEADERS = (0x464C457F, 0x3B031B01)
"""How an ELF file begins, and its index of unwind tables: what they name is not called."""


def named_by_distance(program: "Program") -> Iterator[Edges]:
    """From the addresses that code counts from to the starts of functions, and where jump tables lead."""
    taken = among(program.references.uses, (TAKEN, MAYBE_TAKEN))
    counted = distinct(program.references.targets[taken])
    sections = np.array([s.address for s in program.slice.sections if s.address <= HIGHEST_ADDRESS], np.int64)
    begins = distinct(np.concatenate([counted, sections]))  # no table goes on into another section
    for segment in program.slice.segments:
        inside = begins[(begins >= segment.address) & (begins < segment.address + segment.file_size)]
        inside = inside[~program.code.holds(inside)]
        if segment.writable or not len(inside):
            continue
        program.decoder.spend(len(inside))
        skew = -segment.address % _ENTRY
        data = program.slice.data[segment.offset + skew : segment.offset + segment.file_size]
        entries = np.frombuffer(data[: len(data) // _ENTRY * _ENTRY], "<i4")
        for places, bases, numbers in _named(segment.address + skew, entries, inside, among(inside, counted)):
            code, starts = _leads(program, bases + numbers)
            jumps = _first_ones(bases, code)
            kept = starts | jumps
            yield Edges(bases[kept], (bases + numbers)[kept])
            of_jumps = bases[changes(bases) & code & ~starts]
            own = _leads(program, places + numbers)[1] & ~among(bases, of_jumps)
            yield Edges(bases[own], (places + numbers)[own])


def _leads(program: "Program", targets: Addresses) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each address is one of code, and whether a function starts there."""
    code = program.code.holds(targets)
    starts = code.copy()
    starts[code] = program.layout.exact(targets[code]) >= 0
    return code, starts


def _first_ones(tables: Addresses, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The entries of tables, one behind the other, up to the first of each table that is not among the chosen ones."""
    left_out = np.cumsum(~chosen)
    begins = np.concatenate([[True], tables[1:] != tables[:-1]])
    before: Addresses = (left_out - ~chosen)[begins]
    found: NDArray[np.bool_] = left_out == before[np.cumsum(begins) - 1]
    return found


def _named(
    address: int, entries: Addresses, begins: Addresses, wanted: NDArray[np.bool_]
) -> Iterator[tuple[Addresses, Addresses, Addresses]]:
    """(place, where its table begins, number) of the entries at an address; of those tables that are wanted."""
    first = np.minimum((begins - address + _ENTRY - 1) // _ENTRY, len(entries))
    last = np.minimum(np.concatenate([first[1:], [len(entries)]]), first + _LARGEST // _ENTRY)
    real = wanted & (first < last) & ~among(np.concatenate([entries, [0]])[first], _HEADERS)
    first, counts, begins = first[real], (last - first)[real], begins[real]
    for piece in range(0, len(first), _AT_ONCE):
        chosen = slice(piece, piece + _AT_ONCE)
        at = np.repeat(first[chosen] - np.cumsum(counts[chosen]) + counts[chosen], counts[chosen])
        at += np.arange(len(at))
        bases = np.repeat(begins[chosen], counts[chosen])
        yield address + _ENTRY * at, bases, entries[at]
