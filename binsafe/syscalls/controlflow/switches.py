"""Jump tables: where the indirect jumps of a region can lead.

`Machine.table` says where a table begins. It ends after as many entries as the comparison allows that guards the jump;
where none is found, where the next table begins or an entry is no address of code.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain, takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from binsafe.syscalls.controlflow.held_values import Known
from binsafe.syscalls.controlflow.jump_tables import Table, tables_of, unread_in
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.controlflow.table_limits import MAX_ENTRIES, limit
from binsafe.syscalls.machines.edges import MAYBE_TAKEN, TAKEN

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_MAX_ROUNDS = 8
"""How often the tables are read anew, since one may lead in between the comparison and the jump of another."""
_WORD = 8


class Cases(NamedTuple):
    """Where the jump tables of a region lead."""

    inside: Mapping[int, tuple[int, ...]]
    """Instruction -> the jumps that lead there, all by index."""
    outside: frozenset[int]
    """The jumps that lead to other regions as well, such as the split-off cold part of a function."""
    unread: frozenset[int] = frozenset()
    """The jumps through tables that were not read, or not to their end."""
    ways: Mapping[int, tuple[int, ...]] = MappingProxyType({})
    """`inside`, and where other jumps may lead; no jump where it is one that was read, or is not seen."""
    whole: bool = True
    """Whether all is known."""
    origins: frozenset[int] = frozenset()
    """The addresses from which the tables count."""


_NOWHERE = Cases({}, frozenset())


class Switches:
    """The answers for one program, each looked for once."""

    def __init__(self, program: "Program") -> None:
        """``program`` is a weak reference, see there."""
        self._program = program
        self._found: dict[int, Cases] = {}
        self._doubtful: dict[int, int | None] = {}

    def cases(self, region: Region) -> Cases | None:
        """See `Program.cases`."""
        found = self._cases(region)
        return found if found.whole else None

    def ways(self, region: Region) -> Mapping[int, tuple[int, ...]]:
        """Index -> the jumps of the region that lead there through tables, and labels to which other jumps may lead.

        As far as they are known: of what jumps, or none.
        """
        return self._cases(region).ways

    def _cases(self, region: Region) -> Cases:
        if region.start not in self._found:
            if region.indirect_jumps:  # while it is being asked: to read a table may ask what is gone to by a register
                anywhere = dict.fromkeys(range(len(region.instructions)), ())
                self._found[region.start] = _NOWHERE._replace(ways=anywhere, whole=False)
            self._found[region.start] = _through_tables(self._program, region, self.labels)
        return self._found[region.start]

    def in_doubt(self, region: Region) -> int | None:
        """Where a jump stands that may lead to any instruction of its region: it is no pointer, nor is its table read.

        Unread tables of labels are none: memory holds these, or code names them, see `ways`.
        """
        if region.start not in self._doubtful:
            read = not region.indirect_jumps or self.cases(region) is not None
            ways = {} if read else self.ways(region)
            unread = () if read else chain(unread_in(self._program, region, ways), _long(self._program, region, ways))
            self._doubtful[region.start] = next((region.instructions.addresses[at] for at in unread), None)
        return self._doubtful[region.start]

    def labels(self, region: Region) -> set[int]:
        """The instructions of a region, but for the first, whose addresses memory holds.

        Go has none but in tables that are read: its programs for arm64 lie where small numbers look like addresses.
        """
        if self._program.is_go(region):
            return set()
        held = self._program.held.data
        first, last = (bisect_left(held, address) for address in (region.start + 1, region.end))
        return {at for address in held[first:last] if (at := region.at(address)) is not None}

    def origins(self, region: Region) -> frozenset[int]:
        """The addresses from which the jump tables of a region count; none where one could not be read."""
        cases = self.cases(region)
        return frozenset() if cases is None else cases.origins

    def forget(self, start: int) -> None:
        """Drop what is known of the region that starts there: its bounds have changed."""
        self._found.pop(start, None)
        self._doubtful.pop(start, None)

    def forget_all(self) -> None:
        """Drop what is known of all regions."""
        self._found.clear()
        self._doubtful.clear()


def _through_tables(program: "Program", region: Region, labels: Callable[[Region], set[int]]) -> Cases:
    """Where the jump tables of a region lead.

    Only the region's own jumps are looked at: jumps of other regions through the same tables are not.
    """
    jumps = frozenset(region.indirect_jumps)
    tables, known = _settled(program, region) if jumps else ({}, _NOWHERE)
    places = [place for table in tables.values() for place in table.places]
    read = {*chain(*places)}
    loose = {base: indices for base, indices in _named(program, region).items() if base not in read}
    unseen = known.unread | jumps - tables.keys()
    held = labels(region) if unseen else labels(region) - known.inside.keys()
    own = (indices for base, indices in loose.items() if region.start in _takers(program, base))
    ways = {**dict.fromkeys(chain(*loose.values()), ()), **known.inside}
    for at in chain(held, *own):  # any jump that is not seen may lead there
        ways[at] = (*known.inside.get(at, ()), *unseen) if unseen else ()
    whole = region.caught is not None and not known.unread and not loose
    whole = whole and (not unseen or held <= known.inside.keys())
    return known._replace(ways=ways, whole=whole, origins=frozenset(origin for _, origin in places))


def _settled(program: "Program", region: Region) -> tuple[Mapping[int, Table], Cases]:
    """The tables of a region's jumps, read anew until they lead nowhere else; unread where that has no end."""
    tables: Mapping[int, Table] = {}
    known = _NOWHERE
    for _ in range(_MAX_ROUNDS if region.caught is not None else 0):
        tables = tables_of(program, region, known.inside)
        before, known = known, _leading(program, region, tables, known.inside)
        if known == before:
            return tables, known
    return tables, known._replace(unread=frozenset(region.indirect_jumps))


