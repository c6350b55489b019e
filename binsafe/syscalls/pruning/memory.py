"""What the memory and the constants of a static program lead to, before it starts: pointers, tables, distances."""

from collections.abc import Callable, Iterator

import numpy as np

from binsafe.arrays import NDArray
from binsafe.model import Slice
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.sets import among, distinct

WORD, ENTRY = 8, 4
"""Bytes of a pointer, and of a distance."""
_ENTRIES, _MIXED = 1024, 16
"""Entries of a table that are read, and how many of them though there is one that leads to no code."""
_LETTERS = 7
_PIECE = 1 << 20
"""Bytes of memory that are looked at at once."""


def is_relocated(program: Program) -> bool:
    """Whether it may be loaded to any address, so that words of memory and of code are none."""
    return bool(program.slice.traits.get("pie"))


def in_data(program: Program, entries: Addresses) -> Addresses:
    """All places of code that four aligned bytes of data name and are no text, as they are or from their own.

    ``entries`` are those of tables of jumps, which count from the table.
    """
    lowest = min((r.address for r in program.code.ranges), default=0)
    highest = max((r.end for r in program.code.ranges), default=0)
    found = [entries[:0]]
    pieces = ((start, data, at) for start, data in _data(program) for at in range(0, max(0, len(data) - 3), _PIECE))
    for start, data, at in pieces:
        words = _words(data, at)
        slots = np.arange(start + at, start + at + len(words))
        aligned = slots % ENTRY == 0
        if not is_relocated(program):
            found.append(_between(words[aligned & ~_in_text(words)] & 0xFFFF_FFFF, lowest, highest))
        own = aligned & ~among(slots, entries)
        found.append(_between(words[own] + slots[own], lowest, highest))
    return np.concatenate(found)


def _in_text(words: Addresses) -> NDArray[np.bool_]:
    """Whether three bytes of a word, of those at each place, and the four before it are letters or the like."""
    first = words & 0xFF
    letters = np.cumsum(np.concatenate([np.zeros(ENTRY + 1, np.int64), (first >= ord(" ")) & (first <= ord("~"))]))
    ends = np.minimum(np.arange(len(words)) + _LETTERS, len(words) + ENTRY)
    return np.asarray(letters[ends] - letters[ends - _LETTERS] == _LETTERS)


def _between(places: Addresses, lowest: int, highest: int) -> Addresses:
    return places[(places >= lowest) & (places < highest)]


def pointers(program: Program) -> tuple[Addresses, Addresses]:
    """(places in the program, ascending, and where pointers to them stand): in packed structures, too."""
    lowest, highest = _extent(program)
    targets, slots = [program.pointers.targets], [program.pointers.slots]
    for start, data in () if is_relocated(program) else _data(program):
        for at in range(0, max(0, len(data) - 7), _PIECE):
            words = _words(data, at, WORD)
            inside = np.flatnonzero((words >= lowest) & (words < highest))
            targets.append(words[inside])
            slots.append(inside + (start + at))
    found = np.concatenate(targets)
    order = np.argsort(found, kind="stable")
    return found[order], np.concatenate(slots)[order]


def named(program: Program) -> tuple[Addresses, Addresses]:
    """What four bytes of code may name where the program is loaded to fixed addresses, and where they stand."""
    lowest, highest = _extent(program)
    targets, sources = [program.pointers.slots[:0]], [program.pointers.slots[:0]]
    for code in () if is_relocated(program) else program.code.ranges:
        for at in range(0, max(0, len(code.data) - 3), _PIECE):
            words = _words(code.data, at) & 0xFFFF_FFFF
            inside = np.flatnonzero((words >= lowest) & (words < highest))
            targets.append(words[inside])
            sources.append(inside + (code.address + at))
    found = np.concatenate(targets)
    order = np.argsort(found, kind="stable")
    return found[order], np.concatenate(sources)[order]


def through_tables(
    program: Program, named: Addresses, are_held: Callable[[Addresses], NDArray[np.bool_]]
) -> tuple[Addresses, Addresses]:
    """(tables, places of code) to which entries of four bytes lead that count from their table, by place.

    Tables are what is ``named`` outside of functions.
    """
    bases = distinct(named[named >= 0])
    bases = bases[~(program.code.holds(bases) & are_held(bases))]
    tables, places, before = [bases[:0]], [bases[:0]], bases[:0]
    for entry in range(_ENTRIES):
        bases, numbers = _numbers(program.slice, bases, ENTRY * entry)
        led = program.code.holds(bases + numbers)
        tables.append(bases[led])
        places.append((bases + numbers)[led])
        if entry >= _MIXED:  # of entries of eight bytes every other four lead
            kept = led | among(bases, before)
            before, bases = bases[led], bases[kept]
        if not len(bases):
            break
    place = np.concatenate(places)
    order = np.argsort(place, kind="stable")
    return np.concatenate(tables)[order], place[order]


def entries_inside(program: Program, tables: Addresses, begins: Addresses, ends: Addresses) -> Addresses:
    """Where entries of some tables stand, in ascending order, that count from the table and lead between two places.

    Each table has places of its own, and is read up to the first entry that leads elsewhere: a table of jumps is.
    """
    found, going = [tables[:0]], tables
    for entry in range(_ENTRIES):
        going, numbers = _numbers(program.slice, going, ENTRY * entry)
        at, places = np.searchsorted(tables, going), going + numbers
        going = going[(begins[at] < places) & (places < ends[at])]
        if not len(going):
            break
        found.append(going + ENTRY * entry)
    return distinct(np.concatenate(found))


def _extent(program: Program) -> tuple[int, int]:
    """Where the program's memory begins and ends."""
    segments = program.slice.segments
    begins, ends = ([each.address for each in segments], [each.address + each.memory_size for each in segments])
    return min(begins, default=0), max(ends, default=0)


def _data(program: Program) -> Iterator[tuple[int, bytes]]:
    """Loaded memory that is neither code nor what the unwinder is told, with its address."""
    slice_ = program.slice
    told = [section for name in (".eh_frame", ".eh_frame_hdr") if (section := slice_.section(name)) is not None]
    spans = [(r.address, r.end) for r in program.code.ranges]
    spans += [(section.address, section.address + section.size) for section in told]
    for segment in slice_.segments:
        at, end = segment.address, segment.address + segment.file_size
        for first, last in (*sorted(spans), (end, end)):
            if at < min(first, end):
                yield at, slice_.read(at, min(first, end) - at)
            at = max(at, min(last, end))


def _words(data: bytes | memoryview, at: int, size: int = 4) -> Addresses:
    """Four or eight bytes from each place of a piece on, as numbers with a sign."""
    count = min(_PIECE, len(data) - size + 1 - at)
    return np.ndarray((count,), np.dtype(f"<i{size}"), buffer=data, offset=at, strides=(1,)).astype(np.int64)


def _numbers(slice_: Slice, addresses: Addresses, offset: int) -> tuple[Addresses, Addresses]:
    """Those of some addresses behind which four bytes are stored so far away, and these as numbers with a sign."""
    file = np.frombuffer(slice_.data, np.uint8)
    kept, found = [addresses[:0]], [addresses[:0]]
    for segment in slice_.segments:
        distance = addresses + offset - segment.address
        inside = addresses[(distance >= 0) & (distance + 4 <= segment.file_size)]
        at = inside + (offset - segment.address + segment.offset)
        inside, at = inside[at + 4 <= len(file)], at[at + 4 <= len(file)]
        kept.append(inside)
        found.append(file[at[:, None] + np.arange(4)].view("<i4").astype(np.int64).reshape(-1))
    return np.concatenate(kept), np.concatenate(found)
