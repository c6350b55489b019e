"""Where regions start and end: the functions that `layout` found, less starts that decoding shows to be none.

On x86 bytes in the middle of an instruction may look like a call. No function starts at its target, which is seen only
when the code there is decoded: then the two regions on both sides of that start are joined.
"""

from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from binsafe.syscalls.controlflow.places import Kind
from binsafe.syscalls.decoding.decode import LONGEST
from binsafe.syscalls.sets import among

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_MAX_REGION = 1 << 20
"""Bytes of a function that are decoded as a whole; of a larger one a window is. SQLite's interpreter has 60 kB."""
_WINDOW = 1 << 13
_FEW = 2
"""Calls of one target that may all be chance."""


class Span(msgspec.Struct, frozen=True):
    """The addresses of one region."""

    start: int
    end: int
    anchored: bool
    """Whether it starts at the start of a function: windows of a huge function do not."""


class Bounds:
    """The regions of a program by address, before any is decoded."""

    def __init__(self, program: "Program") -> None:
        """``program`` is a weak reference, see there."""
        self._program = program
        self._code = program.code
        self._starts: list[int] = program.layout.starts.tolist()
        self._ends: list[int] = program.layout.ends.tolist()

    def start(self, address: int) -> int:
        """See `Program.start`."""
        return self._starts[self._index(address)]

    def is_known(self, start: int) -> bool:
        """Whether a table of the file says that a function starts there and where it ends."""
        at = self._index(start)
        return self._starts[at] == start and bool(self._ends[at])

    def span(self, address: int) -> Span | None:
        """The region that holds an address; None where there is no code."""
        code = self._code.range_of(address)
        if code is None:
            return None
        at = bisect_right(self._starts, address)
        first = self._starts[at - 1]
        for doubtful in self._starts[max(at - 1, 1) : at + 1]:  # where the region would begin, and where it would end
            if doubtful in self._doubtful:
                if self._is_by_chance(self._index(doubtful)):
                    self._forget(self._index(doubtful))  # to ask may have had other starts forgotten
                return self.span(address)
        start = max(first, code.address)
        end = min(self._starts[at], code.end) if at < len(self._starts) else code.end
        anchored = end - start <= _MAX_REGION
        if not anchored:
            # Windows are cut at multiples of their size, so that one instruction is always in one region.
            cut = start + (address - start) // _WINDOW * _WINDOW
            start, end = cut, min(end, cut + _WINDOW)
        return Span(start, end, anchored)

    def _index(self, address: int) -> int:
        return bisect_right(self._starts, address) - 1

    def _is_by_chance(self, at: int) -> bool:
        """Whether a doubtful start lies in the middle of an instruction, and no confirmed call leads there."""
        program, before, start = self._program, self._starts[at - 1], self._starts[at]
        self._doubtful.discard(start)  # asked once; and while it is being asked
        if start - before > _WINDOW:
            return False
        crossed = program.decoder.sweep(self._code.read(before, start + LONGEST), before).crosses(start)
        sources = [program.branch(source) for source, _ in program.calls.into(start, start + 1)] if crossed else []
        return crossed and not any(place and place.leads(Kind.CALL, start) for place in sources)

    def _forget(self, at: int) -> None:
        """Join a region with the one before it, and drop what is known about both."""
        for start in self._starts[at - 1 : at + 1]:
            self._program.forget(start)
        del self._starts[at], self._ends[at]

    @cached_property
    def _doubtful(self) -> set[int]:
        """Starts with no evidence but a call or two, whose bytes may be parts of other instructions."""
        loose, targets = self._program.layout.loose, self._program.calls.targets
        called = np.searchsorted(targets, loose, side="right") - np.searchsorted(targets, loose)
        return set(loose[(called <= _FEW) & ~among(loose, self._program.pointers.targets)].tolist())
