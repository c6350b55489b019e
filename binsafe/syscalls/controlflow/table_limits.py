"""How many entries a jump table has: what the code before the jump says of the entry's number."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from binsafe.syscalls.controlflow.held_values import Known
from binsafe.syscalls.controlflow.jump_tables import Table
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.arithmetic import Operation, compute
from binsafe.syscalls.machines.machine import Constant, Flow, Moved, Source, Unknown, then

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

MAX_ENTRIES = 1024
"""Entries of a jump table that are read."""
_LEADING = 64
"""Instructions before a jump through a table among which the comparison is looked for that guards it."""
_WHOLE = 32
"""Bits of a comparison that says how large a register's number is."""
_SIGN = 1 << 31
_IN_LOWER_HALF = frozenset({Operation("and", 2 * _SIGN - 1), Operation("multiply", 1)})
"""What changes nothing there."""


class Limit(NamedTuple):
    """How many entries a table has at most."""

    entries: int
    compared: bool
    """Whether comparisons say so: what a byte can be says nothing of where the table ends."""


def limit(program: "Program", region: Region, table: Table, entered: Known) -> Limit | None:
    """How many entries a table has, by the comparison or mask of the entry's number before the jump; None if unknown.

    The number is followed back along all ways to the jump, of which each has to end at a comparison, or where it is a
    constant. Indices of ``entered`` have other ways. Where 32 bits of a number are compared, the upper ones are taken
    to be zero, as compilers ensure. Numbers that would fall below zero are no limit where a conditional move takes
    another in their place, as of an enum of Rust's whose variants share a byte with those of others.
    """
    return None if table.chosen is None else _most(program, region, table.chosen, entered)


def _most(
    program: "Program", region: Region, chosen: tuple[int, Moved], entered: Known, *, in_part: bool = True
) -> Limit | None:
    """See `limit`; what compares fewer than 32 bits counts only ``in_part``."""
    most, work, replaced, compared = 0, [chosen], False, True
    for _ in range(_LEADING):
        if not work:
            return None if replaced and most > _SIGN else Limit(most, compared)
        at, held = work.pop()
        if (masked := _masked(held)) is not None:
            most, compared = max(most, masked), False
            continue
        before = region.direct_predecessors(at)
        if not at or at in entered or at in region.pads or not before or program.entries(Place(region, at)):
            return None
        for place in (Place(region, index) for index in before):
            ways = [*_before(program, place, held, taken=place.at + 1 != at)]
            replaced |= len(ways) > 1
            for source, taken in ways:
                if (count := _told(program, place, source, entered, taken=taken, in_part=in_part)) is not None:
                    most = max(most, count)
                elif isinstance(source, Moved):
                    work.append((place.at, source))
                else:
                    return None
    return None


def _masked(held: Moved) -> int | None:
    """How many entries a table has whose number is cut to its low bits.

    Where its 32 bits would fall below zero no entry is read: none lies so far away.
    """
    for position, operation in enumerate(held.operations, 1):
        if operation.name == "and" and operation.operand < MAX_ENTRIES:
            numbers = (compute(n, held.operations[position:]) for n in range(operation.operand + 1))
            return 1 + max((number for number in numbers if not _SIGN <= number < 2 * _SIGN), default=-1)
    return None


def _before(program: "Program", place: Place, held: Moved, *, taken: bool) -> Iterator[tuple[Source, bool | None]]:
    """What an instruction takes a number from, and whether its condition holds there: ``taken`` is that of a branch.

    None where it may hold or not, as that of a conditional move of another register.
    """
    sources, flow = program.sources(place, held.location), place.region.leaving(place.at)
    if sources is not None:
        yield from ((then(source, *held.operations), bool(holds)) for holds, source in enumerate(sources))
    elif flow is not Flow.CALL:
        yield held, taken if flow is Flow.BRANCH else None
    else:
        yield Unknown("what a function returned"), None


def _told(
    program: "Program", place: Place, held: Source, entered: Known, *, taken: bool | None, in_part: bool
) -> int | None:
    """How many entries a table has whose entry's number is made of what is ``held``; None if that is not told there.

    It is a constant, or a branch or conditional move that is ``taken``, or is not, compares what is held, or the sum of
    that and a constant: Rust compares a number less one.
    """
    if not isinstance(held, Moved):
        return held.value + 1 if isinstance(held, Constant) else None
    region, at = place.region, place.at
    parts = region.at(region.flow(at)[1]) != at + 1  # else it is followed whatever was compared
    tested = program.machine.tested(region.instructions, at) if parts else None
    if tested is None or tested.limit is None or tested.limit[0] != taken:
        return None
    begin, index = program.undisturbed(place, (held.location,), entered).at, tested.at
    number: Source = Moved(tested.registers[0])
    while isinstance(number, Moved) and number.location != held.location and index > begin:
        index -= 1
        sources = [source for source, _ in _before(program, Place(region, index), number, taken=False)]
        number = sources[0] if len(sources) == 1 else Unknown("one of several")
    same = isinstance(number, Moved) and number.location == held.location and begin <= index
    added = _added(number.operations) if isinstance(number, Moved) and same else None
    if added is None:
        return None
    if tested.bits < _WHOLE and (added or not in_part or not _fits(program, place, held, entered, tested.bits)):
        return None
    return _count(tested.limit[1], (Operation("add", -added), *held.operations))


def _fits(program: "Program", place: Place, held: Moved, entered: Known, bits: int) -> bool:
    """Whether a number has no bits but the low ones that are compared: they were cut out, or all were compared before.

    So Zig does with ``errno``, which is an enum of 16 bits: ``cmp eax, 0x10000; jae ...; cmp ax, 0x26; ja ...``.
    """
    if held.operations[:1] == (Operation("and", (1 << bits) - 1),):
        return True
    most = _most(program, place.region, (place.at, Moved(held.location)), entered, in_part=False)
    return most is not None and most.entries <= 1 << bits


def _added(operations: Sequence[Operation]) -> int | None:
    """What operations add to the lower half of a number; None where they do anything else to it."""
    adds = [each.operand for each in operations if each.name == "add"]
    others = {each for each in operations if each.name != "add"}
    return None if others - _IN_LOWER_HALF else (sum(adds) + _SIGN) % (2 * _SIGN) - _SIGN


def _count(numbers: int, operations: Sequence[Operation]) -> int:
    """How many entries a table has whose index is made by operations from a number below ``numbers``."""
    return numbers if numbers > MAX_ENTRIES else 1 + max((compute(n, operations) for n in range(numbers)), default=-1)
