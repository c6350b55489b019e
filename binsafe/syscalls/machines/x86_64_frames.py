"""x86-64: where the stack and frame pointers point, and which stack slots can be reached by other ways than these."""

from binsafe.syscalls.decoding.decode import Instruction, Instructions, Memory
from binsafe.syscalls.decoding.operands import from_text
from binsafe.syscalls.machines import x86_64_values as values
from binsafe.syscalls.machines.machine import Frame
from binsafe.syscalls.machines.x86_64_pushes import POPS, PUSHES, moves_eight_bytes
from binsafe.syscalls.machines.x86_64_registers import general

_FRESH_FRAME = 1 << 24
"""Distance between a frame and its realigned continuation: their slots must never be taken for one another."""
_ANY_SLOT = -1 << 60
"""Below all slots of any frame."""
_POINTERS = ("rsp", "rbp")
_MOVES_THE_STACK = PUSHES | POPS | {"leave", "enter"}
_RETURN_ADDRESS = 8
"""Bytes of it, which begin where the stack pointer points at first."""
_NAMES_ONLY = frozenset({"lea", "nop"})
_EXCHANGES = frozenset({"xchg", "xadd", "lock xchg", "lock xadd"})
_MAY_MOVE = _MOVES_THE_STACK | {name.removeprefix("lock ") for name in _EXCHANGES}
_NAMES_OF_POINTERS = ("rsp", "esp", "sp", "rbp", "ebp", "bp")
_REPLACES = frozenset({"mov", "movabs", "movzx", "movsx", "movsxd", "lea", "pop"})


def next_frame(instructions: Instructions, at: int, frame: Frame) -> Frame:
    """Follows rsp and rbp through pushes, constants and copies; what else is written to them is forgotten."""
    if instructions.names[at] in _MAY_MOVE or instructions.operands(at).startswith(_NAMES_OF_POINTERS):
        return _after(instructions[at], frame)
    return frame


def _after(instruction: Instruction, frame: Frame) -> Frame:
    mnemonic, operands = instruction.mnemonic, instruction.operands
    if mnemonic in _MOVES_THE_STACK:
        return _moved(instruction, frame)
    first, _, second = operands.partition(", ")
    if mnemonic in _EXCHANGES:
        return _without(frame, _whole(first), _whole(second))
    written = _whole(first)
    if written not in _POINTERS or mnemonic in values.COMPARES:
        return frame
    kept = _without(frame, written)
    held = _held(mnemonic, first, second, frame) if first == written else None
    return kept if held is None else {**kept, first: held}


def _moved(instruction: Instruction, frame: Frame) -> Frame:
    """A push or pop, ``leave`` or ``enter``."""
    mnemonic, first, stack = instruction.mnemonic, instruction.operands, frame.get("rsp")
    if mnemonic == "leave":
        return {"rsp": frame["rbp"] + 8} if "rbp" in frame else {}
    if mnemonic == "enter":
        return {}
    kept = _without(frame, "rsp", _whole(first) if mnemonic in POPS else "")
    if stack is None or not moves_eight_bytes(instruction) or (mnemonic in POPS and first == "rsp"):
        return kept
    return {**kept, "rsp": stack + (8 if mnemonic in POPS else -8)}


def exposes(instruction: Instruction, frame: Frame) -> int | None:
    """See `Machine.exposes`: ``lea``, copies of rsp and rbp, and accesses with an index."""
    mnemonic, operands = instruction.mnemonic, instruction.operands
    if ("rsp" not in operands and "rbp" not in operands) or mnemonic in values.COMPARES:
        return None
    first, *others = operands.split(", ")
    if first in _POINTERS and mnemonic != "push":
        return (
            None if first in _after(instruction, frame) or not _derives(mnemonic, first, others, frame) else _ANY_SLOT
        )
    for source in others if mnemonic != "push" else [first]:
        if source == "rsp" or (source == "rbp" and source in frame):
            return frame.get(source, _ANY_SLOT)
    if "[" not in operands:
        return None
    inside = operands[operands.index("[") + 1 : operands.index("]")].replace(" - ", " + -")
    base, *terms = inside.split(" + ")
    offsets = [int(term, 0) for term in terms if term.lstrip("-")[0].isdigit()]
    if (mnemonic != "lea" and len(offsets) == len(terms)) or (base != "rsp" and base not in frame):
        return None
    return frame[base] + sum(offsets) if base in frame else _ANY_SLOT


def reaches_up(instruction: Instruction, frame: Frame) -> range | None:
    """See `Machine.reaches_up`: as far as the return address does what takes its caller's arguments off the stack."""
    mnemonic, operands = instruction.mnemonic, instruction.operands
    if mnemonic == "ret" and operands.strip("0x"):
        return range(_RETURN_ADDRESS)
    if mnemonic in POPS and frame.get("rsp") == 0:
        return range(_RETURN_ADDRESS)
    if "[" not in operands or mnemonic in _NAMES_ONLY or not any(name in operands for name in frame):
        return None
    for at, operand in enumerate(from_text(operands)):
        if isinstance(operand, Memory) and operand.base in frame and not operand.indexed:
            first = frame[operand.base] + operand.displacement
            written = at == 0 and mnemonic not in values.ONLY_READS
            if first + operand.size > 0 and (first < _RETURN_ADDRESS or written):
                return range(first, first + operand.size)
    return None


def _derives(mnemonic: str, first: str, others: list[str], frame: Frame) -> bool:
    """Whether rbp (``first``), which is followed no longer, or what it was exchanged for may still point to the stack.

    Of rsp that goes without saying: what is reached through it is reached by name.
    """
    if first == "rsp" and mnemonic not in _EXCHANGES:
        return False
    in_place = first in frame and mnemonic not in _REPLACES
    return in_place or any(each in frame or (mnemonic == "lea" and "rsp" in each) for each in others)


def _whole(operand: str) -> str:
    """The full name of a register; anything else as it is."""
    return general(operand)[0] or operand


def _without(frame: Frame, *names: str) -> Frame:
    return {name: offset for name, offset in frame.items() if name not in names}


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
    return value - (1 << 64) if value >> 63 == 1 else value
