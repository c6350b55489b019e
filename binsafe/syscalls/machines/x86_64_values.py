"""x86-64 data flow: where the value of a register or stack slot comes from, instruction by instruction."""

# ruff: noqa: PLR0911 - an instruction set is a list of cases

from functools import cache

from binsafe.syscalls.decoding.decode import Detail, Immediate, Instructions, Memory, Operand, Register
from binsafe.syscalls.machines.arithmetic import MASK, Operation
from binsafe.syscalls.machines.machine import Constant, Location, Moved, Source, Step, Unknown, then
from binsafe.syscalls.machines.x86_64_pushes import PUSHES, moves_eight_bytes
from binsafe.syscalls.machines.x86_64_registers import REGISTERS, general

_CONDITIONS = ("a", "ae", "b", "be", "e", "g", "ge", "l", "le", "ne", "no", "np", "ns", "o", "p", "s")
BRANCHES = frozenset(f"j{c}" for c in _CONDITIONS) | {"jrcxz", "jecxz", "loop", "loope", "loopne"}
COMPARES = frozenset({"cmp", "test", "bt"})
_READS = "call jmp nop mul div imul idiv fld fild fldcw ldmxcsr ucomiss ucomisd comiss comisd prefetcht0 prefetchnta"
ONLY_READS = COMPARES | frozenset(_READS.split())
"""Instructions that do not write their first operand. Capstone is wrong about this for stores of SSE. An instruction
that is missing here counts as writing it, which at worst makes a number unknown."""
_FIRST_OPERAND = "mov movabs movzx movsx movsxd lea add sub and or xor adc sbb shl sal shr sar inc dec neg not bswap"
_VECTORS = "movaps movups movdqa movdqu movd movq pxor xorps punpckldq punpcklqdq"
_FIRST_OPERAND_ONLY = frozenset(f"{_FIRST_OPERAND} {_VECTORS}".split()) | {
    f"{stem}{c}" for stem in ("cmov", "set") for c in _CONDITIONS
}
_WRITES_NOTHING = (BRANCHES - {"loop", "loope", "loopne"}) | COMPARES | {"jmp", "nop", "push", "endbr64", "call"}
_SITE = "syscall"
_IMPLIED_WRITES = {
    _SITE: ("rax", "rcx", "r11"),
    "cmpxchg": ("rax",),
    "xadd": ("rax",),
    "xbegin": ("rax",),
    "xlatb": ("rax",),
    "rdpkru": ("rax", "rdx"),
    "enclu": ("rax", "rcx"),
    "enter": ("rbp", "rsp"),
}
"""Implicitly written registers that capstone leaves out, ``lock`` or not; for a site it is not even asked."""
_ON_BITS = frozenset({"bts", "btr", "btc"})
_HIDDEN_STORES = frozenset({"maskmovdqu", "maskmovq", "vmaskmovdqu", "movdir64b", "clzero"})
"""Instructions that write where a register points to and have no brackets around it."""
_POINTERS = frozenset({"rsp", "rbp"})
"""Registers of which frames tell: to ask of others would have the frames of a whole function found out."""
_SHIFTS = frozenset({"shl", "sal", "shr"})
_ARITHMETIC = {"add": "add", "and": "and", "or": "or", "xor": "xor", "shl": "shift-left", "sal": "shift-left"}
_WITH_CARRY = {"adc": 1, "sbb": -1}
_NO_INSTRUCTION = (Unknown("set by bytes that are no instruction"),)
_ALONE = {
    "inc": Operation("add", 1),
    "dec": Operation("add", -1),
    "neg": Operation("negate", 0),
    "not": Operation("xor", MASK),
}


def keeps(instructions: Instructions, at: int, location: Location) -> bool:
    """See `Machine.keeps`."""
    name = instructions.names[at]
    if isinstance(location, int):
        if name in PUSHES or name in _HIDDEN_STORES:
            return False
        return name in ONLY_READS or "[" not in instructions.operands(at).partition(",")[0]
    if name in _WRITES_NOTHING:
        return True
    return name in _FIRST_OPERAND_ONLY and _register(instructions.operands(at)) != location


def sources(step: Step, location: Location) -> tuple[Source, ...] | None:
    """See `Machine.sources`."""
    return stored(step, location) if isinstance(location, int) else written(step, location)


def _register(operands: str) -> str:
    """The full name of the general register that is the first operand; empty where none is."""
    return general(operands.partition(",")[0])[0]


def stored(step: Step, slot: int) -> tuple[Source, ...] | None:
    """`sources` of a stack slot."""
    mnemonic, operands = step.instruction.mnemonic, step.instruction.operands
    if mnemonic in PUSHES:
        return _pushed(step, slot)
    if mnemonic in _HIDDEN_STORES:
        return step.through_pointer(slot)
    if "[" not in operands.partition(",")[0] or mnemonic in ONLY_READS:
        return None
    detail = step.detail()
    if detail is None:
        return _NO_INSTRUCTION
    first = detail.operands[0]
    if not isinstance(first, Memory) or first.base == "rip":
        return None
    if first.base not in step.frame() or first.indexed:
        return step.through_pointer(slot)
    return _stored_at(detail, first, step, slot)


