"""x86-64: the number is in eax; ``syscall`` is ``0f 05`` and leaves its result in rax, and rcx and r11 destroyed.

Encodings: Intel SDM volume 2; call convention of the kernel: ``arch/x86/entry/entry_64.S``; of C: System V ABI,
section 3.2.1; of Go: ``abi-internal.md`` (no register but rsp and rbp survives a call).
"""

# ruff: noqa: PLR2004 - an instruction set is a table of numbers and a list of cases

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from binsafe.syscalls import x86_64_values as values
from binsafe.syscalls.code import CodeRange
from binsafe.syscalls.decode import JUNK, Instruction
from binsafe.syscalls.machine import Addresses, Edges, Flow, Frame, Location, Source, Step, joined

_SYSCALL = b"\x0f\x05"
_FRESH_FRAME = 1 << 24
"""Distance between a frame and its realigned continuation: their slots must never be taken for one another."""
_RETURNS = frozenset({"ret", "retf", "iretq"})
_TRAPS = frozenset({"ud0", "ud1", "ud2", "int3", "hlt", JUNK})


class X86_64:  # noqa: N801 - the processor's own name
    """See `binsafe.syscalls.machine.Machine`."""

    arch = "x86_64"
    abi = "linux-x86_64"
    number = "rax"
    stack = "rsp"
    call_shift = 8

    def find_sites(self, code: CodeRange) -> Iterator[int]:
        """``0f 05`` wherever it stands; ``bytes.find`` beats numpy threefold on large code."""
        data, at = bytes(code.data), -1
        while (at := data.find(_SYSCALL, at + 1)) >= 0:
            yield code.address + at

    def is_site(self, instruction: Instruction) -> bool:
        """Whether it is ``syscall``."""
        return instruction.mnemonic == "syscall"

    def calls(self, code: CodeRange) -> Edges:
        """``e8`` and four bytes of displacement."""
        return _relative(code, np.flatnonzero(code.array() == 0xE8), 1)

    def jumps(self, code: CodeRange) -> Edges:
        """``e9`` and ``0f 8x``, each with four bytes of displacement."""
        data = code.array()
        near = _relative(code, np.flatnonzero(data == 0xE9), 1)
        conditional = _relative(code, np.flatnonzero((data[:-1] == 0x0F) & ((data[1:] & 0xF0) == 0x80)), 2)
        return joined(near, conditional)

    def short_jumps(self, code: bytes, address: int) -> Iterator[tuple[int, int]]:
        """``eb``, ``7x`` and ``e0`` to ``e3`` with one byte of displacement: what a tail call to a neighbour is."""
        for at, (first, second) in enumerate(pairwise(code)):
            if first == 0xEB or first & 0xF0 == 0x70 or first & 0xFC == 0xE0:
                yield address + at, address + at + 2 + (second ^ 0x80) - 0x80

    def computed_addresses(self, code: CodeRange) -> Edges:
        """``lea r64, [rip + disp32]``."""
        data = code.array()
        lea = (data[:-2] & 0xF8 == 0x48) & (data[1:-1] == 0x8D) & (data[2:] & 0xC7 == 0x05)
        return _relative(code, np.flatnonzero(lea), 3)

    def absolute(self, address: int) -> bytes | None:
        """The four bytes of ``mov r32, imm32`` and its like, in programs that are linked below 4 GiB."""
        return address.to_bytes(4, "little") if 0 <= address <= values.LOW_32 else None

    def flow(self, instruction: Instruction) -> tuple[Flow, int | None]:
        """How control leaves, and the target if it is a constant."""
        mnemonic = instruction.mnemonic.rpartition(" ")[2]
        if mnemonic == "jmp":
            target = _target(instruction)
            return (Flow.INDIRECT if target is None else Flow.JUMP), target
        if mnemonic == "call":
            return Flow.CALL, _target(instruction)
        if mnemonic in values.BRANCHES:
            return Flow.BRANCH, _target(instruction)
        if mnemonic in _RETURNS:
            return Flow.RETURN, None
        return (Flow.TRAP if mnemonic in _TRAPS else Flow.NEXT), None

    def next_frame(self, instruction: Instruction, frame: Frame) -> Frame:
        """Follows rsp and rbp through pushes, constants and copies; what else is written to them is forgotten."""
        mnemonic, operands = instruction.mnemonic, instruction.operands
        first, _, second = operands.partition(", ")
        stack = frame.get("rsp")
        if mnemonic in {"push", "pushfq"}:
            return frame if stack is None else {**frame, "rsp": stack - 8}
        if mnemonic in {"pop", "popfq"}:
            kept = {name: offset for name, offset in frame.items() if name not in {first, "rsp"}}
            return kept if stack is None or first == "rsp" else {**kept, "rsp": stack + 8}
        if mnemonic == "leave":
            return {"rsp": frame["rbp"] + 8} if "rbp" in frame else {}
        if first not in {"rsp", "rbp"} or mnemonic in values.COMPARES:
            return frame
        kept = {name: offset for name, offset in frame.items() if name != first}
        held = _held(mnemonic, first, second, frame)
        return kept if held is None else {**kept, first: held}

    def preserved(self, *, go: bool) -> frozenset[str]:
        """Registers that a callee hands back as they were."""
        return frozenset({"rbp"}) if go else frozenset({"rbx", "rbp", "r12", "r13", "r14", "r15"})

    def sources(self, step: Step, location: Location) -> tuple[Source, ...] | None:
        """Where the location's value comes from; None if the instruction leaves it alone."""
        return values.stored(step, location) if isinstance(location, int) else values.written(step, location)


def _relative(code: CodeRange, at: Addresses, opcode: int) -> Edges:
    """Instructions at these offsets that end in a displacement of four bytes behind ``opcode`` bytes."""
    at = at[at <= len(code.data) - opcode - 4]
    if not len(at):
        return Edges(at, at)
    count = len(code.data) - 3
    displacements = np.ndarray((count,), np.dtype("<i4"), buffer=code.data, strides=(1,))
    return Edges(code.address + at, code.address + at + (opcode + 4) + displacements[at + opcode])


def _target(instruction: Instruction) -> int | None:
    return int(instruction.operands, 16) if instruction.operands.startswith("0x") else None


def _held(mnemonic: str, first: str, second: str, frame: Frame) -> int | None:
    """What rsp or rbp (``first``) holds after an instruction that writes it, as a distance in the frame."""
    if mnemonic == "mov":
        return frame.get(second)
    if mnemonic in {"add", "sub"} and first in frame and second.lstrip("-")[:1].isdigit():
        amount = _signed(int(second, 0))
        return frame[first] + (amount if mnemonic == "add" else -amount)
    if mnemonic == "and" and first in frame:
        return frame[first] - _FRESH_FRAME
    if mnemonic == "lea":
        base, _, offset = second.strip("[]").replace(" - ", " + -").partition(" + ")
        if base in frame and "*" not in offset and "r" not in offset:
            return frame[base] + int(offset or "0", 0)
    return None


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
