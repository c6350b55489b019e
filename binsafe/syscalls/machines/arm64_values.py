"""AArch64 data flow: where the value of a register or stack slot comes from, instruction by instruction."""

# ruff: noqa: PLR0911 - an instruction set is a list of cases

from collections.abc import Iterable

from binsafe.syscalls.decoding.decode import JUNK, Detail, Immediate, Instructions, Memory, Operand, Register
from binsafe.syscalls.machines.arithmetic import MASK, Operation
from binsafe.syscalls.machines.machine import Constant, Location, Moved, Source, Step, Unknown, then

_LOW_32 = Operation("and", 0xFFFF_FFFF)
_ALIASES = {"fp": "x29", "lr": "x30", "wsp": "sp"}
RETURNS = frozenset({"ret", "retaa", "retab", "eret"})
TRAPS = frozenset({"brk", "udf", "hlt"})
COMPUTED_JUMPS = frozenset({"br", "braa", "brab", "braaz", "brabz"})
COMPARE_AND_BRANCH = frozenset({"cbz", "cbnz", "tbz", "tbnz"})
_COMPARES = frozenset({"cmp", "cmn", "tst", "ccmp", "ccmn"})
WRITES_NOTHING = RETURNS | TRAPS | COMPARE_AND_BRANCH | COMPUTED_JUMPS | _COMPARES | {"b", "bc", "nop"}
CALLS = frozenset({"bl", "blr", "blraa", "blrab", "blraaz", "blrabz"})
PRESERVED = frozenset(f"x{number}" for number in range(19, 30))
"""Registers that a callee hands back as they were (AAPCS64, section 6.1.1)."""
IMPLIED = ("svc", "pac", "aut", "xpac", "cpy", "set")
"""Prefixes of mnemonics that write registers which they do not name, or all that they name."""
CHANGES = ("pac", "aut", "xpac", "movk", "bfi", "bfm", "bfxil", "bfc")
"""Prefixes of mnemonics that change only a part of their first operand."""
_THROUGH_REGISTERS = ("cpy", "set", "dc")
"""Prefixes of mnemonics that copy or fill memory, as much as a register says; ``dc zva`` clears as much as there is."""
_ATOMIC = ("swp", "cas", "ldadd", "ldclr", "ldeor", "ldset", "ldsm", "ldum")
STORES = ("st", *_ATOMIC, *_THROUGH_REGISTERS)
"""Prefixes of mnemonics that write memory, atomic operations included."""
_SCALABLE = ("z", "p")
"""Prefixes of names of scalable registers, whose size depends on the processor (SVE)."""
_RESERVED = frozenset({0b0000, 0b0001, 0b0011})
"""Bits 25 to 28 of words that are no instructions (Arm ARM, C4.1)."""
_STORED = {"strb": 1, "sturb": 1, "strh": 2, "sturh": 2}
_MOST_STORED = 64
"""Bytes that one of the others may write: ``st4``."""
_SET_ALL = ("ld", "swp", "cas")
"""Prefixes of mnemonics that may write all their operands: loads, and atomic operations."""
_LOAD_BITS = {"ldr": 0, "ldur": 0, "ldrb": 8, "ldurb": 8, "ldrh": 16, "ldurh": 16}
_SIGNED_LOAD_BITS = {"ldrsw": 32, "ldursw": 32, "ldrsh": 16, "ldursh": 16, "ldrsb": 8, "ldursb": 8}
_ARITHMETIC = {"and": "and", "orr": "or", "eor": "xor", "lsl": "shift-left", "lsr": "shift-right"}
_ON_ONE = {
    "uxtb": Operation("and", 0xFF),
    "uxth": Operation("and", 0xFFFF),
    "uxtw": _LOW_32,
    "sxtb": Operation("sign-extend", 8),
    "sxth": Operation("sign-extend", 16),
    "sxtw": Operation("sign-extend", 32),
    "neg": Operation("negate", 0),
    "mvn": Operation("xor", MASK),
}
_CONDITIONAL = {
    "csel": (),
    "csinc": (Operation("add", 1),),
    "csinv": (Operation("xor", MASK),),
    "csneg": (Operation("negate", 0),),
    "cinc": (Operation("add", 1),),
    "cinv": (Operation("xor", MASK),),
    "cneg": (Operation("negate", 0),),
}
"""The result is either the first source, or the last source after these operations."""
_FIELDS = frozenset({"ubfx", "sbfx"})


def full(name: str) -> str:
    """The full-width name of a general register; other text comes back as it is."""
    name = _ALIASES.get(name, name)
    return f"x{name[1:]}" if name[:1] == "w" and name[1:].isdigit() else name


def is_unknown(mnemonic: str, operands: str) -> bool:
    """Whether bytes that capstone cannot decode may be an instruction, with any effect; else they are data."""
    return mnemonic == JUNK and int(operands.rpartition(", ")[2], 0) >> 1 & 0xF not in _RESERVED


