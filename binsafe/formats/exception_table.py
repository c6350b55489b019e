"""Where exceptions are caught: the call-site tables of ``.gcc_except_table``, one for each function that has any.

They are in no standard: GCC's ``except.c`` writes them (``output_one_function_exception_table``), and the personality
routines of all languages read them, as libgcc's ``unwind-c.c`` does. A call site is a range of instructions; an
exception out of it leads to a *landing pad*, in the same stack frame, with two registers that the unwinder fills.
"""

from collections.abc import Callable
from typing import NamedTuple

from binsafe.formats.eh_pointers import OMITTED, Cursor
from binsafe.model import Slice

_MAX_BYTES = 1 << 22
"""Of one function's table; that of SQLite's size has a few thousand."""
_MAX_HEAD = 64
_MAX_ENTRY = 64
"""Bytes before the call sites, and of one of them."""
_COST = 8
_ADDRESSES = (1 << 64) - 1


class CallSite(NamedTuple):
    """Exceptions out of what stands from ``start`` up to ``end`` lead to ``pad``."""

    start: int
    end: int
    pad: int


def call_sites(
    slice_: Slice, address: int, function: int, size: int, spend: Callable[[int], None]
) -> tuple[CallSite, ...]:
    """Those of the table at an address, ascending, for the function of some size that starts at another one.

    ``spend`` is told what each entry costs, counted in instructions decoded in the same time, and may refuse.

    Where entries contradict each other the first one that holds an instruction counts, and none behind one that begins
    later: so do all who read them. LLVM's tables of functions that were split are longer than what is in them; that
    matters to nobody where the function ends.

    Raises:
        LookupError, ValueError: the table is not as expected, or longer than 4 MB.
    """
    head = Cursor(slice_.read(address, _MAX_HEAD), address)
    encoding = head.byte()
    base = function if encoding == OMITTED else head.pointer(encoding)
    if head.byte() != OMITTED:
        head.length()  # where the table of types is
    encoding = head.byte()
    length = head.length()
    if length > _MAX_BYTES:
        raise ValueError("a table of megabytes")
    place = address + head.at
    table = Cursor(slice_.read(place, length + _MAX_ENTRY), place)
    found, reached = [], function
    while table.at < length and reached < function + size:
        spend(_COST)
        first, count, pad = (table.pointer(encoding) for _ in range(3))
        table.length()  # what is done there
        start = function + first & _ADDRESSES
        end = start + count
        if end > _ADDRESSES:  # readers would go round: such an entry holds nothing, and what is behind it counts
            raise ValueError("a call site beyond all memory")
        begin, stop = max(start, reached), min(end, function + size)
        if pad and begin < stop:
            found.append(CallSite(begin, stop, base + pad & _ADDRESSES))
        reached = max(reached, start, end)
    return tuple(found)
