"""AArch64: where the stack pointer and its copies point, and which slots can be reached by other ways than these."""

from binsafe.syscalls.decoding.decode import JUNK, Instruction, Instructions
from binsafe.syscalls.machines import arm64_values as values
from binsafe.syscalls.machines.machine import Frame

_ANY_SLOT = -1 << 60
"""Below all slots of any frame."""

_ACCESSES = ("ld", "st", "swp", "cas")


def next_frame(instructions: Instructions, at: int, frame: Frame) -> Frame:
    """Follows sp, and what was copied from it: Go makes large frames through x20, C keeps x29."""
    mnemonic, operands = instructions.names[at], instructions.operands(at)
    if mnemonic in values.CALLS or mnemonic == JUNK:
        return {name: offset for name, offset in frame.items() if name in {"sp", "x29"}}
    if not mnemonic.startswith(values.IMPLIED) and not any(name[1:] in operands for name in frame):
        return frame
    kept = {name: offset for name, offset in frame.items() if not values.may_set(mnemonic, operands, name)}
    bracket = operands.rfind("[")
    if bracket >= 0 and mnemonic.startswith(_ACCESSES):
        base, moved = values.writeback(operands[bracket:])
        return {**kept, base: frame[base] + moved} if moved and base in frame else kept
    first, *others = (values.full(name) for name in operands.split(", "))
    if not others or others[0] not in frame or mnemonic in values.WRITES_NOTHING:
        return kept
    amount = _amount(mnemonic, others[1:])
    return kept if amount is None else {**kept, first: frame[others[0]] + amount}


def exposes(instruction: Instruction, frame: Frame) -> int | None:
    """See `Machine.exposes`: additions to sp and to its copies, stores of them, and accesses with an index."""
    mnemonic, operands = instruction.mnemonic, instruction.operands
    outside, _, inside = operands.partition("[")
    base, *terms = inside.partition("]")[0].split(", ")
    indexed = terms and not terms[0].startswith("#")
    moved = base == "x29" and not inside.endswith("]")  # as a pointer: nobody moves a frame
    if values.full(base) in frame and (indexed or moved):
        return frame[values.full(base)]
    first, *others = (values.full(name) for name in outside.rstrip(", ").split(", "))
    if inside:
        stored = (first, *others) if mnemonic.startswith(values.STORES) else ()
        return min((frame[name] for name in stored if name in frame), default=None)
    if first == "sp" or mnemonic in values.WRITES_NOTHING or not others or others[0] not in frame:
        return None
    amount = _amount(mnemonic, others[1:])
    if first == "x29" and others[0] == "sp" and amount is not None:
        return None  # the frame's own pointer, mostly
    return _ANY_SLOT if amount is None else frame[others[0]] + amount


def _amount(mnemonic: str, rest: list[str]) -> int | None:
    """What ``mov``, ``add`` or ``sub`` with a constant adds to its second operand."""
    if mnemonic == "mov" and not rest:
        return 0
    if mnemonic not in {"add", "sub"} or not rest or not rest[0].startswith("#"):
        return None
    amount = int(rest[0][1:], 0) << (12 if rest[1:] == ["lsl #12"] else 0)
    return amount if mnemonic == "add" else -amount
