"""The instructions around an address, as text for a reader.

Processors with instructions of one size are read from a few instructions before the address. x86 code can only be read
forwards: of all places shortly before the address the farthest one counts from which decoding arrives at it, because
x86 code read from a wrong place falls into step again within a few instructions (Linn and Debray, "Obfuscation of
executable code to improve resistance to static disassembly", CCS 2003, section 3).
"""

from collections.abc import Sequence

from binsafe.model import Slice
from binsafe.syscalls.decoding.code import Code
from binsafe.syscalls.decoding.decode import JUNK, LONGEST, MODES, Decoder, Instruction

_WIDTH = {"arm64": 4, "arm64e": 4, "arm": 4}
"""Bytes of an instruction, where they all have the same."""
_SHORT = 4
"""Bytes of an ordinary x86 instruction."""
_IN_STEP = 48
"""Bytes after which x86 code that was read from a wrong place has all but surely fallen into step."""
_BUDGET = 10_000
"""Instructions: far more than the tries at one address need."""


def around(slice_: Slice, address: int, *, before: int, after: int) -> tuple[str, ...]:
    """See `binsafe.syscalls.listing`."""
    code = Code(slice_)
    if slice_.arch not in MODES or code.range_of(address) is None:
        return ()
    decoder = Decoder(slice_.arch, _BUDGET)
    lead = _leading(code, decoder, slice_.arch, address, before)[-before:] if before else []
    follow = decoder.sweep(code.read(address, address + (after + 1) * LONGEST), address)[: after + 1]
    return tuple(_text(each) for each in (*lead, *follow))


def _leading(code: Code, decoder: Decoder, arch: str, address: int, before: int) -> Sequence[Instruction]:
    """The instructions that end where ``address`` begins."""
    width = _WIDTH.get(arch)
    farthest = before * width if width else before * _SHORT + _IN_STEP
    starts = [address - farthest] if width else range(address - farthest, address)
    for start in starts:
        begin = max(start, _lowest(code, address))
        found = decoder.sweep(code.read(begin, address), begin)
        if found and found[-1].address + found[-1].size == address and all(each.mnemonic != JUNK for each in found):
            return found
    return []


def _lowest(code: Code, address: int) -> int:
    found = code.range_of(address)
    return address if found is None else found.address


def _text(instruction: Instruction) -> str:
    return f"{instruction.address:#x}: {instruction.mnemonic} {instruction.operands}".rstrip()
