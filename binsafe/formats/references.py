"""Which addresses a program names: words in its data, and instructions that make an address (nothing is disassembled).

Go and Rust keep texts without an end between them. Each text begins where something points to, so what is pointed to
inside of one is the beginning of the next. Bytes that look like such an instruction and name one of a few thousand
addresses out of 2**32 by accident are rare enough to be neglected.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from binsafe.formats.structure import let_go
from binsafe.model import Slice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Addresses: TypeAlias = NDArray[np.uint64]

_STEP = 4 * 1024 * 1024
_OVERLAP = 8
_CHAINED_TARGET, _CHAINED_ELSE, _CHAINED_NEXT = 0xF_FFFF_FFFF, 0x8007_F000_0000_0000, 0x7FF8_0000_0000_0000
"""A pointer of a chain (Apple's ``mach-o/fixup-chains.h``): 36 bits of target, bits that are 0, the way to the next.
The last of each chain has no next one, and cannot be told from a number: it is left out."""
_LEA, _RIP_MASK, _RIP = 0x8D, 0xC7, 0x05
"""``lea reg, [rip + disp32]``: the opcode, and the ModR/M byte whose register may be any."""
_RELATIVE = {"x86_64": 8, "arm64": 1027}
"""``R_X86_64_RELATIVE`` and ``R_AARCH64_RELATIVE``: the information of a relocation whose addend is an address."""
_ADRP_MASK, _ADRP, _ADD_MASK, _ADD = 0x9F00_0000, 0x9000_0000, 0xFFC0_0000, 0x9100_0000


def references(slice_: Slice, first: int, last: int) -> "Addresses":
    """The addresses in [first, last] that are named, ascending and once each; none for processors not known here."""
    import numpy as np  # takes longer to load than most files to read

    scan = _SCANS.get(slice_.arch)
    if scan is None or slice_.byte_order != "little":
        return np.empty(0, np.uint64)
    found = []
    for segment in slice_.segments:
        for at in range(segment.offset, segment.offset + segment.file_size, _STEP):
            data = slice_.data[at : min(at + _STEP + _OVERLAP, segment.offset + segment.file_size)]
            address = _signed(segment.address + at - segment.offset)
            named = scan(address, data) if segment.executable else _pointers(slice_, data)
            found += [each[(each >= first) & (each <= last)] for each in named]
            let_go(data)
    if not found:
        return np.empty(0, np.uint64)
    ordered: Addresses = np.sort(np.concatenate(found))
    once: Addresses = np.concatenate([ordered[:1], ordered[1:][ordered[1:] != ordered[:-1]]])
    return once


def _signed(address: int) -> int:
    """As the distances are that are added to it: a kernel is in the upper half of memory."""
    return address - (address >> 63 << 64)


def _pointers(slice_: Slice, data: memoryview) -> "Iterator[Addresses]":
    """Aligned words as addresses; on macOS also as pointers of a chain, which count from the start of the program.

    Where a program begins at address 0, any number may look like an address: there only relocations count, whose
    third word it is, and which stand in the program's first, read-only segment.
    """
    import numpy as np

    words = np.frombuffer(data, "<u8", len(data) // 8)
    base = min(s.address for s in slice_.segments if s.file_size)
    if base:
        yield words
    else:
        yield words[2:][words[1:-1] & 0xFFFF_FFFF == _RELATIVE.get(slice_.arch)]
    if slice_.format == "mach-o":
        chained = words[(words & np.uint64(_CHAINED_ELSE) == 0) & (words & np.uint64(_CHAINED_NEXT) != 0)]
        yield (chained & np.uint64(_CHAINED_TARGET)) + np.uint64(base)


def _x86_64(address: int, data: memoryview) -> "Iterator[Addresses]":
    import numpy as np

    code = np.frombuffer(data, np.uint8)
    places = np.flatnonzero((code[:-5] == _LEA) & (code[1:-4] & _RIP_MASK == _RIP)) + 2
    distance = sum(code[places + byte].astype(np.uint32) << np.uint32(8 * byte) for byte in range(4))
    ends = (places + address + 4).astype(np.int64)
    yield (ends + np.asarray(distance, np.uint32).view(np.int32)).astype(np.uint64)


def _arm64(address: int, data: memoryview) -> "Iterator[Addresses]":
    """``adrp`` with the ``add`` behind it."""
    import numpy as np

    words = np.frombuffer(data, "<u4", len(data) // 4)
    pairs = (words[:-1] & _ADRP_MASK == _ADRP) & (words[1:] & _ADD_MASK == _ADD)
    places = np.flatnonzero(pairs & (words[:-1] & 31 == words[1:] >> 5 & 31))
    page, low = words[places].astype(np.int64), words[places + 1].astype(np.int64) >> 10 & 0xFFF
    pages = (page >> 5 & 0x7FFFF) << 2 | page >> 29 & 3
    pages -= (pages >> 20) << 21  # the top bit is the sign
    yield ((address + 4 * places & ~0xFFF) + (pages << 12) + low).astype(np.uint64)


_SCANS: Mapping[str, Callable[[int, memoryview], "Iterator[Addresses]"]] = {
    "x86_64": _x86_64,
    "arm64": _arm64,
    "arm64e": _arm64,
}
