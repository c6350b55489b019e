"""Addresses of code that memory holds at places that are not aligned, and words that only look like one there."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from binsafe.syscalls.controlflow.pointers import of_handlers
from binsafe.syscalls.decoding.code import aligned_words
from binsafe.syscalls.machines.edges import Addresses

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_WORD = 8
_ROUND = 1 << 16
"""What is divisible by that and not aligned may be a number of four bytes as well, as of a wide character."""
_SEARCHED_BYTES = 1 << 12
"""Bytes that are searched while one instruction is decoded."""


class OddPointers:
    """Those of one program: packed structures have some, of which no relocation tells at fixed addresses."""

    def __init__(self, program: "Program") -> None:
        """``program`` is a weak reference, see there."""
        self._program = program

    def into(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(place, address) of those to addresses from ``start`` up to ``end``."""
        targets, slots = self._odd
        if not len(targets):
            return iter(())  # as nearly always
        first, last = bisect_left(targets.data, start), bisect_left(targets.data, end)
        pairs = zip(slots[first:last].tolist(), targets[first:last].tolist(), strict=True)
        by_chance = self._is_code, self._is_number, self._is_unwinding
        return (pair for pair in pairs if not any(looks_so(*pair) for looks_so in by_chance))

    def _is_code(self, place: int, address: int) -> bool:
        """Whether a word at a place that looks like an address is a part of instructions of a known function.

        Control has to come to them from its start or a jump, and the text of none may say the address. So looks ``mov
        qword ptr [rbx + r15*8 + 0x138], 0`` in programs of some megabytes.
        """
        region = self._program.region(place)
        if region is None or not self._program.is_known(region.start):
            return False
        at = bisect_right(region.instructions.addresses, place) - 1
        last = bisect_right(region.instructions.addresses, place + _WORD - 1)
        if at < 0 or any(says(region.instructions.operands(each), address) for each in range(at, last)):
            return False
        while at and at not in region.jumps_to and region.falls_through(at - 1):
            at -= 1
        return at == 0 or at in region.jumps_to

    def _is_number(self, place: int, address: int) -> bool:
        """Whether a word at a place that looks like a label's address is a smaller number in the next aligned word.

        Its lower bytes are then zeros at the end of the word before: so look lengths and counts in arrays, and wide
        characters, where code lies at small addresses. Of compilers' labels, which are not aligned to 256 bytes, few
        would look the same in a packed structure; of functions more would, and they count.
        """
        program, size = self._program, _WORD if address % _ROUND else _WORD // 2
        skew, start = place % size, program.start(address)
        number = int.from_bytes(program.slice.read(place - skew + size, size), "little")
        return number << 8 * (size - skew) == address and start != address and program.is_known(start)

    def _is_unwinding(self, place: int, address: int) -> bool:
        """Whether a word at a place that looks like an address is a part of what the unwinder alone reads.

        That is where functions are and what their frames look like, as distances and four bytes: half a distance with
        the size behind it looks like a label of a large program. Only its own functions it is told by their addresses.
        """
        told = self._program.slice.section(".eh_frame")
        if told is None or not told.address <= place <= told.address + told.size - _WORD:
            return False
        frames = self._program.frames
        return frames is not None and address not in frames.personalities

    @cached_property
    def _odd(self) -> tuple[Addresses, Addresses]:
        """All of them, as columns: the addresses, ascending, and the places."""
        program = self._program
        fixed = program.go is None and not program.pointers.relocated
        targets, slots = [np.array([], np.int64)], [np.array([], np.int64)]
        for segment in program.slice.segments if fixed else ():
            program.decoder.spend(segment.file_size // _SEARCHED_BYTES)
            data = program.slice.data[segment.offset : segment.offset + segment.file_size]
            for skew in (each for each in range(_WORD) if (segment.address + each) % _WORD):
                for first, words in aligned_words(data[skew:]):
                    at = np.flatnonzero(program.code.holds(words))
                    places = segment.address + skew + first + _WORD * at
                    kept = ~of_handlers(program.slice, places)
                    targets.append(words[at][kept].astype(np.int64))
                    slots.append(places[kept])
        order = np.argsort(found := np.concatenate(targets), kind="stable")
        return found[order], np.concatenate(slots)[order]


def says(operands: str, address: int) -> bool:
    """Whether an instruction's text says an address, and not only as a displacement from ``rip``."""
    return f"{address:#x}" in operands.replace(f"rip + {address:#x}]", "")
