"""AArch64: the addresses that instructions compute from their own, a page first and then the rest."""

import re

from binsafe.syscalls.decoding.decode import JUNK, Instructions
from binsafe.syscalls.machines import arm64_values as values
from binsafe.syscalls.machines.machine import Use

CONSTANT_SUM = re.compile(r"x\d+, (?P<page>x\d+), #(?P<offset>0x[0-9a-f]+|\d+)")
_COMPARE = frozenset({"cmp", "cmn", "ccmp", "ccmn", "tst"})
_ALWAYS_NAMED = frozenset(f"x{number}" for number in range(1, 29)) - {"x16", "x17"}
_REGISTER = re.compile(r"\b[wx]\d+")
_SLOT = re.compile(r"\[sp(?:, #(?P<at>-?\w+))?\]")
_STORED = {"x": 8, "d": 8, "q": 16}
"""Bytes that are stored of a register, by the first letter of its name."""
_ACCESS = re.compile(r".*, \[(?P<page>x\d+)(?:, #(?P<offset>0x[0-9a-f]+|\d+))?\]")


def page(instructions: Instructions, at: int) -> tuple[str, int] | None:
    """See `Machine.page`."""
    register, _, address = instructions.operands(at).partition(", #")
    return (register, int(address, 0)) if instructions.names[at] == "adrp" else None


def distances(instructions: Instructions, at: int, register: str) -> tuple[int, ...] | None:
    """See `Machine.distances`. Of an access the word behind it counts, too: some are of two."""
    name, operands = instructions.names[at], instructions.operands(at)
    named = register[1:] in operands or (register == "x30" and not operands)
    if name == "bl" or not named:
        return ()
    if name in values.COMPUTED_JUMPS | values.CALLS | values.RETURNS:
        return (0,)
    if name.startswith(values.CHANGES):
        return None
    added = CONSTANT_SUM.fullmatch(operands) if name == "add" else None
    if added is not None and added["page"] == register:
        return (int(added["offset"], 0),)
    accessed = _ACCESS.fullmatch(operands) if name.startswith(("ld", "st")) else None
    if accessed is not None and accessed["page"] == register:
        distance = int(accessed["offset"] or "0", 0)
        stored = name.startswith("st") and _mentions(operands.partition("[")[0], register)
        return None if stored else (distance, distance + 8)
    read = operands if name.startswith("st") else operands.partition("[" if name.startswith("ld") else ", ")[2]
    return None if _mentions(read, register) else ()


def takes(instructions: Instructions, at: int) -> str | None:
    """See `Machine.takes`: of ``bl`` the register that holds where it returns to."""
    name, operands = instructions.names[at], instructions.operands(at)
    completes = name in {"adr", "movz", "movk"} or (name == "add" and CONSTANT_SUM.fullmatch(operands))
    completes = completes or (name in {"mov", "ldr"} and ", #" in operands and "[" not in operands)
    return "x30" if name == "bl" else values.full(operands.partition(", ")[0]) if completes else None


def spellings(register: str) -> tuple[str, ...]:
    """See `Machine.spellings`: its number, and bytes that may be anything.

    Some registers are set without being named (`arm64_values.may_set`).
    """
    return (register[1:], JUNK) if register in _ALWAYS_NAMED else ()


def use(instructions: Instructions, at: int, register: str, taking: int, *, wide: bool) -> Use:  # noqa: ARG001 - as follows
    """See `Machine.use`: what mentions it uses it, whatever took it."""
    name, operands = instructions.names[at], instructions.operands(at)
    if register.startswith("["):
        return Use.FILLED if _is_stored_to(name, operands, register) else Use.NONE
    if name in _COMPARE or name == "bl":
        return Use.NONE
    if distances(instructions, at, register) != ():
        return Use.OTHER
    return Use.FILLED if values.may_set(name, operands, register) else Use.NONE


