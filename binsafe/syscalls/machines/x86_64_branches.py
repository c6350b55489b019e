"""x86-64: what a conditional branch depends on (SDM volume 1, appendix B: EFLAGS condition codes)."""

from collections.abc import Mapping
from operator import and_, or_, xor
from types import MappingProxyType

from binsafe.syscalls.decoding.decode import Instructions
from binsafe.syscalls.machines import conditions
from binsafe.syscalls.machines import x86_64_values as values
from binsafe.syscalls.machines.machine import Tested

_LEAVE_FLAGS = frozenset({"mov", "movabs", "movzx", "movsx", "movsxd", "lea", "nop", "endbr64", "push", "pop"})
_LOOK_BACK = 4
"""Instructions that a compiler puts between a comparison and its branch."""
_WHOLE = 32
"""Bits of a comparison that says how large a register's number is."""
_ALL = 64
_CONDITIONS: Mapping[str, str] = MappingProxyType(
    {
        "je": "eq",
        "jne": "ne",
        "jl": "lt",
        "jle": "le",
        "jg": "gt",
        "jge": "ge",
        "jb": "lo",
        "jbe": "ls",
        "ja": "hi",
        "jae": "hs",
        "js": "mi",
        "jns": "pl",
    }
)
_COMBINED: Mapping[str, conditions.Combining] = MappingProxyType({"test": and_, "and": and_, "or": or_, "xor": xor})


def tested(instructions: Instructions, at: int) -> Tested | None:
    """See `Machine.tested`: what is compared are registers or their low bits, and constants."""
    before = at - 1
    while before >= max(0, at - _LOOK_BACK) and instructions.names[before] in _LEAVE_FLAGS:
        before -= 1
    condition = _CONDITIONS.get(instructions.names[at])
    if before < max(0, at - _LOOK_BACK) or condition is None:
        return None
    name = instructions.names[before]
    first, _, second = instructions.operands(before).partition(", ")
    one, bits = values.register(first) or ("", 0)
    named, constant = values.register(second), _constant(second)
    other = one if first == second else named[0] if named is not None else constant
    if not bits or other is None or (named is not None and named[1] != bits):
        return None
    if condition == "eq" and bits == _ALL:
        compared = {"cmp": constant, "test": 0 if first == second else None}.get(name)
        if compared is not None:
            return Tested(before, (one,), lambda held: held[0] == compared % (1 << bits), only=compared % (1 << bits))
    if name == "cmp":
        found = conditions.compared(before, condition, one, other, bits)
        return found._replace(limit=None) if found is not None and bits < _WHOLE else found
    if name in _COMBINED:
        return conditions.combined(before, condition, one, other, bits, _COMBINED[name])
    return None


def _constant(operand: str) -> int | None:
    digits = operand.removeprefix("-")
    if not digits.removeprefix("0x").isalnum() or not digits[:1].isdigit():
        return None
    return int(operand, 0)
