"""The tables through which the indirect jumps of a region lead, on all ways to each jump.

Compilers merge jumps: of several ways to one each may read a table of its own, or name a label. What a jump leads to is
followed back to the instructions that load an entry or add one to an address, and from there each table's address.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from binsafe.syscalls.controlflow.held_values import LOST, PASSED, End, Known, comes_from
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.arithmetic import MASK, Operation, compute
from binsafe.syscalls.machines.machine import Constant, Entry, Moved, Source

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

TABLE_COST = 16
"""Reading a table takes as long as decoding so many instructions."""
_SEARCHED = 16
"""Instructions that are searched for a jump while one is decoded."""
_WORD = 8


class Table(NamedTuple):
    """A jump table: the target of each entry of ``size`` bytes is what operations make of it, and an origin.

    ``places`` are pairs of an address at which the table may begin and its origin, which is 0 where entries are whole
    addresses. There are none where the table was seen but its address could not be determined.
    """

    places: tuple[tuple[int, int], ...]
    size: int
    operations: tuple[Operation, ...] = ()
    chosen: tuple[int, Moved] | None = None
    """Index of the instruction that loads an entry, and the location that holds the entry's number there."""
    labels: tuple[int, ...] = ()
    """What the jump leads to on ways on which it reads no table."""

    @property
    def is_whole(self) -> bool:
        """Whether its entries are whole addresses, whatever stands where."""
        return self.size == _WORD and not self.operations

    def targets(self, data: bytes, origin: int) -> Iterator[int]:
        """Where the entries lead that stand in some bytes."""
        entries = np.frombuffer(data[: len(data) // self.size * self.size], f"<u{self.size}").tolist()
        return ((compute(entry, self.operations) + origin) & MASK for entry in entries)


UNREAD = Table((), 4)


class _Load(NamedTuple):
    """Where an entry is loaded, and how; with all that is done to it before it is added or gone to."""

    at: int
    entry: Entry
    operations: tuple[Operation, ...]


def tables_of(program: "Program", region: Region, known: Known) -> dict[int, Table]:
    """Indirect jump -> the table through which it leads; none for a tail call through a pointer.

    Where no way is known yet on which a table's address comes to a jump, its table has no places. Nor has one where the
    frame is still there: such a jump through a pointer is no tail call.
    """
    tables: dict[int, Table] = {}
    for at in region.indirect_jumps:
        table = _table(program, region, at, known)
        places = 0 if table is None else len(table.places)
        program.decoder.spend(places * TABLE_COST + len(region.instructions) // _SEARCHED)
        if table is not None:
            tables[at] = table
        elif region.frames[at].get(program.machine.stack) != 0:
            tables[at] = Table((), _WORD)
    return tables


def unread_in(program: "Program", region: Region, known: Known) -> Iterator[int]:
    """The jumps of a region that add what is not known, or read it from a table of anything but whole addresses.

    What the program may write there is not known either.
    """
    for at in region.indirect_jumps:
        table = _table(program, region, at, known)
        if table is None or table.is_whole:
            continue
        kept = all(program.code.constants(base, table.size) for base, _ in table.places)
        if not kept or not (table.places or table.labels):
            yield at


def _table(program: "Program", region: Region, at: int, known: Known) -> Table | None:
    """The table of an indirect jump: of several ways to it each has to read one, or to name a label of the region."""
    machine, instructions = program.machine, region.instructions
    entry = machine.entry(instructions, at)
    if entry is not None:
        return _whole(program, region, _Load(at, entry, entry.operations), known)
    register = instructions.operands(at).partition(", ")[0]
    ends = comes_from(program, region, at, Moved(register), known) if register.isalnum() else [End(PASSED)]
    labels = {end.value for end in ends if end.value is not None and region.at(end.value) is not None}
    found = [_read(program, region, end, known) for end in ends if end.value not in labels]
    if not labels and all(each is None for each in found):
        return None  # where no way leads to the jump, whoever goes to an address before it passes a pointer
    read = [each for each in found if each is not None]
    kinds = {(each.size, each.operations) for each in read}
    if len(read) < len(found) or len(kinds) > 1 or not all(each.places for each in read):
        return Table((), _WORD) if all(each is None or each.is_whole for each in found) else UNREAD
    if len(read) == 1 and not labels:
        return read[0]
    places = tuple(place for each in read for place in each.places)
    return (read[0] if read else UNREAD)._replace(places=places, chosen=None, labels=(*labels,))


def _read(program: "Program", region: Region, end: End, known: Known) -> Table | None:
    """The table from which a value comes that is jumped to; None where it is a whole pointer, or not seen."""
    machine, instructions = program.machine, region.instructions
    if end.at < 0 or end.value is not None:
        return UNREAD if end.at == LOST else None
    summands = machine.summands(instructions, end.at)
    if summands is not None and not end.operations:
        return _relative(program, region, end.at, summands, known)
    entry = machine.entry(instructions, end.at)
    if entry is None:
        return UNREAD if end.operations else None
    return _whole(program, region, _Load(end.at, entry, entry.operations + end.operations), known)


def _whole(program: "Program", region: Region, load: _Load, known: Known) -> Table:
    """The table of which an entry is a whole address."""
    bases = _bases(program, region, load, known)
    return Table(tuple((base, 0) for base in bases), load.entry.size, load.operations, _chosen(load))


def _relative(program: "Program", region: Region, at: int, summands: Sequence[Moved], known: Known) -> Table:
    """The table of which an entry is added to an origin by the instruction ``at``."""
    for number, origin in (summands, (*summands,)[::-1]):
        loads = _loads(program, region, at, number, known)
        if not loads or len({(load.entry.size, load.operations) for load in loads}) > 1:
            continue
        origins = _addresses(program, region, at, origin, known)
        if origins is None:
            return UNREAD
        places: set[tuple[int, int]] = set()
        for load in loads:
            bases = _bases(program, region, load, known)
            own = _is_own(program, Place(region, at), load, origin, known)
            pairs = {(base, base) for base in bases} if own else {*product(bases, origins)}
            if not pairs:
                return UNREAD
            places |= pairs
        chosen = _chosen(loads[0]) if len(loads) == 1 else None
        return Table((*sorted(places),), loads[0].entry.size, loads[0].operations, chosen)
    return UNREAD


def _loads(program: "Program", region: Region, at: int, number: Moved, known: Known) -> list[_Load]:
    """The entries of tables that a location may hold before an instruction; none where it may hold anything else."""
    found: list[_Load] = []
    for end in comes_from(program, region, at, number, known):
        entry = program.machine.entry(region.instructions, end.at) if end.value is None and end.at >= 0 else None
        if entry is None or not entry.bases:
            return []
        found.append(_Load(end.at, entry, entry.operations + end.operations))
    return found


def _chosen(load: _Load) -> tuple[int, Moved] | None:
    return None if load.entry.number is None else (load.at, load.entry.number)


def _is_own(program: "Program", adding: Place, load: _Load, origin: Moved, known: Known) -> bool:
    """Whether an entry is added to the very address from which it was loaded."""
    begin = program.undisturbed(adding, (origin.location,), known).at
    return load.entry.bases == (origin,) and begin <= load.at < adding.at


def _bases(program: "Program", region: Region, load: _Load, known: Known) -> set[int]:
    """Where the table may begin of which an entry is loaded; none where that cannot be told."""
    found = [_addresses(program, region, load.at, base, known) for base in load.entry.bases]
    read = [each for each in found if each and all(program.slice.offset_of(base) is not None for base in each)]
    return read[0] if len(read) == 1 else set()


def _addresses(program: "Program", region: Region, at: int, source: Source, known: Known) -> set[int] | None:
    """All that a location may hold before an instruction; None where it may hold what cannot be told."""
    if not isinstance(source, Moved):
        return {source.value} if isinstance(source, Constant) else None
    ends = [end for end in comes_from(program, region, at, source, known) if not _is_imported(program, region, end)]
    values = {end.value for end in ends if end.value is not None}
    return None if any(end.value is None for end in ends) else values


def _is_imported(program: "Program", region: Region, end: End) -> bool:
    """Whether a value is the address of what another file has, of which no distance to this one's code is known.

    It comes to a jump on no real way, as over a call of ``_Unwind_Resume``, behind which Rust puts cases of a switch.
    """
    if end.at < 0 or end.value is not None or end.operations:
        return False
    named = program.one_named_at(Place(region, end.at))
    return named is not None and program.slots.is_imported(named)
