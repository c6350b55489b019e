"""x86-64 run forward with numbers: what registers hold after an instruction, of those that are known before it."""

from collections.abc import Mapping, Sequence

from binsafe.syscalls.decoding.decode import Immediate, Memory, Operand, Register
from binsafe.syscalls.machines import x86_64_values as values
from binsafe.syscalls.machines.arithmetic import MASK, Operation, compute
from binsafe.syscalls.machines.machine import Constant, Moved, Source, Step
from binsafe.syscalls.machines.x86_64_registers import general

_LOADS = frozenset({"mov", "movzx", "movsx", "movsxd"})
_OF_TWO = frozenset({"add", "sub", "and", "or", "xor"})
_WHOLE = 32
"""Bits from which on an assignment gives the register a value of its own."""


def after(step: Step, known: Mapping[str, int]) -> dict[str, int]:
    """The registers, by their full names, that hold a known number after an instruction; calls are not told apart."""
    written, bits = general(step.instruction.operands.partition(",")[0])
    result: dict[str, int] = {}
    for register in known.keys() | ({written} if written else ()):
        sources = values.written(step, register)
        value = known.get(register) if sources is None else _one(sources, known)
        if sources is not None and value is None and register == written:
            value = _from_several(step, bits, known)
        if value is not None:
            result[register] = value
    return result


def leads(step: Step, known: Mapping[str, int]) -> int | None:
    """Where a jump leads through a register, or a word among constants."""
    detail = step.detail()
    operand = None if detail is None else detail.operands[0]
    if not isinstance(operand, Memory):
        return None if operand is None else _held(operand, known)
    address = _address(operand, known)
    return None if address is None else step.constant(address, operand.size)


def _one(sources: Sequence[Source], known: Mapping[str, int]) -> int | None:
    """The number that a register is given, where it can be one only and that is known."""
    source = sources[0] if len(sources) == 1 else None
    if isinstance(source, Constant):
        return source.value & MASK
    if isinstance(source, Moved) and isinstance(source.location, str) and source.location in known:
        return compute(known[source.location], source.operations)
    return None


def _from_several(step: Step, bits: int, known: Mapping[str, int]) -> int | None:
    """What is computed from two registers, or loaded from a place among constants that is."""
    detail = step.detail()
    if detail is None or len(detail.operands) != 2 or bits < _WHOLE:
        return None
    first, second = detail.operands
    address = _address(second, known) if isinstance(second, Memory) else None
    if detail.mnemonic in _LOADS and isinstance(second, Memory) and address is not None:
        value = step.constant(address, second.size)
        signed = detail.mnemonic in {"movsx", "movsxd"}
        value = Operation("sign-extend", second.size * 8).apply(value) if signed and value is not None else value
    elif detail.mnemonic == "lea":
        value = address
    elif detail.mnemonic in _OF_TWO and isinstance(second, Register):
        one, other = _held(first, known), _held(second, known)
        value = None if one is None or other is None else _computed(detail.mnemonic, one, other)
    else:
        return None
    return None if value is None else value & ((1 << bits) - 1)


def _computed(name: str, one: int, other: int) -> int:
    return Operation("add", -other).apply(one) if name == "sub" else Operation(name, other).apply(one)


def _held(operand: Operand, known: Mapping[str, int]) -> int | None:
    """What an operand of 32 or 64 bits holds."""
    if isinstance(operand, Immediate):
        return operand.value
    full, bits = general(operand.name) if isinstance(operand, Register) else ("", 0)
    return known[full] & ((1 << bits) - 1) if full in known and bits >= _WHOLE else None


def _address(operand: Memory, known: Mapping[str, int]) -> int | None:
    """The address that an operand names by registers; None where one is not known, or it is not by these alone."""
    sum_ = operand.displacement
    for name, scale in ((operand.base, 1), (operand.indexed, operand.scale)):
        if name:
            value = _held(Register(name), known)
            if value is None:
                return None
            sum_ += value * scale
    return sum_ & MASK
