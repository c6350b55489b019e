"""x86-64: the addresses that instructions name, and what is done with one that a register holds."""

import re
from collections.abc import Iterable

from binsafe.syscalls.decoding.decode import Instruction, Instructions
from binsafe.syscalls.decoding.operands import Memory, Register, from_text
from binsafe.syscalls.machines import x86_64_values as values
from binsafe.syscalls.machines.machine import Use
from binsafe.syscalls.machines.x86_64_registers import REGISTERS, general

_RIP_RELATIVE = re.compile(r"\[rip ([+-]) (0x[0-9a-f]+|\d+)\]")
_BASE = re.compile(r"\[(r\w+) [+-] (?:0x)?[0-9a-f]+\]")
_LOADS = frozenset({"lea", "mov", "movabs", "movzx", "movsx", "movsxd"})
_COUNTS = frozenset(
    {"movd", "movq", "movmskps", "movmskpd", "pmovmskb", "vmovd", "vmovq", "vpmovmskb", "tzcnt", "lzcnt", "popcnt"}
)
"""What else gives a register a value of its own, of what code that looks for bytes is made."""
_KEEPS = values.COMPARES | {"push", "pop", "call", "jmp"}
_PUSHED = "qword ptr [rsp]"
"""Stands for the register that was pushed last, while that is so."""
_CHANGES_HALF = frozenset({"add", "sub", "and", "or", "xor", "shl", "shr", "sar", "inc", "dec", "not"})
"""What makes another value of half of a register, and clears the other half."""
_SUBTRACTS = frozenset({"sub", "neg"})
"""What makes a distance of addresses, from which they can be made again: that fits into half of a register."""
_CHANGES_PUSHED = frozenset({"add", "sub", "inc", "dec", "xor"})
_BY_KERNEL = frozenset({"rcx", "r11"})
"""What ``syscall`` puts the address behind it and the flags into (SDM volume 2)."""
_PAIRED = frozenset({"cmpxchg8b", "cmpxchg16b"})
_PAIR = frozenset({"rbx", "rcx"})
"""What ``cmpxchg16b`` stores without naming it (SDM volume 2); ``cmpxchg8b``, their lower halves."""
_HALF, _WHOLE = 32, 64
_IN_MEMORY = re.compile(r"\[[^]]*\]")
_ADDRESSES = frozenset({"lea", "call", "jmp"})
"""What uses an address in brackets for more than to read or write there."""
_LEADS = values.BRANCHES | {"jmp", "call"}
_ENDINGS = {f"r{letter}x": (f"{letter}x", f"{letter}l", f"{letter}h") for letter in "abcd"}
_LOW_HALVES = {"rax": "eax", "rbx": "ebx", "rcx": "ecx", "rdx": "edx", "rsi": "esi", "rdi": "edi", "rbp": "ebp"}


def named(instructions: Instructions, at: int, straight: int) -> tuple[int, ...]:  # noqa: ARG001 - the whole address
    """See `Machine.named`: what an instruction counts from its own address."""
    return tuple(relative([instructions[at]]))


def relative(instructions: Iterable[Instruction]) -> list[int]:
    """The addresses that instructions name by their distance from the next one, ascending, each once."""
    found = ((i, _RIP_RELATIVE.search(i.operands)) for i in instructions)
    return sorted({i.address + i.size + int(match[1] + match[2], 16) for i, match in found if match is not None})


def takes(instructions: Instructions, at: int) -> str | None:
    """The register of ``lea``, or of a load from where the global offset table holds an address.

    And of ``mov`` of a constant, as programs at fixed addresses have it, and ``movabs``, as the large code model does
    it: to the distance of a function it adds the address from which it counts.
    """
    register, _, source = instructions.operands(at).partition(", ")
    name = instructions.names[at]
    if name == "mov" and source.startswith("0x"):
        return general(register)[0]
    loads = name == "mov" and source.startswith("qword ptr [rip")
    return register if loads or name in {"lea", "movabs"} else None


def spellings(register: str) -> tuple[str, ...]:
    """See `Machine.spellings`: all names of it, of which ``eax`` and ``rax`` end alike."""
    if register not in REGISTERS:
        return ()
    names = (register,) if register[1:2].isdigit() else _ENDINGS.get(register, (register[1:],))
    return (*names, *(["syscall"] if register in _BY_KERNEL else ()), *(["cmpxchg"] if register in _PAIR else ()))


def use(instructions: Instructions, at: int, register: str, taking: int, *, wide: bool) -> Use:
    """See `Machine.use`."""
    name, operands = instructions.names[at], instructions.operands(at)
    if register == _PUSHED:
        return Use.FILLED if name in {"push", "pop"} or operands.startswith("rsp, ") else Use.NONE
    if name == "syscall" and register in _BY_KERNEL:
        return Use.FILLED
    if name in _PAIRED and register in _PAIR:
        return Use.OTHER
    completes = instructions.names[taking] == "movabs" and _adds(name, operands, register)
    if completes or name in values.COMPARES:
        return Use.NONE
    return _written(name, operands, register, wide=wide) or _read(name, operands, register, wide=wide)


def _written(name: str, operands: str, register: str, *, wide: bool) -> Use | None:
    """What is overwritten of a register; None for nothing."""
    first = operands.partition(", ")[0]
    full, bits = general(first)
    changed = wide and name in _CHANGES_HALF and first == _low_half(register) and not _subtracts(name, operands)
    if changed or (name == "pop" and operands == register) or _fills(name, operands, register):
        return Use.FILLED
    return Use.PART if full == register and bits < _HALF and name != "push" else None