def adds(instructions: Instructions, at: int, register: str) -> bool:
    """See `Machine.adds`."""
    name, (_, _, added) = instructions.names[at], instructions.operands(at).partition(", ")
    first, _, second = added.partition(", ")
    takes = (first == register and not _mentions(second, register)) or (
        name == "add" and second in {register, f"{register}, sxtx", f"{register}, uxtx"}
    )
    return name in {"add", "sub"} and takes and not second.startswith("#")


def sum_with(instructions: Instructions, at: int, register: str) -> None:
    """See `Machine.sum_with`: no instruction adds a constant and a register."""


def adds_to_loaded(instructions: Instructions, at: int, straight: int) -> bool:  # noqa: ARG001 - never
    """See `Machine.adds_to_loaded`: no instruction holds a whole address."""
    return False


def copied(instructions: Instructions, at: int, register: str) -> str | None:
    """See `Machine.copied`; what is stored to the stack goes by the operand that loads it again."""
    name, (first, _, rest) = instructions.names[at], instructions.operands(at).partition(", ")
    if name == "mov" and rest == register:
        return first
    if name in {"str", "stur"} and first == register and rest.startswith("[sp"):
        return "[sp]" if rest.endswith("!") else rest
    return first if name in {"ldr", "ldur"} and rest.partition("]")[0] + "]" == register else None


def _is_stored_to(name: str, operands: str, slot: str) -> bool:
    """Whether an instruction writes all of a stack slot, and leaves the stack pointer alone."""
    stored, _, begin = operands.partition(", [")
    written, asked = _SLOT.fullmatch(f"[{begin}"), _SLOT.fullmatch(slot)
    size = _STORED.get(stored[:1], 0) * len(stored.split(", "))
    if name not in {"str", "stur", "stp"} or written is None or asked is None:
        return False
    distance = int(asked["at"] or "0", 0) - int(written["at"] or "0", 0)
    return 0 <= distance <= size - 8


def changes(instructions: Instructions, at: int, register: str) -> bool:
    """See `Machine.changes`."""
    name, (first, _, rest) = instructions.names[at], instructions.operands(at).partition(", ")
    written = name not in values.CALLS and values.may_set(name, instructions.operands(at), register)
    return written and not name.startswith(("ld", "st")) and (first != register or _mentions(rest, register))


def _mentions(operands: str, register: str) -> bool:
    return register in map(values.full, _REGISTER.findall(operands))


def named(instructions: Instructions, at: int, straight: int) -> tuple[int, ...]:
    """See `Machine.named`."""
    name, operands = instructions.names[at], instructions.operands(at)
    accessed = None if name == "add" else _ACCESS.fullmatch(operands)
    if accessed is None:
        return tuple(_given(instructions, at, straight))
    starts = _pages(instructions, at, straight, accessed["page"])
    return tuple(start + int(accessed["offset"] or "0", 0) for start in starts)


def _given(instructions: Instructions, at: int, straight: int) -> list[int]:
    """The address that an instruction computes, where that is a constant."""
    name, operands = instructions.names[at], instructions.operands(at)
    if name in {"adr", "adrp"}:
        return [int(operands.rpartition("#")[2], 0)]
    found = CONSTANT_SUM.fullmatch(operands) if name == "add" else None
    if found is None:
        return []
    return [start + int(found["offset"], 0) for start in _pages(instructions, at, straight, found["page"])]


def _pages(instructions: Instructions, before: int, straight: int, register: str) -> list[int]:
    """The page that a register holds; all that the function gives it where what is on the only way gives none.

    Or an address that is completed before, as Go's assembler does for a load that needs no offset.
    """
    setting = setting_of(instructions, before, straight, register)
    if setting is not None and (given := _given(instructions, setting, straight)):
        return given
    settings = instructions.by_first_operand("adrp").get(register, ()) if setting is None else [setting]
    found = (page(instructions, each) for each in settings)
    return sorted({each[1] for each in found if each is not None})


def setting_of(instructions: Instructions, before: int, straight: int, register: str) -> int | None:
    """The last instruction before another one, from ``straight`` on, that may set a register."""
    for at in range(before - 1, straight - 1, -1):
        if values.may_set(instructions.names[at], instructions.operands(at), register):
            return at
    return None
