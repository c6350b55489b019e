"""x86-64: where branches lead, and what a conditional one depends on (SDM volume 1, appendix B: condition codes)."""

from collections.abc import Mapping
from itertools import compress
from operator import and_, or_, xor
from types import MappingProxyType

from binsafe.syscalls.decoding.decode import JUNK, Instruction, Instructions
from binsafe.syscalls.machines import conditions
from binsafe.syscalls.machines import x86_64_values as values
from binsafe.syscalls.machines.conditions import Settled, Tested
from binsafe.syscalls.machines.machine import Flow
from binsafe.syscalls.machines.x86_64_registers import general

_FLOWS: Mapping[str, Flow] = MappingProxyType(
    dict.fromkeys((*values.BRANCHES, "xbegin"), Flow.BRANCH)
    | dict.fromkeys(("ret", "retf", "retfq", "iret", "iretd", "iretq"), Flow.RETURN)
    | dict.fromkeys(("ud0", "ud1", "ud2", "int3", "hlt"), Flow.TRAP)
    | {"jmp": Flow.JUMP, "call": Flow.CALL, JUNK: Flow.UNKNOWN}
)
_LEAVE_FLAGS = frozenset({"mov", "movabs", "movzx", "movsx", "movsxd", "lea", "nop", "endbr64", "push", "pop"})
_WHOLE = 32
"""Bits of a comparison that says how large a register's number is."""
_ALL = 64
_LEAVE_RESULT = frozenset({"add", "and", "dec", "neg", "or", "sub", "xor"})
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


def flows(instructions: Instructions) -> dict[int, Flow]:
    """See `Machine.flows`: a jump to what no constant says is an indirect one."""
    flows_ = [*map(_FLOWS.get, instructions.names)]
    found = {at: flow for at, flow in compress(enumerate(flows_), flows_) if flow is not None}
    for at, flow in found.items():
        if flow is Flow.JUMP and not instructions.operands(at).startswith("0x"):
            found[at] = Flow.INDIRECT
    return found


def target(instructions: Instructions, at: int) -> int | None:
    """See `Machine.target`: None for one in a register or in memory."""
    operands = instructions.operands(at)
    return int(operands, 16) if operands.startswith("0x") else None


def compared_with(instruction: Instruction, value: int) -> str | None:
    """See `Machine.compared_with`: ``cmp`` of all 64 bits, or of the lower 32."""
    register, _, constant = instruction.operands.partition(", ")
    if instruction.mnemonic != "cmp" or not constant.lstrip("-").startswith("0x"):
        return None
    full, bits = general(register)
    return full if bits in {32, 64} and (int(constant, 16) - value) % (1 << bits) == 0 else None


def branches_if_equal(instruction: Instruction) -> bool | None:
    """See `Machine.branches_if_equal`."""
    return {"je": True, "jne": False}.get(instruction.mnemonic)


def tested(instructions: Instructions, at: int) -> Tested | None:
    """See `Machine.tested`: what is compared are registers or their low bits, and constants."""
    before = conditions.flags_set_at(instructions, at, _LEAVE_FLAGS)
    condition = _CONDITIONS.get(instructions.names[at].replace("cmov", "j"))
    if before is None or condition is None:
        return None
    name = instructions.names[before]
    first, _, second = instructions.operands(before).partition(", ")
    one, bits = general(first)
    named, named_bits = general(second)
    other = one if first == second else named or _constant(second)
    if not bits or other is None or (named and named_bits != bits):
        return None
    if name == "cmp":
        return conditions.compared(before, condition, one, other, bits)
    if name in _COMBINED:
        return conditions.combined(before, condition, one, other, bits, _COMBINED[name])
    return None


def settled(instructions: Instructions, at: int) -> Settled | None:
    """See `Machine.settled`: ``je`` and ``jne`` behind a comparison with a constant, or what leaves zero in a register.

    Of 32 bits only behind what clears the others: glibc's ``read`` before 2.36 is ``mov eax, fs:[0x18]; test eax, eax;
    jne ...; syscall``.
    """
    taken = {"je": True, "jne": False}.get(instructions.names[at])
    before = None if taken is None else conditions.flags_set_at(instructions, at, _LEAVE_FLAGS)
    if before is None or taken is None:
        return None
    name = instructions.names[before]
    first, _, second = instructions.operands(before).partition(", ")
    register, bits = general(first)
    if name in _LEAVE_RESULT and bits >= _WHOLE:  # 32 bits clear the others
        return Settled(before, register, 0, taken)
    compared = {"cmp": _constant(second), "test": 0 if first == second else None}.get(name)
    filled = bits == _WHOLE and before > 0 and instructions.names[before - 1] == "mov"
    cleared = filled and instructions.operands(before - 1).startswith(f"{first}, ")
    if compared is None or not (cleared or bits == _ALL):
        return None
    return Settled(before - cleared, register, compared % (1 << bits), taken)


def _constant(operand: str) -> int | None:
    digits = operand.removeprefix("-")
    if not digits.removeprefix("0x").isalnum() or not digits[:1].isdigit():
        return None
    return int(operand, 0)
