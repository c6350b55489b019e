"""Numbers that a callback reads from the object it is passed: told from the code that hands on both.

musl's ``setuid`` and related functions have every thread make the call: ``__setxid(nr, id, eid, sid)`` puts all of
these into a structure and passes that and the function that makes the call to ``__synccall`` (``src/unistd/setxid.c``).
However a compiler fills the structure, the number is still in the register of the first argument when the function's
address is put there. What is found so is taken only where all of it are calls of that kind.
"""

from bisect import bisect_right
from collections.abc import Iterator

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.dataflow.wrappers import Gap, Resolution, argument
from binsafe.syscalls.machines.edges import TAKEN
from binsafe.syscalls.tables import numbers

IDENTITY = frozenset({"setgid", "setregid", "setresgid", "setresuid", "setreuid", "setuid"})
_LARGEST = 1 << 8
"""Bytes from the start of the function that reads a number to where it does."""


def relayed(program: Program, gap: Gap) -> Resolution | None:
    """All numbers that can be read at a gap; None where it is no such place, or not all of them can be told.

    Raises:
        OutOfInstructions: the budget was used up on the way.
    """
    reading = program.place(gap.address)
    if reading is None or "[" not in reading.instruction.operands:
        return None
    takers = list(_takers(program, reading))
    if not takers or None in takers:
        return None
    found = argument(program, [taker for taker in takers if taker], program.machine.arguments[0])
    known = numbers(program.machine.arch)
    family = {known[name] for name in IDENTITY & known.keys()}
    values = {number.value for number in found.numbers}
    return found if not found.gaps and (values or found.parameters) and values <= family else None


def _takers(program: Program, reading: Place) -> Iterator[Place | None]:
    """The instructions that take the address of the function that reads; None among them for what is no instruction."""
    first = max(reading.region.start, reading.address - _LARGEST)
    taken = {
        (target, source) for source, target, use in program.references.into(first, reading.address) if use == TAKEN
    }
    inside = (address for address in reading.region.instructions.addresses if first <= address < reading.address)
    taken |= {(address, source) for address in inside for source in program.taken.naming_absolutely(address)}
    start = max((target for target, _ in taken), default=None)
    yield from (_holding(program, source) for target, source in sorted(taken) if target == start)


def _holding(program: Program, address: int) -> Place | None:
    """The instruction that has a byte."""
    region = program.region(address)
    at = -1 if region is None else bisect_right(region.instructions.addresses, address) - 1
    return None if region is None or at < 0 else Place(region, at)
