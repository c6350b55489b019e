"""The only door to capstone: bytes -> instructions, counted against a budget.

Text decoding (``disasm_lite``) costs about 2 microseconds an instruction, operand detail about 45. So functions are
decoded as text, and single instructions that touch what is being followed are decoded again with their operands.
"""

from typing import Any, NamedTuple

import capstone

MODES = {
    "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
    "i386": (capstone.CS_ARCH_X86, capstone.CS_MODE_32),
    "arm64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN),
    "arm64e": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN),
    "arm": (capstone.CS_ARCH_ARM, capstone.CS_MODE_ARM),
    "riscv64": (capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC),
}
"""Processor -> how capstone reads its code; for the first and the third the analysis knows what it means."""
JUNK = ".byte"
"""The mnemonic of bytes that decode to nothing."""


class OutOfInstructions(Exception):
    """The budget of decoded instructions is used up."""


class Instruction(NamedTuple):
    """One instruction as text."""

    address: int
    size: int
    mnemonic: str
    operands: str


class Register(NamedTuple):
    """A register operand under its own name (``eax``, ``w8``)."""

    name: str


class Immediate(NamedTuple):
    """A constant operand, its ``shift`` applied; branch targets are absolute."""

    value: int
    shift: int = 0


class Memory(NamedTuple):
    """A memory operand of ``size`` bytes at base + index * scale + displacement; absent registers are empty."""

    base: str
    indexed: str
    """The register that is multiplied by ``scale``."""
    scale: int
    displacement: int
    size: int


Operand = Register | Immediate | Memory


class Detail(NamedTuple):
    """One instruction with its operands in the order of the text, and the registers it writes, implied ones too."""

    mnemonic: str
    operands: tuple[Operand, ...]
    writes: frozenset[str]
    end: int
    """The address behind it."""
    plain: bool
    """False where a register operand is shifted or extended on the way (arm64)."""


class Decoder:
    """Decodes for one processor until ``budget`` instructions have been decoded."""

    def __init__(self, arch: str, budget: int) -> None:
        self._text = capstone.Cs(*MODES[arch])
        self._text.skipdata = True
        self._detailed = capstone.Cs(*MODES[arch])
        self._detailed.detail = True
        self.budget = budget

    def sweep(self, code: bytes, address: int) -> list[Instruction]:
        """All instructions from the first byte to the last.

        Raises:
            OutOfInstructions: the budget was used up on the way.
        """
        found = [Instruction(*item) for item in self._text.disasm_lite(code, address, self.budget + 1)]
        self.spend(len(found))
        return found

    def detail(self, code: bytes, address: int) -> Detail | None:
        """The first instruction of ``code`` with its operands; None if it is none.

        Raises:
            OutOfInstructions: the budget was used up.
        """
        self.spend(1)
        found = next(self._detailed.disasm(code, address, 1), None)
        return None if found is None else _detail(found)

    def spend(self, count: int) -> None:
        """Take from the budget what other work costs, counted in instructions decoded in the same time.

        Raises:
            OutOfInstructions: the budget is used up.
        """
        self.budget -= count
        if self.budget < 0:
            raise OutOfInstructions


def _detail(found: Any) -> Detail:
    _, written = found.regs_access()
    writes = {found.reg_name(register) for register in written}
    operands: list[Operand] = []
    plain = True
    for operand in found.operands:
        shift = getattr(operand, "shift", None)
        if operand.type == capstone.CS_OP_REG:
            operands.append(Register(found.reg_name(operand.reg)))
            if operand.access & capstone.CS_AC_WRITE:
                writes.add(found.reg_name(operand.reg))
            plain = plain and not (shift is not None and (shift.type or operand.ext))
        elif operand.type == capstone.CS_OP_IMM:
            left = shift.value if shift is not None and shift.type else 0
            operands.append(Immediate(operand.imm << left, left))
        elif operand.type == capstone.CS_OP_MEM:
            memory = operand.mem
            operands.append(
                Memory(
                    found.reg_name(memory.base) or "",
                    found.reg_name(memory.index) or "",
                    getattr(memory, "scale", 1),
                    memory.disp,
                    getattr(operand, "size", 0),
                )
            )
    return Detail(found.mnemonic, tuple(operands), frozenset(writes), found.address + found.size, plain)
