"""The functions of a static program, from the unwind tables, and whether bytes in them are what they look like.

What leads to a function is searched for in raw bytes, and some bytes look like a branch, an address or a pointer by
chance. Where the function that holds them is known it is decoded, and they count only if an instruction confirms them.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, chain

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.eh_frame import Extent
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.decoding.decode import JUNK, Instruction
from binsafe.syscalls.machines.edges import Addresses
from binsafe.syscalls.machines.x86_64_addresses import relative
from binsafe.syscalls.pruning import memory

_BEFORE = 5
_TEXT = re.compile(rb"[ -~]{%d}\0{%d}" % (_BEFORE + 3, memory.WORD - 3))
"""The end of a text with what fills up behind it: no pointer into a function, and characters before it."""
_ROUND = 1 << 16
"""What is divisible by that and not aligned is the upper half of a number, as of a wide character."""
_NUMBER = re.compile(r"0x[0-9a-f]+")


class Functions:
    """All that the unwinder is told of, by number in the order of their addresses; decoded where it is asked for."""

    def __init__(self, program: Program, extents: tuple[Extent, ...]) -> None:
        self._program = program
        self.extents = extents
        self._starts = [extent.start for extent in extents]
        self.starts = np.array(self._starts, np.int64)
        self.ends = np.array([extent.end for extent in extents], np.int64)
        self.reach = list(accumulate((extent.end for extent in extents), max))
        """How far each and all before it reach."""
        self.pointed, self._slots = memory.pointers(program)
        """Where pointers lead, ascending."""
        self._regions: dict[int, Region] = {}
        self._sure: dict[int, bool] = {}

    def numbers(self, addresses: Addresses) -> Addresses:
        """The number of the function that holds each address, or -1."""
        at = np.searchsorted(self.starts, addresses, "right") - 1
        return np.where((at >= 0) & (addresses < self.ends[at]), at, -1)

    def holding(self, address: int) -> int | None:
        """The number of the function that holds an address; None where none does, or several may."""
        at = bisect_right(self._starts, address) - 1
        outside = at < 0 or address >= self.extents[at].end
        return None if outside or (at and self.reach[at - 1] > self._starts[at]) else at

    def are_held(self, addresses: Addresses) -> NDArray[np.bool_]:
        """Whether one function holds each address."""
        at = self.numbers(addresses)
        shared = np.concatenate([[False], np.maximum.accumulate(self.ends)[:-1] > self.starts[1:]])
        return np.asarray((at >= 0) & ~shared[at])

    def pointers(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(where it stands, where it leads) of each pointer into a range, but for what only looks like one."""
        first, last = np.searchsorted(self.pointed, (start, end)).tolist()
        led = zip(self._slots[first:last].tolist(), self.pointed[first:last].tolist(), strict=True)
        for slot, target in led:
            by_chance = slot % memory.WORD != 0 and target % _ROUND == 0
            if not by_chance and not _TEXT.fullmatch(self._program.slice.read(slot - _BEFORE, memory.WORD + _BEFORE)):
                yield slot, target

    def may_lead_to(self, place: int) -> bool:
        """Whether control may come to a place: not into the middle of an instruction."""
        instruction = self.instruction(place)
        return instruction is None or instruction.address == place

    def names(self, source: int, place: int) -> bool:
        """Whether four bytes of code that are an address are a number of an instruction, where that can be told."""
        instruction = self.instruction(source)
        return instruction is None or (_holds(instruction, source, place) and self.may_lead_to(place))

    def leads(self, source: int, target: int) -> bool:
        """Whether a branch stands where bytes look like one; where nothing is known of the code it counts as one."""
        instruction = self.instruction(source)
        return instruction is None or instruction.operands == hex(target)

    def instruction(self, address: int) -> Instruction | None:
        """The instruction that has a byte; None where that cannot be told, or no function is known to hold it."""
        region = self.region(address)
        return None if region is None or not self.is_sure(region) else _at(region, address)

    def region(self, address: int) -> Region | None:
        """The function that holds an address, decoded."""
        at = self.holding(address)
        if at is None:
            return None
        if at not in self._regions:
            start, end, *_ = self.extents[at]
            code = self._program.decoder.sweep(self._program.code.read(start, end), start)
            self._regions[at] = Region(self._program.machine, start, code, anchored=True)
        return self._regions[at]

    def is_sure(self, region: Region) -> bool:
        """Whether what leads into a function leads to instructions as they were decoded, so that it holds no data."""
        if region.start not in self._sure:
            led, decoded = self._led_between(region), JUNK not in region.instructions.names
            self._sure[region.start] = decoded and all(_is_behind_lock(_at(region, target), target) for target in led)
        return self._sure[region.start]

    def _led_between(self, region: Region) -> Iterator[int]:
        """The places between a function's instructions to which pointers lead, and code where that is decoded."""
        start, end, program = region.start, region.end, self._program
        for slot, target in self.pointers(start, end):
            if region.at(target) is None and slot % memory.WORD == 0:
                yield target
        yield from (target for _, target in region.astray)
        for source, target in chain(program.calls.into(start, end), program.jumps.into(start, end)):
            if region.at(target) is None:  # asked first: to decode what leads elsewhere takes longest
                instruction = _at(self.region(source), source)
                if instruction is None or instruction.operands == hex(target):
                    yield target
        for source, target, _ in program.references.into(start, end):
            if region.at(target) is None:
                instruction = _at(self.region(source), source)
                if instruction is None or target in relative([instruction]):
                    yield target


def _at(region: Region | None, address: int) -> Instruction | None:
    """The instruction that has a byte, as it was decoded."""
    at = -1 if region is None else bisect_right(region.instructions.addresses, address) - 1
    return None if region is None or at < 0 else region.instructions[at]


def _holds(instruction: Instruction, source: int, place: int) -> bool:
    """Whether four bytes of an instruction are a number of it."""
    inside = source + 4 <= instruction.address + instruction.size
    return inside and hex(place) in _NUMBER.findall(instruction.operands)


def _is_behind_lock(instruction: Instruction | None, target: int) -> bool:
    """Whether a place is that of an instruction without its ``lock``, over which programs of one thread jump."""
    locked = instruction is not None and instruction.mnemonic.startswith("lock ")
    return locked and instruction is not None and target == instruction.address + 1
