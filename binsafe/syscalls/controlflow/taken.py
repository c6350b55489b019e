"""Where addresses of functions are taken as values: by pointers in memory, and by instructions that keep them.

A slot of the global offset table that is nothing but called through is as good as a call. A function whose address is
taken in any other way may be called by whoever gets it, from places and with arguments that are not seen.
"""

import weakref
from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from binsafe.syscalls.controlflow import pages, registers
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.machines.machine import CALLED, LOADED, MAYBE_TAKEN, TAKEN

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_LOAD_SIZE = 6
"""Bytes of x86's ``mov`` from memory without its prefix."""
_STUB_SIZE = 16
"""Bytes of the longest stub of a linkage table, up to its jump."""


class Taken:
    """The answers for one program, each address looked for once."""

    def __init__(self, program: "Program") -> None:
        self._program: Program = weakref.proxy(program)  # in a circle they would stay until somebody looks for such
        self._found: dict[int, int | None] = {}

    def at(self, address: int) -> int | None:
        """See `Program.taken_at`."""
        if address not in self._found:
            self._found[address] = next(self._by(address), None)
        return self._found[address]

    def _by(self, address: int) -> Iterator[int]:
        """The slots and instructions that take an address."""
        program = self._program
        yield from (slot for slot in program.pointers.to(address) if not self.only_called(slot))
        for source, _, use in program.references.into(address, address + 1):
            if use in {TAKEN, MAYBE_TAKEN} and self._is_kept(source, address):
                yield source
        yield from (at for at in program.naming_absolutely(address) if self._names(at, address))
        bases, functions = program.distant
        yield from bases[functions == address].tolist()

    def _names(self, place: int, address: int) -> bool:
        """Whether four bytes that are an address belong to one instruction that does not only compare it, if known.

        Go's assembler puts nothing among code but instructions: there it must be the address that one names.
        """
        region = self._program.region(place)
        if region is None or not self._program.is_known(region.start):
            return True
        at = bisect_right(region.instructions.addresses, place) - 1
        last = bisect_right(region.instructions.addresses, place + 3) - 1
        named = at < 0 or self._program.go is None or _says(region.instructions.operands(at), address)
        compares = at >= 0 and region.instructions.names[at] == self._program.machine.compare
        return at == last and named and not compares

    def _is_kept(self, source: int, address: int) -> bool:
        """Whether an instruction stands there, and keeps the address for more than calls of its own function."""
        place = self._program.place(source)
        if place is None:
            region = self._program.region(source)
            return region is None or not self._program.is_known(region.start)
        named = self.completed(place, address, address + 1)
        return named is None or any(
            not registers.uses(self._program, Place(place.region, at)).nothing_else for at in named
        )

    def naming(self, start: int, end: int) -> Iterator[int]:
        """See `Program.naming`."""
        for source, _, _ in self._program.references.into(start, end):
            place = self._program.place(source)
            named = () if place is None else self.completed(place, start, end)
            if place is None or named is None or named:
                yield source

    def completed(self, place: Place, start: int, end: int) -> tuple[int, ...] | None:
        """See `pages`."""
        return pages.completed(place.region, place.at, start, end, go=self._program.is_go(place.region))

    def only_called(self, slot: int) -> bool:
        """See `Program.only_called`."""
        pointers, references = self._program.pointers, self._program.references
        at = int(np.searchsorted(pointers.slots, slot))
        uses = [(source, use) for source, _, use in references.into(slot, slot + 1) if not self._in_stub(source, slot)]
        return bool(pointers.single[at]) and all(use == CALLED or self._only_calls(source) for source, use in uses)

    def called_through(self, slot: int) -> list[Place]:
        """See `Program.called_through`."""
        program = self._program
        sources = [source for source, _, use in program.references.into(slot, slot + 1) if use == CALLED]
        stub = program.stubs.get(slot)
        found = [program.branch(source) for source in sources if not self._in_stub(source, slot)]
        found.append(None if stub is None else program.place(stub))
        loads = (source for source, _, use in program.references.into(slot, slot + 1) if use == LOADED)
        found += [call for source in loads for call in self.called_when_loaded(source)]
        return [place for place in found if place is not None]

    def called_when_loaded(self, source: int) -> Iterator[Place]:
        """See `Program.called_when_loaded`."""
        place = self._loading(source)
        if place is not None:
            yield from (Place(place.region, at) for at in registers.uses(self._program, place).calls)

    def _only_calls(self, source: int) -> bool:
        """Whether a slot is loaded there for calls of the same function alone, or no instruction names it there."""
        place = self._loading(source)
        if place is not None:
            return registers.uses(self._program, place).nothing_else
        region = self._program.region(source)
        at = -1 if region is None else bisect_right(region.instructions.addresses, source) - 1
        if region is None or at < 0 or region.at(source) is not None or not self._program.is_known(region.start):
            return False
        return "[rip" not in region.instructions.operands(at)

    def _loading(self, source: int) -> Place | None:
        """The instruction that loads a register from memory and has its opcode there, behind its prefix."""
        place = self._program.place(source - 1) or self._program.place(source)
        if place is None or place.instruction.address + place.instruction.size != source + _LOAD_SIZE:
            return None
        return place if self._program.machine.takes(place.region.instructions, place.at) is not None else None

    def _in_stub(self, address: int, slot: int) -> bool:
        """Whether an address is one of the stub that jumps through a slot; some stubs are shorter than the longest."""
        stub = self._program.stubs.get(slot)
        return stub is not None and stub <= address < stub + _STUB_SIZE and self._program.start(address) == stub


def _says(operands: str, address: int) -> bool:
    """Whether an instruction's text has an address, and not as the distance to another one."""
    return f"{address:#x}" in operands.replace(f"rip + {address:#x}]", "")