def _stored_at(detail: Detail, first: Memory, step: Step, slot: int) -> tuple[Source, ...] | None:
    """What a store to a stack slot, the first operand, does to another."""
    mnemonic = step.instruction.mnemonic
    if _reaches_beyond(detail):
        return (Unknown(f"on the stack, where {mnemonic} may reach"),)
    start = step.frame()[first.base] + first.displacement
    if mnemonic == "pop" and first.base == "rsp":
        start += 8  # the address is computed when it has moved (SDM volume 2, POP)
    if start >= slot + 4 or start + first.size <= slot:
        return None
    if start != slot or first.size < 4:
        return (Unknown("set in parts of the stack slot"),)
    return _assigned(detail, slot, first.size * 8, step)


def _reaches_beyond(detail: Detail) -> bool:
    """Whether more memory may be written than the text says: any bit that a register counts, or 108 bytes of state."""
    name, last = detail.mnemonic.rpartition(" ")[2], detail.operands[-1]
    return name == "fnsave" or (name in _ON_BITS and isinstance(last, Register))


def _pushed(step: Step, slot: int) -> tuple[Source, ...] | None:
    """`sources` of a stack slot for a push; None where the stack pointer's value is not known."""
    stack = step.frame().get("rsp")
    if stack is None or not slot < stack < slot + 12:
        return None
    if stack - 8 != slot or not moves_eight_bytes(step.instruction):
        return (Unknown("set in parts of the stack slot"),)
    detail = step.detail()
    if detail is None:
        return _NO_INSTRUCTION
    return (_read(detail.operands[0], detail, step) if detail.operands else Unknown("what the flags are"),)


def written(step: Step, register: str) -> tuple[Source, ...] | None:
    """`sources` of a register."""
    mnemonic = step.instruction.mnemonic
    if mnemonic in _WRITES_NOTHING:
        return None
    if mnemonic == "cdqe":
        return (Moved("rax", (Operation("sign-extend", 32),)),) if register == "rax" else None
    first_only = mnemonic in _FIRST_OPERAND_ONLY
    if first_only and _register(step.instruction.operands) != register:
        return None
    detail = step.detail()
    if detail is None:
        return _NO_INSTRUCTION
    if not first_only and register not in _touched(mnemonic.rpartition(" ")[2], detail):
        return None
    if not detail.operands:
        return (Unknown(f"a result of {mnemonic}"),)
    first = detail.operands[0]
    if not isinstance(first, Register) or general(first.name)[0] != register:
        return _exchanged(detail)
    return _assigned(detail, register, general(first.name)[1], step)


def _touched(mnemonic: str, detail: Detail) -> set[str]:
    """Registers that an instruction writes, by their full names."""
    names = set() if mnemonic == _SITE else set(detail.writes())
    first = detail.operands[0] if detail.operands else None
    if isinstance(first, Register) and (mnemonic not in ONLY_READS or mnemonic == "imul"):
        names.add(first.name)
    return {REGISTERS[name][0] for name in names if name in REGISTERS}.union(_IMPLIED_WRITES.get(mnemonic, ()))


def _exchanged(detail: Detail) -> tuple[Source, ...]:
    """A register that is written although it is not the first operand."""
    if detail.mnemonic == "xchg" and isinstance(first := detail.operands[0], Register):
        full, bits = general(first.name)
        if bits >= 32:
            return (Moved(full, _truncation(bits)),)
    return (Unknown(f"a result of {detail.mnemonic}"),)


def _assigned(detail: Detail, location: Location, bits: int, step: Step) -> tuple[Source, ...]:
    """The new value of the first operand, which is ``location`` and ``bits`` wide."""
    mnemonic, second = detail.mnemonic, detail.operands[1] if len(detail.operands) > 1 else None
    if mnemonic in {"mov", "movabs", "movzx"} and second is not None:
        return _merged(location, bits, _read(second, detail, step))
    if mnemonic in {"movsx", "movsxd"} and second is not None:
        return _merged(location, bits, then(_read(second, detail, step), Operation("sign-extend", _width(second))))
    if mnemonic == "pop" and "rsp" in step.frame():
        return _merged(location, bits, Moved(step.frame()["rsp"]))
    if mnemonic == "lea" and isinstance(second, Memory):
        return _merged(location, bits, _address(second, detail))
    if mnemonic.startswith("cmov") and second is not None:
        return *_unchanged(location, bits), *_merged(location, bits, _read(second, detail, step))
    if mnemonic.startswith("set"):
        return (*_merged(location, bits, Constant(0)), *_merged(location, bits, Constant(1)))
    if mnemonic == "xchg" and isinstance(second, Register):
        return _merged(location, bits, _read(second, detail, step))
    return _computed(mnemonic, location, bits, second)


