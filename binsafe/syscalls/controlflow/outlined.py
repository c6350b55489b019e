"""Short functions that follow no calling convention: outlined by a compiler to save space.

LLVM's machine outliner (``-Oz`` for arm64) makes functions of sequences of instructions that occur several times,
whatever callee-saved registers and stack slots of their callers they read or write. All longer functions are taken to
restore the callee-saved registers, as the convention says, and to read nothing of them.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import JUMPS, Flow, Location, Moved, Unknown, Use

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_SHORT = 256
"""Bytes of the longest function that may be outlined."""
_STRAIGHT = (Flow.NEXT, Flow.CALL, Flow.RETURN)
_AT_STACK = re.compile(r"\[sp(?:, #(-?\w+))?\]$")
"""arm64: an access by the stack pointer, which stays as it is."""
_FROM_STACK = frozenset({"pop", "leave"})
_MAX_DEPTH = 4
"""Calls and jumps from one such function to the next that are looked at."""


class Outlined:
    """The answers for one program, each looked for once."""

    def __init__(self, program: "Program") -> None:
        """``program`` is a weak reference, see there."""
        self._program = program
        self._kept: dict[tuple[int, Location], bool] = {}
        self._read: dict[tuple[int, str], bool] = {}

    def is_part(self, region: Region) -> bool:
        """Whether a region may be a part that comes back, with something in any register: it does not branch."""
        if self._program.machine.call_shift or region.end - region.start > _SHORT or not region.instructions:
            return False
        return all(region.leaving(at) in _STRAIGHT for at in _reached(Place(region, 0)))

    def reads(self, address: int, register: str, depth: int = _MAX_DEPTH) -> bool:
        """Whether a short function, or one to which it leads, reads its caller's register other than to save it.

        None does on x86-64, where LLVM outlines nothing unless it is told to.
        """
        span = None if self._program.machine.call_shift else self._program.span(address)
        start = None if span is None or span.end - address > _SHORT or not depth else self._program.place(address)
        if start is None:
            return False
        if (address, register) not in self._read:
            self._read[address, register] = False  # a function that calls itself, while it is looked at
            self._read[address, register] = self._uses(start, register, depth)
        return self._read[address, register]

    def _uses(self, start: Place, register: str, depth: int) -> bool:
        region, machine, work = start.region, self._program.machine, [start.at]
        instructions, wide = region.instructions, bool(self._program.slice.traits.get("pie"))
        seen: set[int] = set()
        while work:
            at = work.pop()
            if at in seen or at >= len(instructions):
                continue
            seen.add(at)
            flow, target = region.flow(at)
            use = machine.use(instructions, at, register, at, wide=wide)
            onward = flow is Flow.CALL or (flow in JUMPS and region.at(target) is None)
            if onward and target is not None and self.reads(target, register, depth - 1):
                return True
            if use is Use.OTHER and not self._saves(region, at):
                return True
            work += region.following(at) if use is Use.NONE and flow is not Flow.INDIRECT else ()
        return False

    def _saves(self, region: Region, at: int) -> bool:
        """Whether an instruction may save a register: parts write to the frame of their caller, too."""
        operands, stack = region.instructions.operands(at), self._program.machine.stack
        height, slot = region.frames[at].get(stack), _AT_STACK.search(operands)
        own = slot is None or height is None or height + int(slot[1] or "0", 0) < 0
        return region.instructions.names[at] == "push" or (stack in operands and own)

    def keeps(self, call: Place, location: Location) -> bool:
        """Whether the callee of a call restores a callee-saved register, or leaves a stack slot of the caller alone."""
        machine, (flow, target) = self._program.machine, call.region.flow(call.at)
        if flow is not Flow.CALL or target is None or (isinstance(location, int) and machine.call_shift):
            return True  # where calls push their return address, nothing that uses the stack is made a function of
        if isinstance(location, int):
            height = call.region.frames[call.at].get(machine.stack)
            if height is None or location < height:
                return True
            location -= height
        return self._keeps(target, location, _MAX_DEPTH)

    def _keeps(self, address: int, location: Location, depth: int) -> bool:
        start = self._program.place(address)
        if start is None or start.region.end - address > _SHORT or not depth:
            return True
        if (address, location) not in self._kept:
            self._kept[address, location] = True  # a function that calls itself, while it is looked at
            kept = self._leaves_alone if isinstance(location, int) else self._hands_back
            self._kept[address, location] = kept(start, location, depth)
        return self._kept[address, location]

    def _leaves_alone(self, start: Place, slot: Location, depth: int) -> bool:
        """Whether a function without a frame of its own neither writes a slot of its caller nor takes its address."""
        region, program = start.region, self._program
        run = _reached(start)
        own = any(region.frames[at].get(program.machine.stack, 0) for at in run)
        if own or not isinstance(slot, int):
            return True
        written = (program.sources(Place(region, at), slot) is not None for at in run)
        onward = (self._keeps(target, slot, depth - 1) for target in _leading_on(region, run).values())
        return not region.is_exposed(slot) and not any(written) and all(onward)

    def _hands_back(self, start: Place, register: Location, depth: int) -> bool:
        """Whether a register holds at each end of a function what it held at its beginning."""
        region, run = start.region, _reached(start)
        onward = _leading_on(region, run)
        returns = [at for at in run if region.leaving(at) is Flow.RETURN]
        work: list[tuple[int, Location]] = [(at, register) for at in (*returns, *onward)]
        seen: set[tuple[int, Location]] = set()
        while work:
            at, location = work.pop()
            if (at, location) in seen:
                continue
            seen.add((at, location))
            if at == start.at and location != register:
                return False  # what it held at the beginning is another one's
            for before in run.intersection(region.direct_predecessors(at)):
                earlier = self._before(Place(region, before), location, depth)
                if earlier is None:
                    return False
                work += [(before, each) for each in earlier]
        return all(self._keeps(target, register, depth - 1) for target in onward.values())

    def _before(self, place: Place, location: Location, depth: int) -> list[Location] | None:
        """The locations that held the value before an instruction; None where it is a new one.

        Slots in which a function saves registers are written by name only, whatever pointers there are.
        """
        flow, target = place.region.flow(place.at)
        if flow is Flow.CALL:
            follows = isinstance(location, int) or target is None or self._keeps(target, location, depth - 1)
            return [location] if follows else None
        found: list[Location] = []
        for source in self._program.sources(place, location) or (Moved(location),):
            if isinstance(source, Moved) and not source.operations:
                found.append(source.location)
            elif isinstance(source, Unknown) and isinstance(location, int):
                found.append(location)
            elif not isinstance(source, Unknown) or not self._restores(place):
                return None
        return found

    def _restores(self, place: Place) -> bool:
        """Whether an instruction reads the stack where the stack pointer's value is not known."""
        machine, instruction = self._program.machine, place.instruction
        height_known = machine.stack in place.region.frames[place.at]
        return not height_known and (machine.stack in instruction.operands or instruction.mnemonic in _FROM_STACK)


def _reached(start: Place) -> set[int]:
    """The instructions of a region that can run from one of them on, jumps through tables aside."""
    region, work = start.region, [start.at]
    found: set[int] = set()
    while work:
        at = work.pop()
        if at in found or at >= len(region.instructions):
            continue
        found.add(at)
        work += region.following(at) if region.leaving(at) is not Flow.INDIRECT else ()
    return found


def _leading_on(region: Region, run: Iterable[int]) -> dict[int, int]:
    """The tail jumps among some instructions, by index -> their targets."""
    jumps = ((at, *region.flow(at)) for at in run)
    return {at: to for at, flow, to in jumps if flow in JUMPS and to is not None and region.at(to) is None}
