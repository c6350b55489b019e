"""Symbol tables at memory speed: ELF's and Mach-O's differ in their record only."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from binsafe.formats.structure import ByteOrder, decoded, malformed
from binsafe.limits import MAX_SYMBOLS

Records = npt.NDArray[np.void]
_MAX_NAME = 65_536
"""Longest name that is kept whole: C++ templates reach tens of thousands of characters."""


def records(table: memoryview, layout: list[tuple[str, str]], byte_order: ByteOrder) -> Records:
    """A table of fixed records as a structured array over the file's own bytes; a rest behind the last is left out.

    Raises:
        NotAnalysable: it has more records than the limit.
    """
    dtype = np.dtype(layout).newbyteorder("<" if byte_order == "little" else ">")
    count = len(table) // dtype.itemsize
    if count > MAX_SYMBOLS:
        raise malformed(f"a symbol table of {count:,} entries, more than {MAX_SYMBOLS:,}")
    return np.frombuffer(table, dtype=dtype, count=count)


def names(strings: memoryview, offsets: Iterable[int]) -> Iterator[str]:
    """The NUL-terminated names at ``offsets`` of a string table; empty for an offset outside of it."""
    held = bytes(strings)
    for offset in offsets:
        end = held.find(b"\0", offset, offset + _MAX_NAME)
        yield decoded(held[offset : end if end >= 0 else offset + _MAX_NAME])