def _computed(mnemonic: str, location: Location, bits: int, second: Operand | None) -> tuple[Source, ...]:
    """The first operand's value after arithmetic on itself."""
    if isinstance(second, Register) and isinstance(location, str) and general(second.name) == (location, bits):
        return _with_itself(mnemonic, location, bits)
    if isinstance(second, Immediate):
        return _with_constant(mnemonic, location, bits, second.value)
    if second is None and mnemonic in _ALONE and bits >= 32:
        return _merged(location, bits, Moved(location, (_ALONE[mnemonic],)))
    return (Unknown(f"computed by {mnemonic}"),)


def _with_itself(mnemonic: str, location: Location, bits: int) -> tuple[Source, ...]:
    """Operations of a register with itself, as ``xor eax, eax``."""
    if mnemonic in {"xor", "sub"}:
        return _merged(location, bits, Constant(0))
    if mnemonic in {"and", "or"}:
        return _unchanged(location, bits)
    if mnemonic == "sbb" and bits >= 32:
        return Constant(0), Constant(_ones(bits))
    return (Unknown(f"computed by {mnemonic}"),)


def _with_constant(mnemonic: str, location: Location, bits: int, value: int) -> tuple[Source, ...]:
    """Arithmetic with a constant; on less than 32 bits only what leaves the others alone."""
    amount, keep = value & (bits - 1 if mnemonic in _SHIFTS else _ones(bits)), _truncation(bits)
    if bits >= 32:
        if mnemonic in _ARITHMETIC:
            return (Moved(location, (Operation(_ARITHMETIC[mnemonic], amount), *keep)),)
        if mnemonic == "sub":
            return (Moved(location, (Operation("add", -amount), *keep)),)
        if mnemonic in _WITH_CARRY:  # how compilers choose one of two numbers that follow each other
            sums = amount * _WITH_CARRY[mnemonic], (amount + 1) * _WITH_CARRY[mnemonic]
            return tuple(Moved(location, (Operation("add", each), *keep)) for each in sums)
        if mnemonic == "shr":
            return (Moved(location, (*keep, Operation("shift-right", amount))),)
    elif bits and mnemonic in {"and", "or", "xor"}:
        others = ~_ones(bits) & MASK if mnemonic == "and" else 0
        return (Moved(location, (Operation(mnemonic, amount | others),)),)
    return (Unknown(f"computed by {mnemonic}"),)


def _ones(bits: int) -> int:
    """That many ones."""
    return (1 << bits) - 1


@cache
def _truncation(bits: int) -> tuple[Operation, ...]:
    return () if bits >= 64 else (Operation("and", _ones(bits)),)


def _unchanged(location: Location, bits: int) -> tuple[Source, ...]:
    """An assignment of the low ``bits`` of what is there: 32 clear the rest of a register, fewer keep it."""
    return (Moved(location, _truncation(bits) if bits >= 32 else ()),)


def _merged(location: Location, bits: int, source: Source) -> tuple[Source, ...]:
    """An assignment of the low ``bits``, of the second byte where ``bits`` is 0; see `_unchanged` for the others."""
    if bits >= 32:
        return (then(source, *_truncation(bits)),)
    if isinstance(source, Constant):
        low, shift = (_ones(bits), 0) if bits else (0xFF, 8)
        keep, put = Operation("and", ~(low << shift) & MASK), Operation("or", (source.value & low) << shift)
        return (Moved(location, (keep, put)),)
    return (Unknown("set in parts of the register"),)


def _width(operand: Operand) -> int:
    if isinstance(operand, Register):
        return general(operand.name)[1]
    return operand.size * 8 if isinstance(operand, Memory) else 64


def _read(operand: Operand, detail: Detail, step: Step) -> Source:
    """The value of an operand before the instruction."""
    if isinstance(operand, Immediate):
        return Constant(operand.value & MASK)
    bits = _width(operand)
    if isinstance(operand, Register):
        if not bits:
            return Unknown(f"taken from {operand.name}")
        return Moved(general(operand.name)[0], _truncation(bits))
    if operand.base in _POINTERS and not operand.indexed and operand.base in step.frame():
        return Moved(step.frame()[operand.base] + operand.displacement, _truncation(bits))
    address = _address(operand, detail)
    if not isinstance(address, Constant):
        return Unknown("read from memory through a pointer")
    value = step.constant(address.value, operand.size)
    return Unknown(f"read from memory at {address.value:#x}") if value is None else Constant(value)


def _address(operand: Memory, detail: Detail) -> Source:
    """The address that a memory operand names."""
    offset = Operation("add", operand.displacement)
    if operand.base == "rip":
        return Constant(detail.end + operand.displacement)
    if operand.base and operand.indexed:
        return Unknown("computed from two values")
    for name, scale in ((operand.base, 1), (operand.indexed, operand.scale)):
        if name:
            full, bits = general(name)
            known = Moved(full, (*_truncation(bits), Operation("multiply", scale), offset))
            return known if full else Unknown(f"taken from {name}")
    return Constant(operand.displacement & MASK)
