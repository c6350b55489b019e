"""Bytes -> instructions, counted against a budget.

To decode an instruction to text takes a microsecond, with its operands and the registers that it writes six. So
functions are decoded to text, and single instructions whose data flow matters are decoded again in detail.
"""

import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from binsafe.syscalls.decoding.capstone_library import Engine
from binsafe.syscalls.decoding.instructions import JUNK, Instruction, Instructions
from binsafe.syscalls.decoding.operands import Immediate, Memory, Operand, Register, from_text

if TYPE_CHECKING:
    from binsafe.syscalls.decoding.capstone_package import Package

__all__ = [
    "JUNK",
    "LONGEST",
    "Decoder",
    "Detail",
    "Immediate",
    "Instruction",
    "Instructions",
    "Memory",
    "Operand",
    "OutOfInstructions",
    "Register",
]

MODES = {"x86_64": (3, 8), "i386": (3, 4), "arm64": (1, 0), "arm64e": (1, 0), "arm": (0, 0), "riscv64": (15, 6)}
"""Processor -> ``CS_ARCH_*`` and ``CS_MODE_*``. x86_64 and arm64 are analysed, others only shown (`surroundings`)."""

LONGEST = 15
"""Bytes of the longest instruction, x86's (SDM volume 2, 2.3.11)."""


_FILLED = re.compile(rb"\xe8.{3}[\x00\xff]((.)\2+)", re.DOTALL)
"""x86-64: a call, and one byte several times behind it."""
_NOTHING = b"\x06"
"""x86-64: no instruction."""


class OutOfInstructions(Exception):
    """The budget of decoded instructions is used up."""


class Detail(msgspec.Struct, frozen=True):
    """One instruction with its operands in the order of the text."""

    mnemonic: str
    operands: tuple[Operand, ...]
    writes: Callable[[], frozenset[str]]
    """The registers that it writes, implicit ones too: called only where the text does not say it, since it is slow."""
    end: int
    """The address behind it."""
    plain: bool
    """False where a register operand is shifted or extended first (arm64)."""


class Decoder:
    """Decodes for one processor until ``budget`` instructions have been decoded."""

    def __init__(self, arch: str, budget: int) -> None:
        self._arch = arch
        self._text = Engine(*MODES[arch], detailed=False)
        self.budget = budget

    @cached_property
    def _detailed(self) -> Engine:
        return Engine(*MODES[self._arch], detailed=True)

    @cached_property
    def _package(self) -> "Package":
        from binsafe.syscalls.decoding.capstone_package import Package  # slow to load

        return Package(*MODES[self._arch])

    def sweep(self, code: bytes, address: int) -> Instructions:
        """All instructions from the first byte to the last; no instruction where code is filled up to where jumps lead.

        Assembler fills with any byte behind a call that does not return (0x05 in glibc 2.43's ``____longjmp_chk``), and
        what that decodes to may reach over the target of a jump.

        Raises:
            OutOfInstructions: the budget was used up on the way.
        """
        found = self._swept(code, address)
        fillings = _FILLED.finditer(code) if self._arch == "x86_64" else ()
        crossed = [filling for filling in fillings if found.crosses(address + filling.end())]
        if not crossed:
            return found
        named, rest = found.last_operands(), bytearray(code)
        for filling in crossed:
            if f"{address + filling.end():#x}" in named:
                rest[slice(*filling.span(1))] = _NOTHING * len(filling[1])
        return self._swept(bytes(rest), address) if rest != code else found

    def _swept(self, code: bytes, address: int) -> Instructions:
        found = self._text.instructions(code, address, self.budget + 1)
        self.spend(len(found))
        return found

    def detail(self, code: Callable[[], bytes], instruction: Instruction) -> Detail | None:
        """An instruction with its operands; None for bytes that are no instruction. ``code`` gives its bytes if needed.

        Raises:
            OutOfInstructions: the budget was used up.
        """
        self.spend(1)
        if self._arch != "x86_64":
            return self._package.detail(code(), instruction.address)
        if instruction.mnemonic == JUNK:
            return None
        return Detail(
            instruction.mnemonic,
            from_text(instruction.operands),
            lambda: self._detailed.written(code(), instruction.address) or frozenset(),
            instruction.address + instruction.size,
            plain=True,
        )

    def spend(self, count: int) -> None:
        """Take from the budget what other work costs, counted in instructions decoded in the same time.

        Raises:
            OutOfInstructions: the budget is used up.
        """
        self.budget -= count
        if self.budget < 0:
            raise OutOfInstructions
