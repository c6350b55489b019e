"""How far a loop goes on from an address of data that an instruction computes: the bytes of an array's entries.

Such an address is that of an array only by chance. It may be that of whichever member the loop uses, or of the last
entry where it counts down: ``lea rdx, [rip + table + 160]; ...; add rdx, -80``.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.arithmetic import MASK, compute
from binsafe.syscalls.machines.machine import Flow, Moved

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_LONGEST = 1 << 12
"""Bytes of an entry at most."""
_STEPS = 64
"""Instructions that are looked at; a loop stands near to where it gets its address."""
_STEP_COST = 10
"""To look at an instruction takes as long as decoding so many."""
_INDEXED = re.compile(r"\[(\w+)(?: \+|,) (\w+)(?: [+-] \w+)?\]")
"""Memory at the sum of two registers."""


def strides(program: "Program", source: int, address: int) -> frozenset[int]:
    """By how many bytes code goes on from the ``address`` that the instruction at ``source`` names, up or down."""
    place = program.place(source)
    if place is None:
        return frozenset()
    region, found = place.region, set[int]()
    for at in program.taken.completed(place, address, address + 1) or (place.at,):
        register = region.machine.takes(region.instructions, at)
        if register is not None:
            found.update(_followed(program, region, at + 1, register))
    return frozenset(step for step in found if 0 < step < _LONGEST)


def _followed(program: "Program", region: Region, begin: int, register: str) -> Iterator[int]:
    """What is added to a register from an instruction on, to its copies, and to what it is used together with."""
    seen: set[tuple[int, str]] = set()
    work, steps = [(begin, register)], 0
    while work and steps < _STEPS:
        before, held = work.pop()
        at = region.next_concerned(before, held)
        steps += 1 + at - before
        if at >= len(region.instructions) or (at, held) in seen:
            continue
        seen.add((at, held))
        flow, kept = region.leaving(at), True
        operands = region.instructions.operands(at)
        for to in {held, operands.partition(", ")[0]} if held in operands else ():
            moved = _moved(program, region, at, to) if to.isalnum() else None
            if moved is not None and moved.location == held:
                yield from _added(moved)
                work.append((at + 1, to))
            kept = kept and (to != held or program.sources(Place(region, at), held) is None)
        for pair in _INDEXED.findall(operands):
            yield from _added_anywhere(program, region, pair[pair[0] == held]) if held in pair else ()
        if flow is Flow.CALL:
            kept = held in region.machine.preserved(go=False)
        work += [(after, held) for after in region.following(at)] if kept and flow is not Flow.INDIRECT else []
    program.decoder.spend(_STEP_COST * len(seen))


def _added_anywhere(program: "Program", region: Region, register: str) -> Iterator[int]:
    """All numbers that the instructions of a region add to a register."""
    for at in dict.fromkeys(region.instructions.containing(region.machine.spellings(register))):
        moved = _moved(program, region, at, register)
        if moved is not None and moved.location == register:
            yield from _added(moved)


def _moved(program: "Program", region: Region, at: int, register: str) -> Moved | None:
    """Where an instruction has the value of a register from, if it is another register's or its own one."""
    sources = () if region.leaving(at) is Flow.CALL else program.sources(Place(region, at), register) or ()
    return sources[0] if len(sources) == 1 and isinstance(sources[0], Moved) else None


def _added(moved: Moved) -> Iterator[int]:
    """The number that is added on the way, without its sign."""
    if all(step.name == "add" or step == ("multiply", 1) for step in moved.operations):
        number = compute(0, moved.operations)
        yield min(number, MASK + 1 - number)
