"""x86-64: pushes and pops, and whether one moves eight bytes, as all do that compilers write."""

from binsafe.syscalls.decoding.decode import Instruction
from binsafe.syscalls.machines.x86_64_registers import REGISTERS

PUSHES = frozenset({"push", "pushf", "pushfq"})
POPS = frozenset({"pop", "popf", "popfq"})
_SEGMENTS = frozenset({"fs", "gs"})
_CONSTANT_SIZES, _SEGMENT_SIZE = (2, 5), 2
"""Bytes of ``push`` of a constant and of a segment register without the prefix that has it push two bytes."""


def moves_eight_bytes(instruction: Instruction) -> bool:
    """Whether a push or pop has its usual form, and not the prefix (66) that has it move two bytes."""
    mnemonic, operand = instruction.mnemonic, instruction.operands
    if not operand:
        return mnemonic.endswith("q")  # pushfq, popfq
    if operand[:1].isdigit() or operand.startswith("-"):
        return instruction.size in _CONSTANT_SIZES
    if operand in _SEGMENTS:
        return instruction.size == _SEGMENT_SIZE
    return not operand.startswith("word ptr") and REGISTERS.get(operand, ("", 64))[1] == 64
