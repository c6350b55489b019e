"""Address-taken functions: memory holds a pointer to them, or code computes their address and does more than call it.

Such a function may be called indirectly, from places and with arguments that the analysis does not see. A slot of the
global offset table through which code only calls does not count, see `slots`.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from binsafe.syscalls.controlflow import pages, registers
from binsafe.syscalls.controlflow.naming import FunctionStarts, Naming
from binsafe.syscalls.controlflow.odd_pointers import OddPointers, says
from binsafe.syscalls.controlflow.overwritten import is_overwritten
from binsafe.syscalls.controlflow.places import Kind, Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.edges import MAYBE_TAKEN, SUMMED, TAKEN, Edges
from binsafe.syscalls.machines.machine import Frame
from binsafe.syscalls.sets import among

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_WORD = 8
_FAR = 1 << 12
"""Bytes between an address and what may be computed from it, where nothing tells where its function ends."""
_FIRST = 4
"""Instructions within which code that is called only to learn its own address reads that."""
_ADDS = frozenset({"add", "lea"})


class Taken:
    """The answers for one program, each address looked for once."""

    def __init__(self, program: "Program") -> None:
        """``program`` is a weak reference, see there."""
        self._program = program
        self._odd = OddPointers(program)
        self._found: dict[int, int | None] = {}
        self._strays: dict[tuple[int, int], tuple[tuple[int, int], ...]] = {}

    def at(self, address: int) -> int | None:
        """The pointer in memory or the instruction that takes an address; None where none does."""
        if address not in self._found:
            self._found[address] = next(self._by(address), None)
        return self._found[address]

    def _by(self, address: int) -> Iterator[int]:
        """All of them."""
        program = self._program
        yield from (slot for slot in program.pointers.to(address) if not program.slots.only_called(slot))
        yield from self.at_odd_places(address)
        yield from self.by_code(address)
        yield from (at for at in self.naming_absolutely(address) if self._names(at, address))
        if program.start(address) == address:  # for what lies inside of a function see `switches`
            yield from (base for base, _ in program.distant.into(address, address + 1))
        if self.base is not None and address not in program.stubs.values():
            yield self.base

    def at_odd_places(self, address: int) -> Iterator[int]:
        """Where memory holds an address that is not aligned, as in packed structures, and no relocation says so.

        Go's compiler makes no such structures.
        """
        return (slot for slot, _ in self.odd_pointers(address, address + 1))

    def odd_pointers(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """See `OddPointers.into`."""
        return self._odd.into(start, end)

    def label(self, address: int) -> Iterator[int]:
        """The instructions that take the address of a label, which is a place inside of a function.

        Any four bytes may be an address by chance, and most places are no labels: so where the address is not computed
        the text of an instruction has to say it.
        """
        yield from self.by_code(address)
        named = (at for at in self.naming_absolutely(address) if self._names(at, address))
        yield from (at for at in named if self._is_said(at, address))

    def by_code(self, address: int) -> Iterator[int]:
        """The instructions that compute an address and do more with it than call it, or jump there, by themselves."""
        for source, _, use in self._program.references.into(address, address + 1):
            if use in {TAKEN, MAYBE_TAKEN} and self._is_kept(source, address):
                yield source

    @cached_property
    def base(self) -> int | None:
        """An instruction that computes the address of another function, to which something unknown is added then.

        The sum may be any function's address: ``base + distances[number]``, where the base is not the table itself.
        """
        program = self._program

        def is_other(source: int, base: int) -> bool:
            if program.layout.exact(np.array([base]))[0] < 0 or program.start(source) == base:
                return False
            region = program.region(source)  # jump tables of arm64 count from behind the jump, where a function may end
            return region is None or base not in program.switches.origins(region)

        return next((source for source, _ in self.summed(is_other)), None)

    def summed(self, wanted: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
        """(instruction, address) of the wanted ones of all addresses to which code adds something unknown."""
        references = self._program.references
        chosen = references.uses == SUMMED
        pairs = zip(references.sources[chosen].tolist(), references.targets[chosen].tolist(), strict=True)
        return (pair for pair in pairs if wanted(*pair) and self._is_summed(*pair))

    def _is_summed(self, source: int, address: int) -> bool:
        """Whether bytes that look like the computation of an address for a sum are one."""
        program = self._program
        place = program.place(source) or program.place(source - 1)
        if place is None:
            return False
        adds = place.instruction.mnemonic in _ADDS and says(place.instruction.operands, address)
        named = self.completed(place, address, address + 1) or (place.at,)
        return adds or any(registers.is_summed(program, Place(place.region, at)) for at in named)

    def stray(self, region: Region, address: int) -> int | None:
        """An instruction that computes some address in a region, from which code may compute ``address`` in turn.

        What is computed from it may be the address of any instruction of the function, unless it is the origin of jump
        tables that are read. Where nothing says where functions end, a region may hold many: there the two addresses
        have to be near each other.
        """
        key = region.start, region.end
        if key not in self._strays:
            self._strays[key] = tuple(self._changed(region))
        found = self._strays[key]
        known = bool(found) and self._program.is_known(region.start)
        return next((at for at, base in found if known or abs(address - base) < _FAR), self.base)

    def may_be_inside(self, start: int, end: int) -> bool:
        """Whether code or memory may hold an address inside of a function, from which others may be computed."""
        named = self._called_next.into(start, end), self._in_code.into(start + 1, end)
        return next(chain(self.odd_pointers(start + 1, end), *named), None) is not None

    def _changed(self, region: Region) -> Iterator[tuple[int, int]]:
        """(instruction, address): computations of addresses in a region from which code computes others in turn.

        A call of the next instruction is one as well, where that reads the return address: it is its own.
        """
        program, within = self._program, range(region.start, region.end)
        for source, target in self._called_next.into(region.start, region.end):
            call = program.branch(source)
            if call is not None and call.leads(Kind.CALL, target) and self._reads_return_address(target):
                yield call.address, target
        taking = [(region.at(source), to) for source, to in self._in_code.into(region.start + 1, region.end)]
        inside = [(at, target) for at, target in taking if at is not None]
        origins = program.switches.origins(region) if inside else ()
        for at, target in inside:
            if target in origins or self._is_reloaded(Place(region, at)) or is_overwritten(program, Place(region, at)):
                continue
            if registers.uses(program, Place(region, at)).changed:
                yield region.instructions.addresses[at], target
        yield from self.summed(lambda source, base: source in within and base in within and base not in origins)

    def _is_reloaded(self, place: Place) -> bool:
        """Whether what an instruction adds to was loaded from memory shortly before, and so is no address held there.

        Those are looked for by their bytes, with no regard to what stands between the two.
        """
        region = place.region
        begin = self._program.undisturbed(place, (), self._program.switches.ways(region)).at
        return region.machine.adds_to_loaded(region.instructions, place.at, begin)

    @cached_property
    def _called_next(self) -> Edges:
        """The calls that lead to the instruction behind them, by target."""
        return self._program.calls.shortly_ahead(_WORD)

    @cached_property
    def _in_code(self) -> Edges:
        """The instructions that compute an address of code, ordered by the address."""
        found = self._program.references
        taken = among(found.uses, (TAKEN, MAYBE_TAKEN)) & self._program.code.holds(found.targets)
        return Edges(found.sources[taken], found.targets[taken])

    def _reads_return_address(self, address: int) -> bool:
        """Whether one of the first instructions from an address on uses the return address that a call pushed."""
        place, machine = self._program.place(address), self._program.machine
        if place is None:
            return False
        frame: Frame = {machine.stack: 0}
        instructions = place.region.instructions
        for at in range(place.at, min(place.at + _FIRST, len(instructions))):
            if machine.reaches_up(instructions[at], frame) is not None:
                return True
            frame = machine.next_frame(instructions, at, frame)
        return False

    def _names(self, place: int, address: int) -> bool:
        """Whether an address that stands in four bytes of code may be an operand, and not only one of a comparison.

        Go's code is nothing but instructions: there the text of one has to say the address.
        """
        region = self._program.region(place)
        if region is None or not self._program.is_known(region.start):
            return True
        at = bisect_right(region.instructions.addresses, place) - 1
        last = bisect_right(region.instructions.addresses, place + 3) - 1
        named = self._program.go is None or self._is_said(place, address)
        compares = at >= 0 and region.instructions.names[at] == self._program.machine.compare
        return at == last and named and not compares

    def _is_said(self, place: int, address: int) -> bool:
        """Whether the text of the instruction around a place says an address; also where there is no such text."""
        region = self._program.region(place)
        at = -1 if region is None else bisect_right(region.instructions.addresses, place) - 1
        return region is None or at < 0 or says(region.instructions.operands(at), address)

    def _is_kept(self, source: int, address: int) -> bool:
        """Whether an instruction at ``source`` computes the address for more than calls from its own function."""
        place = self._program.place(source)
        if place is None:
            region = self._program.region(source)
            return region is None or not self._program.is_known(region.start)
        named = self.completed(place, address, address + 1)
        places = [Place(place.region, at) for at in named or ()]
        return named is None or any(
            not registers.uses(self._program, each).nothing_else and not is_overwritten(self._program, each)
            for each in places
        )

    def naming(self, start: int, end: int) -> Iterator[int]:
        """The instructions that name an address from ``start`` up to ``end``, and those that may."""
        for source, _, _ in self._program.references.into(start, end):
            place = self._program.place(source)
            named = () if place is None else self.completed(place, start, end)
            if place is None or named is None or named:
                yield source

    def naming_absolutely(self, address: int) -> list[int]:
        """Where four bytes of code are an address, whatever they are part of: none where code is relocated."""
        absolute = self._program.machine.names_absolutely and not self._program.slice.traits.get("pie")
        return self._absolute.of(address) if absolute else []

    @cached_property
    def _absolute(self) -> Naming:
        """Go's compiler and assembler name no place inside of a function so: ``$f(SB)`` is a ``lea`` to them."""
        go = self._program.go
        functions = None if go is None else FunctionStarts(np.frombuffer(go.addresses, np.int64), go.end)
        return Naming(self._program.code, functions)

    def completed(self, place: Place, start: int, end: int) -> tuple[int, ...] | None:
        """See `pages`."""
        return pages.completed(place.region, place.at, start, end, go=self._program.is_go(place.region))
