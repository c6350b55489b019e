"""Slots of the global offset table: who calls what they point to.

A slot that is nothing but called through is as good as a call of the function it points to. Calls through slots are
``call [rip + slot]``, calls of the slot's stub in the procedure linkage table, and calls of a register that was loaded
from the slot.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from binsafe.formats import stubs
from binsafe.formats.elf_linking import Linking
from binsafe.model import Slice
from binsafe.syscalls.controlflow import registers
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.pointers import Pointers
from binsafe.syscalls.decoding.code import Code
from binsafe.syscalls.machines.edges import CALLED, LOADED
from binsafe.syscalls.sets import among, distinct

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_LOAD_SIZE = 6
"""Bytes of x86's ``mov`` from memory without its prefix."""
_STUB_SIZE = 16
"""Bytes of the longest stub of a linkage table, up to its jump."""


def stubs_of(slice_: Slice, code: Code, pointers: Pointers) -> Mapping[int, int]:
    """Slot -> the stub that jumps to where it points.

    Stubs lie in sections of their own, or wherever such code is if there is no section table.
    """
    slots = pointers.slots[pointers.single]
    named = [s for s in slice_.sections if s.executable and s.name.startswith((".plt", ".iplt"))]
    places = [(s.address, slice_.contents(s)) for s in named] or [(r.address, r.data) for r in code.ranges]
    result: dict[int, int] = {}
    for address, data in places if len(slots) else ():
        found = stubs.slots(slice_.arch, data, address, 0)
        inside = among(np.fromiter(found, np.int64, len(found)), slots).tolist()
        result.update(pair for pair, known in zip(found.items(), inside, strict=True) if known)
    return result


class Slots:
    """The answers for one program."""

    def __init__(self, program: "Program", linking: Linking | None) -> None:
        """``program`` is a weak reference, see there."""
        self._program = program
        self._linking = linking
        self._calls: dict[frozenset[str], frozenset[int]] = {}

    def only_called(self, slot: int) -> bool:
        """Whether a slot is nothing but called, jumped through or compared, as by glibc's handler of cancellation."""
        return next(self.taken_from(slot), None) is None

    def taken_from(self, slot: int) -> Iterator[int]:
        """Where a slot is loaded for anything else; the slot itself where it is part of a table that nothing loads."""
        pointers, references = self._program.pointers, self._program.references
        single = bool(pointers.single[np.searchsorted(pointers.slots, slot)])
        uses = [(source, use) for source, _, use in references.into(slot, slot + 1) if not self._in_stub(source, slot)]
        loads = [source for source, use in uses if use != CALLED]
        if single:
            yield from (source for source in loads if not self._only_calls(source))
        else:
            yield from loads or [slot]

    def is_imported(self, slot: int) -> bool:
        """Whether an entry of the global offset table holds the address of what is defined in another file."""
        pointers = self._program.pointers
        at = int(np.searchsorted(pointers.slots, slot))
        single = at < len(pointers.slots) and pointers.slots[at] == slot and pointers.single[at]
        symbol = int(pointers.symbols[at]) if single else 0
        return symbol > 0 and self._linking is not None and not bool(self._linking.symbols.defined[symbol])

    def imported(self, slot: int) -> str | None:
        """The name of what `is_imported`; None for other entries."""
        if self._linking is None or not self.is_imported(slot):
            return None
        at = int(np.searchsorted(self._program.pointers.slots, slot))
        return next(iter(self._linking.symbols.chosen(self._program.pointers.symbols[at : at + 1]))).name

    def target(self, slot: int) -> int | None:
        """What an entry of the global offset table always points to; None where that is not known.

        A relocation says it. Those that the loader asks a function for, which it points to, are none.
        """
        pointers, target = self._program.pointers, self._program.pointers.at(slot)
        fixed = pointers.relocated and target is not None and target not in pointers.resolvers
        return target if fixed and pointers.single[np.searchsorted(pointers.slots, slot)] else None

    def called_through(self, slot: int) -> list[Place]:
        """The calls and jumps through a slot: of code itself, or of its stub."""
        program = self._program
        sources = [source for source, _, use in program.references.into(slot, slot + 1) if use == CALLED]
        stub = program.stubs.get(slot)
        found = [program.branch(source) for source in sources if not self._in_stub(source, slot)]
        found.append(None if stub is None else program.place(stub))
        loads = (source for source, _, use in program.references.into(slot, slot + 1) if use == LOADED)
        found += [call for source in loads for call in self.called_when_loaded(source)]
        return [place for place in found if place is not None]

    def called_when_loaded(self, source: int) -> Iterator[Place]:
        """The calls and jumps through the register that is loaded from memory at an address of code."""
        place = self._loading(source)
        if place is not None:
            yield from (Place(place.region, at) for at in registers.uses(self._program, place).calls)

    def calls_of(self, names: frozenset[str]) -> frozenset[int]:
        """Where the calls of imported functions with these names stand, and the jumps to them; found out once."""
        if names not in self._calls:
            self._calls[names] = frozenset()  # while it is being asked, of which calls come back among others
            pointers = self._program.pointers
            used = distinct(pointers.symbols)
            used = used[used > 0]
            symbols = () if self._linking is None else self._linking.symbols.chosen(used)
            chosen = [index for index, symbol in zip(used, symbols, strict=False) if symbol.name in names]
            slots = pointers.slots[among(pointers.symbols, chosen)].tolist()
            self._calls[names] = frozenset(place.address for slot in slots for place in self.called_through(slot))
        return self._calls[names]

    def _only_calls(self, source: int) -> bool:
        """Whether a slot is loaded there for calls of the same function alone, or compared, or not named at all."""
        place = self._loading(source)
        if place is not None:
            return registers.uses(self._program, place).nothing_else
        region = self._program.region(source)
        at = -1 if region is None else bisect_right(region.instructions.addresses, source) - 1
        if region is None or at < 0 or not self._program.is_known(region.start):
            return False
        if region.instructions.names[at] == region.machine.compare:
            return True
        return region.at(source) is None and "[rip" not in region.instructions.operands(at)

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