def writeback(memory: str) -> tuple[str, int]:
    """Base register and how far an access moves it: ``[sp, #-0x10]!`` before it, ``[sp], #0x10`` behind it."""
    inside, _, behind = memory.partition("]")
    base, _, offset = inside[1:].partition(", ")
    moved = offset if behind == "!" else behind.lstrip(", ")
    return full(base), int(moved[1:], 0) if moved.startswith("#") else 0


def may_set(name: str, operands: str, register: str) -> bool:
    """Whether an instruction may write a register, by its text alone: True in doubt."""
    if name in WRITES_NOTHING:
        return False
    if name == JUNK:
        return True
    if name in CALLS:
        return register not in PRESERVED
    if name.startswith(IMPLIED):
        return register in {"x0", "x16", "x17", "x30"} or register[1:] in operands
    outside, bracket, memory = operands.rpartition("[")
    inside, _, behind = memory.partition("]")
    if bracket and behind and full(inside.partition(",")[0]) == register:
        return True  # the address is moved
    names = [full(each) for each in (outside if bracket else operands).rstrip(", ").split(", ")]
    if name.startswith("st") and "x" not in name:
        return False
    return register in (names if name.startswith(_SET_ALL) else names[:1])


def keeps(instructions: Instructions, at: int, location: Location) -> bool:
    """See `Machine.keeps`."""
    name = instructions.names[at]
    if isinstance(location, int):
        return not name.startswith(STORES) and name != JUNK
    return not may_set(name, instructions.operands(at), location)


def sources(step: Step, location: Location) -> tuple[Source, ...] | None:
    """See `Machine.sources`."""
    return stored(step, location) if isinstance(location, int) else written(step, location)


def _place(memory: Memory, step: Step) -> int | None:
    """The stack slot of a memory operand; None if it is none that we know."""
    base = full(memory.base)
    if memory.indexed or base not in step.frame():
        return None
    return step.frame()[base] + memory.displacement


def _accessed(detail: Detail) -> tuple[list[Register], Memory | None]:
    """The registers and the memory of a load or store; a displacement behind it does not count for its address."""
    registers = [operand for operand in detail.operands if isinstance(operand, Register)]
    return registers, next((operand for operand in detail.operands if isinstance(operand, Memory)), None)


def stored(step: Step, slot: int) -> tuple[Source, ...] | None:
    """`sources` of a stack slot."""
    mnemonic = step.instruction.mnemonic
    if mnemonic != JUNK and not mnemonic.startswith(STORES):
        return None
    detail = step.detail()
    if detail is None:
        return (_NOT_KNOWN,)
    registers, memory = _accessed(detail)
    start = None if memory is None or mnemonic.startswith(_THROUGH_REGISTERS) else _place(memory, step)
    if start is None:
        return step.through_pointer(slot)
    return _stored_at(mnemonic, registers, start, slot)


def _stored_at(mnemonic: str, registers: Iterable[Register], start: int, slot: int) -> tuple[Source, ...] | None:
    """What a store of registers, from one stack slot on, does to another."""
    if any(register.name.startswith(_SCALABLE) for register in registers):
        return (Unknown("on the stack, where vectors of any size are written"),)
    if mnemonic not in {"str", "stur", "stp", "stnp"}:
        size = _STORED.get(mnemonic, _MOST_STORED)
        return (Unknown(f"written by {mnemonic}"),) if start < slot + 4 and start + size > slot else None
    for register in registers:
        size = _size(register.name)
        if start == slot and size in {4, 8}:
            return (_register(register.name),)
        if start < slot + 4 and start + size > slot:
            return (Unknown("set in parts of the stack slot"),)
        start += size
    return None


_NOT_KNOWN = Unknown("set by bytes that are no instruction, or one that is not known here")


def _size(name: str) -> int:
    """Bytes of a register by the letter of its name; vector and 128-bit ones count 16."""
    return {"w": 4, "s": 4, "h": 2, "b": 1, "q": 16, "v": 16}.get(name[:1], 8)


def _register(name: str) -> Source:
    """What a register holds before the instruction."""
    if name in {"wzr", "xzr"}:
        return Constant(0)
    whole = full(name)
    if whole != "sp" and not whole.startswith("x"):
        return Unknown("set by vectors")
    return Moved(whole, (_LOW_32,) if name.startswith("w") else ())


def written(step: Step, register: str) -> tuple[Source, ...] | None:
    """`sources` of a register."""
    mnemonic, operands = step.instruction.mnemonic, step.instruction.operands
    if mnemonic == "svc":
        return (Unknown("the result of a system call"),) if register == "x0" else None
    if mnemonic == JUNK:
        return (_NOT_KNOWN,)
    if mnemonic in WRITES_NOTHING or (register not in {"x29", "x30"} and register[1:] not in operands):
        return None
    detail = step.detail()
    if detail is None or register not in _touched(detail):
        return None
    first = detail.operands[0] if detail.operands else None
    if mnemonic.startswith("ld"):
        return (_loaded(detail, step, register),)
    if not isinstance(first, Register) or full(first.name) != register:
        return (Unknown(f"written by {mnemonic}"),)
    found = _assigned(detail, register)
    return tuple(then(source, _LOW_32) for source in found) if first.name.startswith("w") else found


