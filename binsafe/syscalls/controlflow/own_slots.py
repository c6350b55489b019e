"""Stack slots that are the compiler's own, of which no pointer is made: those in which it keeps where jumps lead.

Where there are not enough registers LLVM keeps the target of a jump through a table for the next time. Whether an
object has that slot its address does not tell, as nobody knows how far objects go. But none holds what is added up from
a table's entry, which is nothing of the source's. (A table's address may be a field: C programs choose among several.)
Only C's labels as values come near that; what else memory or code names of these counts as a way in by itself.
"""

from bisect import bisect_left
from collections.abc import Container
from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import Moved, Source

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_SIZE, _HALF = 8, 4
_SEARCHED = 16
"""Instructions that are searched for a store while one is decoded."""


def is_own(program: "Program", region: Region, slot: int, known: Container[int]) -> bool:
    """Whether all that a region stores in a slot are targets of jumps through tables, and no object begins there.

    ``known`` are the instructions to which tables lead.
    """
    asked, answers = region.own
    if asked is not known:
        answers = {}
        region.own = known, answers
    if slot not in answers:
        answers[slot] = _is_own(program, region, slot, known)
    return answers[slot]


def _is_own(program: "Program", region: Region, slot: int, known: Container[int]) -> bool:
    """See `is_own`."""
    if slot >= 0 or bisect_left(region.exposed, slot) < bisect_left(region.exposed, slot + _SIZE):
        return False
    stores = _stores(program, region, slot)
    return bool(stores) and all(_is_target(program, Place(region, at), slot, known) for at in stores)


def _stores(program: "Program", region: Region, slot: int) -> tuple[int, ...]:
    """The instructions of a region that store in a slot by its name."""
    if slot not in region.stores:
        program.decoder.spend(len(region.instructions) // _SEARCHED)
        halves = (slot, slot + _HALF)
        region.stores[slot] = tuple(
            at
            for at in range(len(region.instructions))
            if any(program.sources(Place(region, at), half, own=True) is not None for half in halves)
        )
    return region.stores[slot]


def _is_target(program: "Program", store: Place, slot: int, known: Container[int]) -> bool:
    """Whether a store is of a whole register to which an entry of a table was added shortly before."""
    sources = program.sources(store, slot, own=True)
    whole = program.sources(store, slot + _HALF, own=True) is not None
    stored = sources[0] if whole and sources is not None and len(sources) == 1 else None
    given = _given(program, store, stored, known)
    if given is None or not isinstance(stored, Moved):
        return False
    machine, instructions = program.machine, given.region.instructions
    loads = (_given(program, given, each, known) for each in machine.summands(instructions, given.at) or ())
    entries = (machine.entry(instructions, load.at) for load in loads if load is not None)
    return any(entry is not None and entry.bases for entry in entries)


def _given(program: "Program", place: Place, held: Source | None, known: Container[int]) -> Place | None:
    """The instruction shortly before another one that gave a register what it holds there."""
    if not isinstance(held, Moved) or held.operations or not isinstance(held.location, str):
        return None
    begin = program.undisturbed(place, (held.location,), known)
    before = begin.region.direct_predecessors(begin.at)
    only = len(before) == 1 and begin.at not in known and not program.entries(begin)
    return Place(begin.region, before[0]) if only else None
