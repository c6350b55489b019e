"""A function whose address is put into a register only to call it from there, as LLVM does for repeated calls."""

from typing import NamedTuple

from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import Flow

_CALLED_FROM = frozenset({"rax", "r10", "r11", "rbx", "rbp", "r12", "r13", "r14", "r15"})
"""Registers that pass no argument: a call does not read them."""
_LOST_IN_CALLS = frozenset({"rax", "r10", "r11"})
_RETURNED = frozenset({"rax"})
_LOW_HALF = {"rax": "eax", "rbx": "ebx", "rbp": "ebp"}


class Uses(NamedTuple):
    """Indices of the calls and jumps through a register, and whether nothing else is done with what it holds."""

    calls: tuple[int, ...]
    nothing_else: bool


def uses(region: Region, at: int) -> Uses:
    """What is done with the address that the ``lea`` at ``at`` puts into a register, or a ``movabs`` and an addition.

    That is how the large code model does it: to the distance of a function it adds the address from which it counts.
    The value is followed forwards until the register is filled anew, over every way inside of the region.
    """
    register, _, _ = region.instructions[at].operands.partition(", ")
    added = region.instructions[at].mnemonic == "movabs"
    if not (added or region.instructions[at].mnemonic == "lea") or register not in _CALLED_FROM:
        return Uses((), nothing_else=False)
    nothing_else = True
    found: list[int] = []
    seen: set[int] = set()
    work = [at + 1]
    while work:
        here = work.pop()
        if here in seen or here >= len(region.instructions):
            continue
        seen.add(here)
        mnemonic, operands = region.instructions[here].mnemonic, region.instructions[here].operands
        flow, _ = region.flow(here)
        if flow is Flow.RETURN and register in _RETURNED:
            nothing_else = False
        if operands == register and flow in {Flow.CALL, Flow.INDIRECT}:
            found.append(here)
        elif added and _adds(mnemonic, operands, register):
            pass
        elif _mentions(operands, register):
            if mnemonic == "pop" or _fills(mnemonic, operands, register):
                continue
            nothing_else = False
        if flow is not Flow.CALL or register not in _LOST_IN_CALLS:
            work += _next(region, here)
    return Uses(tuple(found), nothing_else)


def _next(region: Region, here: int) -> list[int]:
    """Indices to which control can go on inside of the region."""
    flow, target = region.flow(here)
    found = [here + 1] if region.falls_through(here) else []
    if flow is Flow.INDIRECT:
        found += region.orphans
    elif flow is not Flow.CALL and (jumped := region.at(target)) is not None:
        found.append(jumped)
    return found


def _adds(mnemonic: str, operands: str, register: str) -> bool:
    """``add rax, r15`` or ``lea rax, [r15 + rax]``."""
    first, _, second = operands.partition(", ")
    return first == register and (mnemonic == "add" or (mnemonic == "lea" and _mentions(second, register)))


def _fills(mnemonic: str, operands: str, register: str) -> bool:
    """Whether an instruction gives the whole register a new value that does not come from the old one."""
    first, _, rest = operands.partition(", ")
    whole = first in (register, _low_half(register))  # 32 bits clear the others
    return whole and (
        (mnemonic in {"lea", "mov", "movabs", "movzx"} and not _mentions(rest, register))
        or (mnemonic == "xor" and first == rest)
    )


def _low_half(register: str) -> str:
    return _LOW_HALF.get(register, f"{register}d")


def _mentions(operands: str, register: str) -> bool:
    """Whether the register is named, or its low half; its last bytes alone are no address."""
    words = operands.replace("[", " ").replace("]", " ").replace(",", " ").replace("*", " ").split()
    return register in words or _low_half(register) in words
