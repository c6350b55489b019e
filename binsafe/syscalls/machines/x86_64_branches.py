"""x86-64: what a conditional branch depends on (SDM volume 1, appendix B: EFLAGS condition codes)."""

from collections.abc import Callable, Mapping
from operator import and_, or_, xor
from types import MappingProxyType

from binsafe.syscalls.decoding.decode import Instructions
from binsafe.syscalls.machines import x86_64_values as values
from binsafe.syscalls.machines.machine import Tested

_LEAVE_FLAGS = frozenset({"mov", "movabs", "movzx", "movsx", "movsxd", "lea", "nop", "endbr64", "push", "pop"})
_LOOK_BACK = 4
"""Instructions that a compiler puts between a comparison and its branch."""
_WIDE = frozenset({32, 64})

_COMPARED: Mapping[str, Callable[[int, int, int], bool]] = MappingProxyType(
    {
        "je": lambda a, b, _: a == b,
        "jne": lambda a, b, _: a != b,
        "jl": lambda a, b, _: a < b,
        "jle": lambda a, b, _: a <= b,
        "jg": lambda a, b, _: a > b,
        "jge": lambda a, b, _: a >= b,
        "jb": lambda a, b, bits: a % (1 << bits) < b % (1 << bits),
        "jbe": lambda a, b, bits: a % (1 << bits) <= b % (1 << bits),
        "ja": lambda a, b, bits: a % (1 << bits) > b % (1 << bits),
        "jae": lambda a, b, bits: a % (1 << bits) >= b % (1 << bits),
    }
)
"""Behind ``cmp``, of both operands as numbers with a sign, and their bits."""
_AGAINST_ZERO: Mapping[str, Callable[[int], bool]] = MappingProxyType(
    {
        "je": lambda v: v == 0,
        "jne": lambda v: v != 0,
        "js": lambda v: v < 0,
        "jns": lambda v: v >= 0,
        "jl": lambda v: v < 0,
        "jge": lambda v: v >= 0,
        "jle": lambda v: v <= 0,
        "jg": lambda v: v > 0,
    }
)
"""Behind what clears the flags of carry and overflow, of the result."""
_COMBINED: Mapping[str, Callable[[int, int], int]] = MappingProxyType(
    {"test": and_, "and": and_, "or": or_, "xor": xor}
)


def tested(instructions: Instructions, at: int) -> Tested | None:
    """See `Machine.tested`: what is compared are registers of 32 or 64 bits, and constants."""
    before = at - 1
    while before >= max(0, at - _LOOK_BACK) and instructions.names[before] in _LEAVE_FLAGS:
        before -= 1
    if before < max(0, at - _LOOK_BACK):
        return None
    meets = _meeting(instructions.names[before], instructions.names[at])
    first, _, second = instructions.operands(before).partition(", ")
    one, bits = values.register(first) or ("", 0)
    other, constant = values.register(second), _constant(second)
    if meets is None or bits not in _WIDE:
        return None
    if first == second:
        return Tested(before, (one,), lambda held: meets(held[0], held[0], bits))
    if constant is not None:
        return Tested(before, (one,), lambda held: meets(held[0], constant, bits))
    if other is not None:
        return Tested(before, (one, other[0]), lambda held: meets(held[0], held[1], bits))
    return None


def _meeting(name: str, branch: str) -> Callable[[int, int, int], bool] | None:
    """Whether an instruction makes a branch be taken, by its two operands and their bits; None if that is not told."""
    if name == "cmp" and branch in _COMPARED:
        compares = _COMPARED[branch]
        return lambda a, b, bits: compares(_signed(a, bits), _signed(b, bits), bits)
    if name in _COMBINED and branch in _AGAINST_ZERO:
        combines, meets = _COMBINED[name], _AGAINST_ZERO[branch]
        return lambda a, b, bits: meets(_signed(combines(a, b), bits))
    return None


def _constant(operand: str) -> int | None:
    digits = operand.removeprefix("-")
    if not digits.removeprefix("0x").isalnum() or not digits[:1].isdigit():
        return None
    return int(operand, 0)


def _signed(value: int, bits: int) -> int:
    value %= 1 << bits
    return value - ((value >> bits - 1) << bits)
