"""One function decoded: its instructions, how control moves between them, and where its stack pointer stands."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property

from binsafe.syscalls.controlflow.catching import Catching, Caught
from binsafe.syscalls.decoding.decode import Instructions
from binsafe.syscalls.machines.machine import JUMPS, Flow, Frame, Machine

_FILLS = ("nop", "int3")
_OF_ZEROS = ("add", "udf")
_LEADS = (Flow.JUMP, Flow.BRANCH, Flow.CALL)
_GOES_ON = (Flow.NEXT, Flow.BRANCH, Flow.CALL)


class Region:
    """The code from one function start up to the next, decoded from its first byte.

    A start that is none (a label in assembler, a call by chance) does no harm: what falls or jumps from one region into
    the next is an edge like any other, see `binsafe.syscalls.controlflow.program`.
    """

    def __init__(
        self,
        machine: Machine,
        start: int,
        instructions: Instructions,
        *,
        anchored: bool,
        catching: Catching | None = None,
    ) -> None:
        self.machine = machine
        self._catching = catching
        self.start = start
        self.instructions = instructions
        self.anchored = anchored
        """False where only a window of a huge function was decoded: its first instruction is no way in."""
        self.end = instructions.end if instructions else start

    @cached_property
    def _flows(self) -> Mapping[int, Flow]:
        return self.machine.flows(self.instructions)

    def leaving(self, index: int) -> Flow:
        """How control leaves an instruction."""
        return self._flows.get(index, Flow.NEXT)

    def flow(self, index: int) -> tuple[Flow, int | None]:
        """The same, and the target if it is a constant."""
        kind = self._flows.get(index, Flow.NEXT)
        return kind, self.machine.target(self.instructions, index) if kind in _LEADS else None

    def at(self, address: int | None) -> int | None:
        """The index of the instruction that starts at an address; None if none does."""
        return None if address is None else self.instructions.at(address)

    @cached_property
    def _jumps(self) -> Mapping[int, int]:
        """Index of each jump inside of this region -> the index to which it leads."""
        target, found = self.machine.target, {}
        for i in [i for i, flow in self._flows.items() if flow in JUMPS]:
            to = self.at(target(self.instructions, i))
            if to is not None:
                found[i] = to
        return found

    @cached_property
    def jumps_to(self) -> dict[int, list[int]]:
        """Index -> indices of the jumps of this region that lead to it."""
        result: dict[int, list[int]] = {}
        for i, to in self._jumps.items():
            result.setdefault(to, []).append(i)
        return result

    @cached_property
    def astray(self) -> tuple[tuple[int, int], ...]:
        """(source, target) of the calls and jumps of this region that lead between its instructions."""
        found = ((self.instructions.addresses[i], self.flow(i)[1]) for i, flow in self._flows.items() if flow in _LEADS)
        inside = ((source, to) for source, to in found if to is not None and self.start <= to < self.end)
        return tuple((source, to) for source, to in inside if self.at(to) is None)

    @cached_property
    def caught(self) -> tuple[Caught, ...] | None:
        """What is caught of exceptions out of its code, and what is caught in it; None where that is not told."""
        return () if self._catching is None else self._catching.around(self.start, self.end)

    @cached_property
    def pads(self) -> Mapping[int, Sequence[Caught]]:
        """Index -> what is caught there."""
        found: dict[int, list[Caught]] = {}
        for caught in self.caught or ():
            if (at := self.at(caught.pad)) is not None:
                found.setdefault(at, []).append(caught)
        return found

    @cached_property
    def thrown(self) -> Mapping[int, Caught]:
        """Index -> where an exception out of the instruction is caught."""
        spans = ((self.within(caught.start, caught.end), caught) for caught in self.caught or ())
        return {at: caught for span, caught in spans for at in span}

    def landing(self, index: int) -> list[int]:
        """Indices at which exceptions out of an instruction are caught; they keep what calls preserve."""
        caught = self.thrown.get(index)
        pad = None if caught is None else self.at(caught.pad)
        return [] if pad is None else [pad]

    def is_thrown_out_of(self, index: int) -> bool:
        """Whether exceptions out of an instruction may be caught in this function and yet elsewhere than here."""
        return self.caught is None or (index in self.thrown and not self.landing(index))

    def within(self, start: int, end: int) -> range:
        """Indices of the instructions that have a byte of a range of addresses."""
        addresses = self.instructions.addresses
        last = bisect_left(addresses, end) if start < self.end else 0
        return range(max(0, bisect_right(addresses, start) - 1), last)

    @cached_property
    def indirect_jumps(self) -> tuple[int, ...]:
        """Indices of jumps to computed addresses: jump tables, and tail calls through pointers."""
        flows = self._flows
        return tuple(i for i in flows if flows[i] is Flow.INDIRECT) if Flow.INDIRECT in flows.values() else ()

    def falls_through(self, index: int) -> bool:
        """Whether control can go on to the next instruction; after a call it can."""
        return self._flows.get(index, Flow.NEXT) in _GOES_ON

    def following(self, index: int) -> Sequence[int]:
        """Indices to which control can go on inside of the region, exceptions aside; all where it is a computed jump.

        Cases of a table may begin anywhere: what stands before one may go on into it.
        """
        flow, target = self.flow(index)
        if flow is Flow.INDIRECT:
            return range(len(self.instructions))
        following = [index + 1] if self.falls_through(index) else []
        jumped = self.at(target) if flow in JUMPS else None
        return following if jumped is None else [*following, jumped]

    def direct_predecessors(self, index: int) -> list[int]:
        """Indices of the instructions of this region from which control comes; the one that falls through comes first.

        Jump tables are not among them: see `switches`.
        """
        jumps = self.jumps_to.get(index, [])
        falls = index > 0 and self.falls_through(index - 1) and not (jumps and self._is_filled_before(index))
        return [index - 1, *jumps] if falls else jumps

    def _is_filled_before(self, index: int) -> bool:
        """Whether only alignment padding, to which nothing leads, stands before an instruction."""
        while self.is_padding(index - 1):
            index -= 1
            if index in self.jumps_to or not index:
                return False
            if not self.falls_through(index - 1):
                return True
        return False

    @cached_property
    def exposed(self) -> tuple[int, ...]:
        """Stack slots at which objects begin that are reached in other ways than by name, ascending."""
        frames, forgotten = self._frames
        found = map(self.machine.exposes, self.instructions, frames)
        return tuple(sorted({slot for slot in (*found, *forgotten) if slot is not None}))

    def is_exposed(self, slot: int) -> bool:
        """Whether a stack slot may lie in such an object: none reaches over the caller's return address."""
        first = 0 if slot < 0 else bisect_left(self.exposed, 0)
        return first < len(self.exposed) and self.exposed[first] <= slot

    def is_unreachable(self, index: int) -> bool:
        """Whether it is padding between blocks, or follows a trap, and nothing here leads to it.

        Other orphans may be reached in ways that are not seen here.
        """
        if not index or self.falls_through(index - 1) or index in self.jumps_to or self.indirect_jumps:
            return False
        if index in self.pads:
            return False
        return self.is_padding(index) or self.leaving(index - 1) is Flow.TRAP

    @property
    def frames(self) -> list[Frame]:
        """The frame before each instruction; empty where nothing is known."""
        return self._frames[0]

    @cached_property
    def _frames(self) -> tuple[list[Frame], set[int]]:
        """The same, and the slots to which a register pointed on one of the ways that join somewhere.

        Where ways join, what they agree on is known: a copy of the stack pointer may walk over an array in a loop.
        What only a jump table can lead to comes last: padding falls into code that has a frame of its own.
        """
        frames: list[Frame | None] = [None] * len(self.instructions)
        forgotten: set[int] = set()
        work: list[tuple[int, Frame]] = [(0, {self.machine.stack: 0})]
        first_indirect = next(iter(self.indirect_jumps), None)
        orphans: list[tuple[int, Frame]] = []
        caught: list[tuple[int, Frame]] = []
        pads, thrown = self.pads, self.thrown
        while work or caught or orphans:
            at, frame = (work or caught or orphans).pop()
            while at < len(frames):
                frame = self._landed(at, frame) if at in pads else frame
                known = frames[at]
                if known is not None:
                    agreed = self._agreed(known, frame)
                    forgotten.update(slot for way in (known, frame) for name, slot in way.items() if name not in agreed)
                    if len(agreed) == len(known):
                        break
                    frame = agreed
                frames[at] = frame
                caught += [(pad, frame) for pad in self.landing(at)] if at in thrown else ()
                frame = self.machine.next_frame(self.instructions, at, frame)
                jumped = self._jumps.get(at)
                if jumped is not None:
                    work.append((jumped, frame))
                elif at == first_indirect:
                    orphans += [(i, frame) for i in self.orphans if not self.is_padding(i)]
                if not self.falls_through(at):
                    break
                at += 1
        return [{} if frame is None else frame for frame in frames], forgotten

    def _agreed(self, known: Frame, other: Frame) -> Frame:
        """What two ways to an instruction agree on.

        Of the stack pointer itself the first one counts: in compiled code they differ only behind calls that do not
        return, which look like a way.
        """
        stack = self.machine.stack
        return {name: slot for name, slot in known.items() if name == stack or other.get(name) == slot}

    def _landed(self, at: int, frame: Frame) -> Frame:
        """What is left of a frame at a landing pad: what calls keep."""
        level = all(caught.level for caught in self.pads[at])
        kept = {*self.machine.preserved(go=False), *([self.machine.stack] if level else ())}
        return {name: slot for name, slot in frame.items() if name in kept}

    @cached_property
    def orphans(self) -> tuple[int, ...]:
        """Indices that no instruction of this region leads to: padding, landing pads, and targets of jump tables."""
        behind = (i + 1 for i, flow in self._flows.items() if flow not in _GOES_ON and i + 1 < len(self.instructions))
        return tuple(i for i in behind if i not in self.jumps_to)

    def is_padding(self, index: int) -> bool:
        """Whether it fills the space between functions and blocks."""
        name = self.instructions.names[index]
        return (
            name in _FILLS or (name == "xchg" and self.instructions.operands(index) == "ax, ax") or self.is_zeros(index)
        )

    def goes_on(self) -> bool:
        """Whether control can go on behind its last instruction, of itself or over padding; behind a call it does not.

        Linkers and assemblers put zeros between functions, and ``nop`` between labels of one as well.
        """
        at = len(self.instructions) - 1
        while at > 0 and self.is_padding(at) and self.falls_through(at) and at not in self.jumps_to:
            if self.is_zeros(at):
                return False
            at -= 1
        return at >= 0 and self.leaving(at) in {Flow.NEXT, Flow.BRANCH} and not self.is_zeros(at)

    def is_zeros(self, index: int) -> bool:
        """Whether its bytes are zeros, which decode to an addition on x86 that no compiler makes."""
        return index in self.zeros

    @cached_property
    def zeros(self) -> frozenset[int]:
        """All that are."""
        names, operands = self.instructions.names, self.instructions.operands
        chosen = (at for at, name in enumerate(names) if name in _OF_ZEROS)
        return frozenset(at for at in chosen if names[at] == "udf" or operands(at) == "byte ptr [rax], al")