def _read(name: str, operands: str, register: str, *, wide: bool) -> Use:
    """Whether an address is used, be it to read or write memory there."""
    halves = not wide or _subtracts(name, operands)
    if not _mentions(operands, register, halves=halves):
        return Use.NONE
    elsewhere = name in _ADDRESSES or _mentions(_IN_MEMORY.sub("", operands), register, halves=halves)
    return Use.OTHER if elsewhere else Use.ACCESS


def _subtracts(name: str, operands: str) -> bool:
    """Whether an instruction subtracts what is not a number that it says itself."""
    return name in _SUBTRACTS and not operands.partition(", ")[2].lstrip("-")[:1].isdigit()


def adds(instructions: Instructions, at: int, register: str) -> bool:
    """See `Machine.adds`."""
    name, (first, _, second) = instructions.names[at], instructions.operands(at).partition(", ")
    if register == _PUSHED:
        return first == register and name in _CHANGES_PUSHED
    if name == "lea":
        terms = [each for each in second.strip("[]").replace(" - ", " + ").split(" + ") if not each[:1].isdigit()]
        return len(terms) > 1 and _mentions(second, register)
    if name == "add" and _mentions(second, register):
        return first != second
    constant = second.lstrip("-")[:1].isdigit()
    if name == "sub" and _counts(instructions, at, first):
        return False
    return name in {"add", "sub"} and first == register and not constant and first != second


def _counts(instructions: Instructions, at: int, register: str) -> bool:
    """Whether a distance from a named address becomes a number of pointers.

    LLD has an empty table begin and end where code begins.
    """
    following = at + 1 if at + 1 < len(instructions) else at
    subtracted = instructions.operands(at).partition(", ")[2]
    if instructions.names[following] != "sar" or instructions.operands(following) != f"{register}, 3":
        return False
    names, before = instructions.names, range(at - 1, -1, -1)
    ends = (b for b in before if names[b] in _LEADS or not values.keeps(instructions, b, subtracted))
    setting = next(ends, at)
    named = instructions.operands(setting).startswith(f"{subtracted}, [rip ")
    return names[setting] == "lea" and named


def sum_with(instructions: Instructions, at: int, register: str) -> tuple[str, int] | None:
    """See `Machine.sum_with`: ``lea``, and ``add`` of something to the register or of the register to another one."""
    name, operands = instructions.names[at], from_text(instructions.operands(at))
    if name not in {"lea", "add"} or not isinstance(to := operands[0], Register) or general(to.name)[1] != _WHOLE:
        return None
    if name == "add":
        return (to.name, 0) if register == to.name or operands[1] == Register(register) else None
    memory = operands[1]
    if not isinstance(memory, Memory) or (memory.base, memory.indexed).count(register) != 1:
        return None
    once = memory.base == register or memory.scale == 1
    return (to.name, memory.displacement) if once else None


def adds_to_loaded(instructions: Instructions, at: int, straight: int) -> bool:
    """See `Machine.adds_to_loaded`."""
    base = _BASE.search(instructions.operands(at))
    if base is None:
        return False
    setting = (each for each in range(at - 1, straight - 1, -1) if not values.keeps(instructions, each, base[1]))
    loading = next(setting, None)
    if loading is None or instructions.names[loading] != "mov":
        return False
    return instructions.operands(loading).startswith(f"{base[1]}, qword ptr [r")


def copied(instructions: Instructions, at: int, register: str) -> str | None:
    """See `Machine.copied`."""
    name, operands = instructions.names[at], instructions.operands(at)
    if name in {"push", "pop"}:
        of_pushed = register == _PUSHED
        return operands if of_pushed and name == "pop" else _PUSHED if name == "push" and operands == register else None
    to, _, source = operands.partition(", ")
    return to if name == "mov" and source == register and to in REGISTERS else None


def changes(instructions: Instructions, at: int, register: str) -> bool:
    """See `Machine.changes`."""
    name, operands = instructions.names[at], instructions.operands(at)
    first, _, rest = operands.partition(", ")
    if first != register or name in _KEEPS:
        return False
    return name not in _LOADS or _mentions(rest, register)


def _adds(mnemonic: str, operands: str, register: str) -> bool:
    """``add rax, r15`` or ``lea rax, [r15 + rax]``."""
    first, _, second = operands.partition(", ")
    return first == register and (mnemonic == "add" or (mnemonic == "lea" and _mentions(second, register)))


def _fills(mnemonic: str, operands: str, register: str) -> bool:
    """Whether an instruction gives the whole register a new value that does not come from the old one."""
    first, _, rest = operands.partition(", ")
    whole = first in (register, _low_half(register))  # 32 bits clear the others
    new = mnemonic in _LOADS or mnemonic in _COUNTS or (mnemonic == "imul" and ", " in rest)
    return whole and ((new and not _mentions(rest, register)) or (mnemonic == "xor" and first == rest))


def _low_half(register: str) -> str:
    return _LOW_HALVES.get(register, f"{register}d")


def _mentions(operands: str, register: str, *, halves: bool = True) -> bool:
    """Whether the register is named, or with ``halves`` its low half; its last bytes alone are no address."""
    words = operands.replace("[", " ").replace("]", " ").replace(",", " ").replace("*", " ").split()
    return register in words or (halves and _low_half(register) in words)