def _touched(detail: Detail) -> set[str]:
    """Registers that an instruction writes.

    Whatever capstone says, what is no store counts as writing its first operand, and atomic memory operations as
    writing all of theirs.
    """
    names = set(detail.writes())
    registers = [operand.name for operand in detail.operands if isinstance(operand, Register)]
    if detail.mnemonic.startswith(_SET_ALL):
        names.update(registers)
    elif not detail.mnemonic.startswith(("st", "msr")):
        names.update(registers[:1])
    return {full(name) for name in names}


def _loaded(detail: Detail, step: Step, register: str) -> Source:
    """A load: from a stack slot, or from constant memory."""
    mnemonic = detail.mnemonic
    registers, memory = _accessed(detail)
    if memory is None:
        literal = detail.operands[-1]
        size = _size(registers[0].name) if registers else 0
        if mnemonic == "ldr" and isinstance(literal, Immediate):
            value = step.constant(literal.value, size)
            return Unknown(f"read from memory at {literal.value:#x}") if value is None else Constant(value)
        return Unknown(f"written by {mnemonic}")
    slot = _place(memory, step)
    if slot is None:
        return Unknown("read from memory through a pointer")
    at = next((at for at, each in enumerate(registers) if full(each.name) == register), None)
    if at is None:
        return Unknown(f"moved by {mnemonic}")
    name = registers[at].name
    if mnemonic in {"ldp", "ldnp"}:
        return Moved(slot + at * _size(name), (_LOW_32,) if name.startswith("w") else ())
    if at:
        return Unknown(f"written by {mnemonic}")
    if mnemonic in _SIGNED_LOAD_BITS:
        return Moved(slot, (Operation("sign-extend", _SIGNED_LOAD_BITS[mnemonic]),))
    if mnemonic not in _LOAD_BITS:
        return Unknown(f"written by {mnemonic}")
    bits = _LOAD_BITS[mnemonic] or 8 * _size(name)
    return Moved(slot, () if bits == 64 else (Operation("and", (1 << bits) - 1),))


def _assigned(detail: Detail, register: str) -> tuple[Source, ...]:
    """The first operand's new value from the others."""
    mnemonic, rest = detail.mnemonic, detail.operands[1:]
    if mnemonic in {"cset", "csetm"}:
        return Constant(0), Constant(1 if mnemonic == "cset" else MASK)
    if not detail.plain or not rest:
        return (Unknown(f"computed by {mnemonic}"),)
    first = _value(rest[0])
    if mnemonic in {"mov", "movz", "adr", "adrp"}:
        return (first,)
    if mnemonic == "movn":
        return (then(first, _ON_ONE["mvn"]),)
    if mnemonic == "movk" and isinstance(rest[0], Immediate):
        others = ~(0xFFFF << rest[0].shift) & MASK
        return (Moved(register, (Operation("and", others), Operation("or", rest[0].value))),)
    if mnemonic in _ON_ONE:
        return (then(first, _ON_ONE[mnemonic]),)
    if mnemonic in _FIELDS and all(isinstance(each, Immediate) for each in rest[1:]) and len(rest) == 3:
        return (then(first, *_field(mnemonic, *(each.value for each in rest[1:] if isinstance(each, Immediate)))),)
    if mnemonic in _CONDITIONAL:
        return first, then(_value(rest[-1]), *_CONDITIONAL[mnemonic])
    return (_computed(mnemonic, rest),)


def _field(mnemonic: str, lowest: int, width: int) -> tuple[Operation, ...]:
    """What takes some bits of a number, from the ``lowest`` one on."""
    taken = Operation("and", (1 << width) - 1) if mnemonic == "ubfx" else Operation("sign-extend", width)
    return Operation("shift-right", lowest), taken


def _computed(mnemonic: str, rest: tuple[Operand, ...]) -> Source:
    """Arithmetic with a constant; flags set on the way do not matter."""
    if len(rest) == 2 and isinstance(rest[1], Immediate):
        amount, stem = rest[1].value, mnemonic if mnemonic in _ARITHMETIC else mnemonic.removesuffix("s")
        if stem in {"add", "sub"}:
            return then(_value(rest[0]), Operation("add", amount if stem == "add" else -amount))
        if stem in _ARITHMETIC:
            return then(_value(rest[0]), Operation(_ARITHMETIC[stem], amount))
    return Unknown(f"computed by {mnemonic}")


def _value(operand: Operand) -> Source:
    if isinstance(operand, Immediate):
        return Constant(operand.value & MASK)
    return _register(operand.name) if isinstance(operand, Register) else Unknown("read from memory")
