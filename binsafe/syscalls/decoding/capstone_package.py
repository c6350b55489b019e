"""Capstone's Python package, which tells of each part of an operand: for processors whose text is not read here."""

from typing import Any

import capstone

from binsafe.syscalls.decoding.decode import Detail
from binsafe.syscalls.decoding.operands import Immediate, Memory, Operand, Register


class Package:
    """Decodes single instructions for one processor; takes 45 microseconds for each."""

    def __init__(self, arch: int, mode: int) -> None:
        self._engine = capstone.Cs(arch, mode)
        self._engine.detail = True

    def detail(self, code: bytes, address: int) -> Detail | None:
        """The first instruction of ``code`` with its operands; None if it is none."""
        found = next(self._engine.disasm(code, address, 1), None)
        return None if found is None else _detail(found)


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
    return Detail(found.mnemonic, tuple(operands), lambda: frozenset(writes), found.address + found.size, plain)
