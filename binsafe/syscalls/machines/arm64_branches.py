"""AArch64: where branches lead, and what a conditional one depends on (Arm ARM, C1.2.4: condition codes)."""

from binsafe.syscalls.decoding.decode import JUNK, Instruction, Instructions
from binsafe.syscalls.machines import arm64_values as values
from binsafe.syscalls.machines import conditions
from binsafe.syscalls.machines.conditions import Settled, Tested
from binsafe.syscalls.machines.machine import Flow

_LEAVE_FLAGS = frozenset(
    "mov movz movk movn adr adrp add sub and orr eor lsl lsr ldr ldrb ldrh ldrsw ldp str strb strh stp nop".split()
)
_COMPARE, _COMBINE = frozenset({"cmp", "subs"}), frozenset({"tst", "ands"})
_WITHOUT_RESULT = frozenset({"cmp", "tst"})
_SHIFTED = ", lsl #12"
_WHOLE = 64


def flows(instructions: Instructions) -> dict[int, Flow]:
    """See `Machine.flows`."""
    found = ((at, _flow(instruction)) for at, instruction in enumerate(instructions))
    return {at: flow for at, flow in found if flow is not Flow.NEXT}


def _flow(instruction: Instruction) -> Flow:
    mnemonic = instruction.mnemonic
    if mnemonic == "bl" or mnemonic.startswith("blr"):
        return Flow.CALL
    if mnemonic == "b":
        return Flow.JUMP
    if mnemonic.startswith(("b.", "bc.")) or mnemonic in values.COMPARE_AND_BRANCH:
        return Flow.BRANCH
    if mnemonic in values.COMPUTED_JUMPS:
        return Flow.INDIRECT
    if mnemonic in values.RETURNS:
        return Flow.RETURN
    is_data = mnemonic == JUNK and not values.is_unknown(mnemonic, instruction.operands)
    return Flow.TRAP if is_data or mnemonic in values.TRAPS else Flow.NEXT


def target(instructions: Instructions, at: int) -> int | None:
    """See `Machine.target`: constants are the last of the operands."""
    last = instructions.operands(at).rpartition("#")[2]
    return int(last, 16) if last.startswith("0x") else None


def compared_with(instruction: Instruction, value: int) -> str | None:
    """See `Machine.compared_with`: ``cmn``, which compares with the negative of its constant."""
    register, _, constant = instruction.operands.partition(", #")
    fits = instruction.mnemonic == "cmn" and "," not in constant and constant and int(constant, 0) == -value
    return values.full(register) if fits else None


def branches_if_equal(instruction: Instruction) -> bool | None:
    """See `Machine.branches_if_equal`."""
    return {"b.eq": True, "b.ne": False}.get(instruction.mnemonic)


def tested(instructions: Instructions, at: int) -> Tested | None:
    """See `Machine.tested`: ``cbz``, ``tbz`` and their opposites, and ``b.cond`` behind a comparison."""
    name, operands = instructions.names[at], instructions.operands(at).split(", ")
    register, bits = values.full(operands[0]), _bits(operands[0])
    if name in {"cbz", "cbnz"}:
        return Tested(at, (register,), lambda held: (held[0] % (1 << bits) == 0) == (name == "cbz"))
    if name in {"tbz", "tbnz"}:
        bit = int(operands[1][1:], 0)
        return Tested(at, (register,), lambda held: (held[0] >> bit & 1 == 0) == (name == "tbz"))
    return _behind_flags(instructions, at, instructions[at].mnemonic.rpartition(".")[2])


def settled(instructions: Instructions, at: int) -> Settled | None:
    """See `Machine.settled`: ``cbz`` of all 64 bits."""
    register = instructions.operands(at).partition(", ")[0] if instructions.names[at] == "cbz" else ""
    return Settled(at, register, 0) if _bits(register) == _WHOLE else None


def _behind_flags(instructions: Instructions, at: int, condition: str) -> Tested | None:
    before = conditions.flags_set_at(instructions, at, _LEAVE_FLAGS)
    if before is None or instructions.names[before] not in _COMPARE | _COMBINE:
        return None
    name, operands = instructions.names[before], instructions.operands(before)
    first, _, second = (operands if name in _WITHOUT_RESULT else operands.partition(", ")[2]).partition(", ")
    value, bits = _value(second), _bits(first)
    if value is None or not bits:
        return None
    tell = conditions.compared if name in _COMPARE else conditions.combined
    return tell(before, condition, values.full(first), value, bits)


def _bits(register: str) -> int:
    return {"w": 32, "x": 64}.get(register[:1], 0)


def _value(operand: str) -> str | int | None:
    """A register by its full name or a constant; None for what is shifted or extended on the way."""
    if operand.startswith("#"):
        constant, _, _ = operand.partition(", ")
        return int(constant[1:], 0) << (12 if operand.endswith(_SHIFTED) else 0)
    if operand in {"wzr", "xzr"}:
        return 0
    return values.full(operand) if _bits(operand) and "," not in operand else None
