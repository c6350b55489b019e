"""AArch64: the tables that jumps take their targets from, as compilers read them.

GCC adds to an address of code, which is not the table's, an entry of one, two or four bytes that counts instructions:
``adrp x1, table; add x1, x1, :lo12:table; ldrb w0, [x1, w0, uxtw]; adr x1, code; add x0, x1, w0, sxtb #2; br x0``.
LLVM does the same with other registers, or adds four bytes that count bytes. Go, and C that computes where to go, load
whole addresses: ``ldr x27, [x1, x3, lsl #3]; br x27``.
"""

import re
from typing import NamedTuple

from binsafe.syscalls.decoding.decode import Instructions
from binsafe.syscalls.machines import arm64_values as values
from binsafe.syscalls.machines.arithmetic import Operation
from binsafe.syscalls.machines.arm64_addresses import CONSTANT_SUM, held, setting_of
from binsafe.syscalls.machines.machine import Moved, Table

_LOOK_BACK = 8
"""Instructions before a jump in which a load with an index is a sign of a table that is not read."""
_INDEXED = re.compile(r"(?P<to>[wx]\d+), \[(?P<base>x\d+), (?P<index>[wx]\d+)(?:, (?P<extend>[a-z]+)(?: #\d)?)?\]")
_SUM = re.compile(r"x\d+, (?P<first>x\d+), (?P<second>[wx]\d+)(?:, (?P<extend>[a-z]+)(?: #(?P<shift>\d))?)?")
_SIZES = {"ldrb": 1, "ldrsb": 1, "ldrh": 2, "ldrsh": 2, "ldrsw": 4}
_WIDTHS = {"xtb": 1, "xth": 2, "xtw": 4}
_EXTENSIONS = {"uxtw": (Operation("and", 0xFFFF_FFFF),), "sxtw": (Operation("sign-extend", 32),)}


class _Entry(NamedTuple):
    """A load with an index: that of an entry, where its base is a table."""

    size: int
    signed: bool
    base: str
    chosen: tuple[int, Moved]


def table(instructions: Instructions, at: int, straight: int, through: str | None = None) -> Table | None:
    """See `Machine.table`: what adds on the way, or loads with an index, is a table that may not be read."""
    register = values.full((through or instructions.operands(at)).partition(", ")[0])
    setting = setting_of(instructions, at, straight, register)
    if setting is None:
        before = range(max(0, at - _LOOK_BACK), at)
        return Table((), 4) if any(_INDEXED.search(instructions.operands(index)) for index in before) else None
    if instructions.names[setting] == "add":
        leads_to_one = CONSTANT_SUM.fullmatch(instructions.operands(setting)) is not None
        return None if leads_to_one else _summed(instructions, setting, straight)
    entry = _entry(instructions, setting)
    if entry is None:
        return None
    bases = held(instructions, setting, straight, entry.base)
    return Table(tuple((base, 0) for base in bases), entry.size, chosen=entry.chosen)


def _summed(instructions: Instructions, adding: int, straight: int) -> Table:
    """The table of which an entry is added to its origin."""
    found = _SUM.fullmatch(instructions.operands(adding))
    for origin, number in ((found["first"], found["second"]), (found["second"], found["first"])) if found else ():
        loading = setting_of(instructions, adding, straight, values.full(number))
        entry = None if loading is None else _entry(instructions, loading)
        if found is None or loading is None or entry is None:
            continue
        extend = found["extend"] or "lsl"
        width = _WIDTHS.get(extend[1:], 8)
        if width < entry.size:
            break  # a part of an entry
        signed = extend.startswith("s") if width == entry.size else entry.signed
        origins = held(instructions, adding, straight, origin)
        bases = held(instructions, loading, straight, entry.base)
        places = tuple((base, origin) for base in bases for origin in origins)
        return Table(places, entry.size, 1 << int(found["shift"] or 0), signed, entry.chosen)
    return Table((), 4)


def _entry(instructions: Instructions, loading: int) -> _Entry | None:
    name = instructions.names[loading]
    found = _INDEXED.fullmatch(instructions.operands(loading))
    if found is None or not (name in _SIZES or name == "ldr"):
        return None
    size = _SIZES.get(name) or (4 if found["to"].startswith("w") else 8)
    index = Moved(values.full(found["index"]), _EXTENSIONS.get(found["extend"] or "", ()))
    return _Entry(size, name.startswith("ldrs"), found["base"], (loading, index))
