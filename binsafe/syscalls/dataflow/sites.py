"""Where the program enters the kernel: places that are the system-call instruction, decoded from a function start."""

from collections.abc import Iterator

from binsafe.syscalls.controlflow.index import pieces
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.program import Program

_AROUND = 100
"""Instructions before and behind a site that are looked at to tell code from data."""
_MUCH_NONSENSE = 4
"""Of random bytes one instruction in twenty is nonsense; of code none is."""


def find(program: Program) -> Iterator[Place]:
    """The program's sites, by address.

    The two bytes of x86's ``syscall`` also occur inside longer instructions, and in constants that lie among code.
    Those are no sites: no instruction starts there when their function is decoded from its first byte on. (A program
    that jumps into the middle of an instruction on purpose makes a call that is not listed, and that no filter made
    from the list allows.)
    """
    last = -1
    for code in pieces(program.code.ranges):
        for address in program.machine.find_sites(code):
            place = program.place(address) if address > last else None  # pieces overlap
            last = max(last, address)
            if place is not None and program.machine.is_site(place.instruction):
                yield place


def is_plausible(program: Program, site: Place) -> bool:
    """Whether a site is code beyond doubt: in a function that a table of the file knows, or among sensible code.

    Assembler puts constants between functions, and some of them decode to a system call.
    """
    region, at = site
    if _follows_zeros(program, site):
        return False
    if program.is_known(region.start):
        return True
    around = region.instructions.names[max(0, at - _AROUND) : at + _AROUND]
    nonsense = sum(name in program.machine.nonsense for name in around)
    return nonsense < _MUCH_NONSENSE


def _follows_zeros(program: Program, site: Place) -> bool:
    """Whether what runs into an instruction are zeros, with nonsense between them or none.

    That is data among code, as the tables in front of GHC's functions.
    """
    region, at = site
    while at and region.zeros and at not in region.jumps_to:
        at -= 1
        if region.is_zeros(at):
            return True
        if not region.falls_through(at) and region.instructions.names[at] not in program.machine.nonsense:
            return False
    return False
