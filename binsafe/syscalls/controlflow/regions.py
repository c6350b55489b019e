"""One function decoded: its control-flow graph, and where its stack pointer stands."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Container, Mapping, Sequence
from functools import cached_property
from itertools import compress, count

from binsafe.syscalls.controlflow.catching import Catching, Caught
from binsafe.syscalls.controlflow.stack_frames import follow
from binsafe.syscalls.decoding.decode import Instructions
from binsafe.syscalls.machines.machine import JUMPS, Flow, Frame, Machine

_FILLS = ("nop", "int3")
_OF_ZEROS = ("add", "udf")
_COMPUTES, _DIVIDES = ("lea", "nop"), ("div", "idiv")
"""Instructions that name memory without an access to it; and those that may fault without one."""
_IN_FRAME = re.compile(r"\[r?sp(?:(?: [+-] |, #-?)(?:0x)?[0-9a-f]+)?\]")
"""An operand at a fixed distance from the stack pointer."""
_BOUNDARY = 16
"""Bytes to a multiple of which compilers pad before functions."""
_LEADS = (Flow.JUMP, Flow.BRANCH, Flow.CALL)
_GOES_ON = (Flow.NEXT, Flow.BRANCH, Flow.CALL)


class Region:
    """The code from one function start up to the next, decoded from its first byte. Instructions go by their index.

    A start that is none (a label in assembler, a call by chance) does no harm: control that falls or jumps from one
    region into another is an edge like any other, see `incoming`.
    """

    def __init__(
        self,
        machine: Machine,
        start: int,
        instructions: Instructions,
        *,
        anchored: bool,
        known: bool = False,
        catching: Catching | None = None,
    ) -> None:
        self.machine = machine
        self._catching = catching
        self.start = start
        self.instructions = instructions
        self.anchored = anchored
        """False where only a window of a huge function was decoded: its first instruction is no way in."""
        self.known = known
        """Whether a table of the file says that all of it is one function."""
        self.end = instructions.end if instructions else start
        self._concerned: dict[str, Sequence[int]] = {}
        self.stores: dict[int, tuple[int, ...]] = {}
        """See `own_slots`: stack slot -> the instructions that store there, as far as they were looked for."""
        self.own: tuple[Container[int], dict[int, bool]] = ((), {})
        """See `own_slots`: what was asked of stack slots last, and the answers."""

    @cached_property
    def _flows(self) -> Mapping[int, Flow]:
        return self.machine.flows(self.instructions)

    def leaving(self, index: int) -> Flow:
        """How control leaves an instruction."""
        return self._flows.get(index, Flow.NEXT)

    def flow(self, index: int) -> tuple[Flow, int | None]:
        """How control leaves an instruction, and the target of a direct call or jump."""
        kind = self._flows.get(index, Flow.NEXT)
        return kind, self.machine.target(self.instructions, index) if kind in _LEADS else None

    def at(self, address: int | None) -> int | None:
        """The index of the instruction that starts at an address; None if none does."""
        return None if address is None else self.instructions.at(address)

    @cached_property
    def jumps(self) -> Mapping[int, int]:
        """Each direct jump -> the instruction of this region to which it leads."""
        instructions, target, found = self.instructions, self.machine.target, {}
        for i in [i for i, flow in self._flows.items() if flow in JUMPS]:
            address = target(instructions, i)
            to = None if address is None else instructions.at(address)
            if to is not None:
                found[i] = to
        return found

    @cached_property
    def jumps_to(self) -> dict[int, list[int]]:
        """Instruction -> the direct jumps of this region that lead to it."""
        result: dict[int, list[int]] = {}
        for i, to in self.jumps.items():
            result.setdefault(to, []).append(i)
        return result

    @cached_property
    def astray(self) -> tuple[tuple[int, int], ...]:
        """(source, target) of the calls and jumps that lead into the middle of an instruction of this region."""
        found = ((self.instructions.addresses[i], self.flow(i)[1]) for i, flow in self._flows.items() if flow in _LEADS)
        inside = ((source, to) for source, to in found if to is not None and self.start <= to < self.end)
        return tuple((source, to) for source, to in inside if self.at(to) is None)

    @cached_property
    def onward(self) -> frozenset[int]:
        """The addresses outside of this region to which its direct jumps lead."""
        found = (self.flow(i)[1] for i, flow in self._flows.items() if flow in JUMPS)
        return frozenset(to for to in found if to is not None and not self.start <= to < self.end)

    @cached_property
    def caught(self) -> tuple[Caught, ...] | None:
        """The landing pads in this region, and those of its code that lie elsewhere; None if they are not known."""
        return () if self._catching is None else self._catching.around(self.start, self.end)

    @cached_property
    def pads(self) -> Mapping[int, Sequence[Caught]]:
        """Landing pad -> the code whose exceptions are caught there."""
        found: dict[int, list[Caught]] = {}
        for caught in self.caught or ():
            if (at := self.at(caught.pad)) is not None:
                found.setdefault(at, []).append(caught)
        return found

    @cached_property
    def thrown(self) -> Mapping[int, Caught]:
        """Instruction -> where an exception out of it is caught."""
        spans = ((self.within(caught.start, caught.end), caught) for caught in self.caught or ())
        return {at: caught for span, caught in spans for at in span}

    def landing(self, index: int) -> list[int]:
        """The landing pad of an instruction if it lies in this region: callee-saved registers are unchanged there."""
        caught = self.thrown.get(index)
        pad = None if caught is None or not self.may_throw(index) else self.at(caught.pad)
        return [] if pad is None else [pad]

    def is_thrown_out_of(self, index: int) -> bool:
        """Whether the landing pad of an instruction lies in another region, or may do so."""
        return self.caught is None or (index in self.thrown and self.may_throw(index) and not self.landing(index))

    def may_throw(self, index: int) -> bool:
        """Whether an exception may come out of an instruction: a call, or what may fault (``-fnon-call-exceptions``).

        GCC takes no access to the frame for one that does (``rtx_addr_can_trap_p`` of ``gcc/rtlanal.cc``).
        """
        name, operands = self.instructions.names[index], self.instructions.operands(index)
        fails = "[" in operands and name not in _COMPUTES and not _IN_FRAME.search(operands)
        return fails or name in _DIVIDES or self.leaving(index) is Flow.CALL or name == self.machine.site

    def within(self, start: int, end: int) -> range:
        """The instructions of which at least one byte lies in a range of addresses."""
        addresses = self.instructions.addresses
        last = bisect_left(addresses, end) if start < self.end else 0
        return range(max(0, bisect_right(addresses, start) - 1), last)

    @cached_property
    def indirect_jumps(self) -> tuple[int, ...]:
        """Jumps to computed addresses: through jump tables, and tail calls through pointers."""
        flows = self._flows
        return tuple(i for i in flows if flows[i] is Flow.INDIRECT) if Flow.INDIRECT in flows.values() else ()

    @cached_property
    def calls(self) -> tuple[int, ...]:
        """Its calls."""
        return tuple(at for at, flow in self._flows.items() if flow is Flow.CALL)

    def concerned(self, register: str) -> Sequence[int]:
        """The instructions that may do something to a register, or do not just go on to the next one, and their end.

        Ascending. Not all of them need to do so.
        """
        if register not in self._concerned:
            spellings = self.machine.spellings(register) if self.caught is not None else ()
            every, named = range(len(self.instructions) + 1), self.instructions.containing(spellings)
            few = sorted({*self._flows, *self.thrown, *named, len(self.instructions)}) if spellings else every
            self._concerned[register] = few
        return self._concerned[register]

    def next_concerned(self, index: int, register: str) -> int:
        """The first of `concerned` from an instruction on, going straight on."""
        concerned = self.concerned(register)
        following = bisect_left(concerned, index)
        return concerned[following] if following < len(concerned) else index

    def falls_through(self, index: int) -> bool:
        """Whether control may come to the next instruction, be it after a call."""
        return self._flows.get(index, Flow.NEXT) in _GOES_ON

    def following(self, index: int) -> Sequence[int]:
        """The successors of an instruction inside of the region, landing pads aside.

        Of an indirect jump all instructions are: a case of a jump table may begin anywhere.
        """
        flow, target = self.flow(index)
        if flow is Flow.INDIRECT:
            return range(len(self.instructions))
        following = [index + 1] if self.falls_through(index) else []
        jumped = self.at(target) if flow in JUMPS else None
        return following if jumped is None else [*following, jumped]

    def direct_predecessors(self, index: int) -> list[int]:
        """The predecessors of an instruction inside of the region: the one that falls through first, then jumps.

        Jumps through tables are not among them: see `switches`.
        """
        jumps = self.jumps_to.get(index, [])
        falls = index > 0 and self.falls_through(index - 1) and not (jumps and self._is_filled_before(index))
        return [index - 1, *jumps] if falls else jumps

    def _is_filled_before(self, index: int) -> bool:
        """Whether only alignment padding stands before an instruction, to which nothing leads."""
        while self.is_padding(index - 1):
            index -= 1
            if index in self.jumps_to or not index:
                return False
            if not self.falls_through(index - 1):
                return True
        return False

    @cached_property
    def exposed(self) -> tuple[int, ...]:
        """Stack slots whose addresses escape, ascending: there begin objects that are reached through pointers."""
        frames, forgotten = self._frames
        found = map(self.machine.exposes, self.instructions, frames)
        return tuple(sorted({slot for slot in (*found, *forgotten) if slot is not None}))

    def is_exposed(self, slot: int) -> bool:
        """Whether a stack slot may lie in such an object: one is reached from either end (compilers count downwards).

        None extends over the return address, whose own address is one from where the stack goes on: in a function that
        calls nothing, below it as well.
        """
        return bisect_right(self.exposed, 0) > 0 if slot < 0 else bisect_left(self.exposed, 0) < len(self.exposed)

    def is_unreachable(self, index: int) -> bool:
        """Whether nothing leads to an instruction, and it is padding between basic blocks or stands behind a trap.

        Other instructions without predecessors may be reached in ways that are not seen here.
        """
        if not index or self.falls_through(index - 1) or index in self.jumps_to or self.indirect_jumps:
            return False
        if index in self.pads:
            return False
        return self.is_padding(index) or self.leaving(index - 1) is Flow.TRAP

    def ends_before(self, index: int) -> bool:
        """Whether a function surely ends before an instruction: what nothing leads to is another one, not called then.

        It ends with a return or jump, and decoding was in step up to there. So stands what musl calls by another name
        (``__syscall_cp`` and the ``sccp`` that it jumps to) in programs without a table of functions.
        """
        before = index - 1
        while before > 0 and self.is_padding(before):
            before -= 1
        lost = bool(self.astray) or any(flow is Flow.UNKNOWN for at, flow in self._flows.items() if at < index)
        return self.anchored and not lost and self.leaving(before) in {Flow.RETURN, Flow.JUMP}

    @property
    def frames(self) -> list[Frame]:
        """The frame before each instruction; empty where nothing is known of it."""
        return self._frames[0]

    @cached_property
    def _frames(self) -> tuple[list[Frame], set[int]]:
        return follow(self)

    @cached_property
    def orphans(self) -> tuple[int, ...]:
        """Instructions without a predecessor in this region: padding, landing pads, and targets of jump tables."""
        behind = (i + 1 for i, flow in self._flows.items() if flow not in _GOES_ON and i + 1 < len(self.instructions))
        return tuple(i for i in behind if i not in self.jumps_to)

    def is_padding(self, index: int) -> bool:
        """Whether an instruction is padding between functions or basic blocks."""
        name = self.instructions.names[index]
        return (
            name in _FILLS or (name == "xchg" and self.instructions.operands(index) == "ax, ax") or self.is_zeros(index)
        )

    def behind_padding(self, index: int) -> int:
        """The first instruction from an index on that is no padding, or to which something jumps."""
        while index + 1 < len(self.instructions) and self.is_padding(index) and index not in self.jumps_to:
            index += 1
        return index

    def may_be_case(self, index: int) -> bool:
        """Whether one of `orphans` may be where a jump table leads: no padding, or some that ends at no boundary.

        Go marks where it has inlined a call with a ``nop`` (``src/cmd/compile/internal/ssagen/ssa.go``, ``OpInlMark``).
        Behind what ends at one another function may begin, unless all is known to be one: there loops begin so, but
        something jumps to those.
        """
        behind = self.behind_padding(index)
        aligned = self.instructions.addresses[behind] % _BOUNDARY == 0
        return behind == index or not aligned or (self.known and behind not in self.jumps_to)

    def goes_on(self) -> bool:
        """Whether control can go on behind its last instruction, of itself or over padding.

        Behind a call it does not, unless that leads there itself. Linkers and assemblers put zeros between functions,
        and ``nop`` between labels of one as well.
        """
        at = len(self.instructions) - 1
        while at > 0 and self.is_padding(at) and self.falls_through(at) and at not in self.jumps_to:
            if self.is_zeros(at):
                return False
            at -= 1
        on = at >= 0 and (self.leaving(at) in {Flow.NEXT, Flow.BRANCH} or self.flow(at) == (Flow.CALL, self.end))
        return on and not self.is_zeros(at)

    def is_zeros(self, index: int) -> bool:
        """Whether the bytes of an instruction are zeros: on x86 they decode to an addition that no compiler emits."""
        return index in self.zeros

    @cached_property
    def zeros(self) -> frozenset[int]:
        """All instructions whose bytes are zeros."""
        names, operands = self.instructions.names, self.instructions.operands
        chosen = compress(count(), map(_OF_ZEROS.__contains__, names))
        return frozenset(at for at in chosen if names[at] == "udf" or operands(at) == "byte ptr [rax], al")
