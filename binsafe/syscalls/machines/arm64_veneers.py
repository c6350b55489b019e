"""AArch64: instructions that a linker moved elsewhere, back in their places.

Cortex-A53's erratum 843419: a load or store may go to a wrong address where an ``adrp`` among the last two instructions
of a page of 4 KiB gives it its base, two or three instructions before. Linkers that mend it (GNU ld's and lld's
``--fix-cortex-a53-843419``, which Debian's GCC asks for) put a branch in its place, to a veneer at any distance: there
it stands, and behind it a branch back.
"""

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.machines.edges import Addresses

_PAGE = 1 << 12
_PLACES = (0, 4, 8)
"""Where in a page an instruction can stand that was moved."""


def restored(code: CodeRange, whole: CodeRange) -> CodeRange:
    """See `Machine.restored`."""
    skew = -whole.address % 4
    start, words = whole.address + skew, np.frombuffer(whole.data[skew : skew + (len(whole.data) - skew & ~3)], "<u4")
    first, last = (max(0, address - start) // 4 for address in (code.address + 3, code.end))
    pages = np.arange(start + 4 * first & -_PAGE, start + 4 * last, _PAGE)
    at = ((pages[:, None] + np.array(_PLACES)).ravel() - start) // 4
    at = at[(at >= first) & (at < last)]
    to = _led_to(words, at)
    at, to = at[to >= 0], to[to >= 0]
    moved = (words[to] & 0x3B00_0000 == 0x3900_0000) & (_led_to(words, to + 1) == at + 1)
    if not moved.any():
        return code
    mended = bytearray(code.data)
    for place, word in zip((start + 4 * at[moved] - code.address).tolist(), words[to[moved]], strict=True):
        mended[place : place + 4] = word.tobytes()
    return CodeRange(code.address, memoryview(mended))


def _led_to(words: NDArray[np.uint32], at: Addresses) -> Addresses:
    """Where the ``b`` at each index leads, of which it is known what follows; -1 for all else."""
    field = words[at].astype(np.int64) & 0x3FF_FFFF
    to = at + field - (field >> 25 << 26)
    inside = (words[at] >> 26 == 0b000101) & (to >= 0) & (to < len(words) - 1)
    return np.where(inside, to, -1)
