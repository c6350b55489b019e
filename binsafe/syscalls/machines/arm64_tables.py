"""AArch64: how jumps take their targets from tables, as compilers read them.

GCC adds to an address of code, which is not the table's, an entry of one, two or four bytes that counts instructions:
``adrp x1, table; add x1, x1, :lo12:table; ldrb w0, [x1, w0, uxtw]; adr x1, code; add x0, x1, w0, sxtb #2; br x0``.
LLVM does the same with other registers, or adds four bytes that count bytes. Go, and C that computes where to go, load
whole addresses: ``ldr x27, [x1, x3, lsl #3]; br x27``.
"""

import re

from binsafe.syscalls.decoding.decode import Instructions
from binsafe.syscalls.machines import arm64_values as values
from binsafe.syscalls.machines.arithmetic import Operation
from binsafe.syscalls.machines.machine import Entry, Moved

_INDEXED = re.compile(r"(?P<to>[wx]\d+), \[(?P<base>x\d+), (?P<index>[wx]\d+)(?:, (?P<extend>[a-z]+)(?: #\d)?)?\]")
_SUM = re.compile(r"x\d+, (?P<first>x\d+), (?P<second>[wx]\d+)(?:, (?P<extend>lsl|[su]xt[bhwx])(?: #(?P<shift>\d))?)?")
_SIZES = {"ldrb": 1, "ldrsb": 1, "ldrh": 2, "ldrsh": 2, "ldrsw": 4}
_WIDTHS = {"xtb": 8, "xth": 16, "xtw": 32}
_WHOLE = re.compile(r"x\d+, (?:x\d+, )?\[(?:x\d+|sp)(?:, #.*)?\].*")
"""What a load of a whole address names."""
_COMPUTES = ("add", "sub", "ld")
_UNREAD = Entry(0, ())


def entry(instructions: Instructions, at: int) -> Entry | None:
    """See `Machine.entry`."""
    name, operands = instructions.names[at], instructions.operands(at)
    found = _INDEXED.fullmatch(operands)
    if found is None or not (name in _SIZES or name == "ldr"):
        return _UNREAD if name.startswith(_COMPUTES) and not _WHOLE.fullmatch(operands) else None
    size = _SIZES.get(name) or (4 if found["to"].startswith("w") else 8)
    signed = (Operation("sign-extend", 8 * size),) if name.startswith("ldrs") else ()
    whole = (Operation("and", 0xFFFF_FFFF),) if signed and found["to"].startswith("w") else ()
    index = Moved(values.full(found["index"]), _extended(found["extend"]))
    return Entry(size, (Moved(found["base"]),), index, (*signed, *whole))


def summands(instructions: Instructions, at: int) -> tuple[Moved, Moved] | None:
    """See `Machine.summands`."""
    found = _SUM.fullmatch(instructions.operands(at)) if instructions.names[at] == "add" else None
    if found is None:
        return None
    shifted = (Operation("shift-left", int(found["shift"])),) if found["shift"] else ()
    return Moved(found["first"]), Moved(values.full(found["second"]), (*_extended(found["extend"]), *shifted))


def _extended(extend: str | None) -> tuple[Operation, ...]:
    """What an extension of an operand does to it: ``uxtb`` up to ``sxtw``; the others take it as it is."""
    width = _WIDTHS.get(extend[1:]) if extend else None
    if width is None:
        return ()
    return (Operation("sign-extend", width) if extend and extend[0] == "s" else Operation("and", (1 << width) - 1),)