def _long(program: "Program", region: Region, known: Known) -> Iterator[int]:
    """The jumps of a region through tables of more entries than are read."""
    for at, table in tables_of(program, region, known).items():
        most = limit(program, region, table, known)
        if most is not None and most.entries > MAX_ENTRIES:
            yield at


def _named(program: "Program", region: Region) -> dict[int, set[int]]:
    """Address -> the instructions of a region, but for the first, that constant memory names by their distance from it.

    The address is taken in the region, or in one from or to which a jump leads, such as the cold part of a function:
    elsewhere it is chance that constants look like distances to its code.
    """
    found: dict[int, set[int]] = {}
    for base, target in program.distant.into(region.start + 1, region.end):
        if (at := region.at(target)) is not None:
            found.setdefault(base, set()).add(at)
    takers = {base: _takers(program, base) for base in found}
    if all(region.start in starts for starts in takers.values()):
        return found
    beside = _beside(program, region)
    return {base: labels for base, labels in found.items() if not beside.isdisjoint(takers[base])}


def _beside(program: "Program", region: Region) -> set[int]:
    """The starts of a region and of those from or to which branches lead, such as the cold part of a function."""
    beside = {program.start(source) for source, _ in program.incoming.leading_to(region.start, region.end)}
    return beside.union((region.start, *(program.start(target) for target in region.onward)))


def _takers(program: "Program", address: int) -> set[int]:
    """The starts of the regions that compute an address."""
    named = program.references.into(address, address + 1)
    return {program.start(source) for source, _, use in named if use in {TAKEN, MAYBE_TAKEN}}


def _leading(program: "Program", region: Region, tables: Mapping[int, Table], known: Known) -> Cases:
    """See `_through_tables`; ``known`` are the instructions to which tables lead, as far as is known by now.

    Where a table leads in between the comparison and the jump of another one, that comparison does not guard the jump.
    """
    found: dict[int, tuple[int, ...]] = {}
    outside, unread = set[int](), set[int]()
    begins = sorted({base for table in tables.values() for base, _ in table.places})
    for at, table in tables.items():
        allowed = limit(program, region, table, known)
        most = MAX_ENTRIES if allowed is None else min(allowed.entries, MAX_ENTRIES)
        compared = allowed is not None and allowed.compared
        ends = begins if compared else sorted({*begins, *_next_named(program, region, table)})
        targets = _targets(program, table, ends, most)
        targets.update(table.labels)
        inside = {index for target in targets if (index := region.at(target)) is not None}
        if not inside or (allowed is not None and allowed.entries > most):
            unread.add(at)
        if len(inside) < len(targets):
            outside.add(at)
        for index in inside:
            found[index] = (*found.get(index, ()), at)
    return Cases(found, frozenset(outside), frozenset(unread))


def _next_named(program: "Program", region: Region, table: Table) -> Iterator[int]:
    """The addresses behind a table that code takes: something else begins there.

    (Rust compares the number of an enum's variant nowhere where there are no others.) Entries that are small numbers
    are targets in the function whatever they are, also when read beyond the table's end; of other entries the one that
    stands there has to lead away from the function, too.
    """
    beside = set[int]() if _are_small(table) else _beside(program, region)
    for base, origin in table.places:
        named = program.references.into(base + 1, base + MAX_ENTRIES * table.size)
        ends = {target for _, target, use in named if use == TAKEN}
        yield from (end for end in ends if _are_small(table) or _leads_away(program, table, end, origin, beside))


def _leads_away(program: "Program", table: Table, at: int, origin: int, beside: Container[int]) -> bool:
    """Whether what stands at an address would, as an entry of a table, lead into none of the regions ``beside``."""
    led_to = next(table.targets(program.code.constants(at, table.size), origin), None)
    return led_to is not None and program.start(led_to) not in beside


def _are_small(table: Table) -> bool:
    """Whether entries count instructions, and not bytes."""
    return any(operation.name == "shift-left" for operation in table.operations)


def _targets(program: "Program", table: Table, begins: Sequence[int], most: int) -> set[int]:
    """The addresses that a table leads to.

    It ends after ``most`` entries, at the next of ``begins``, or before the first entry that is no address of code.
    """
    found: set[int] = set()
    for base, origin in table.places:
        following = bisect_right(begins, base)
        size = most * table.size
        size = min(begins[following] - base, size) if following < len(begins) else size
        data = program.code.constants(base, size)
        if not data and table.size == _WORD:
            found.update(_pointed(program, range(base, base + size, _WORD)))
            continue
        found.update(takewhile(program.code.range_of, table.targets(data, origin)))
    return found


def _pointed(program: "Program", slots: Iterable[int]) -> Iterator[int]:
    """The targets in words that are relocated, or can be written: tables of labels in C (``&&label``), mostly."""
    for slot in slots:
        target = program.pointers.at(slot)
        if target is None or program.code.range_of(target) is None:
            return
        yield target
