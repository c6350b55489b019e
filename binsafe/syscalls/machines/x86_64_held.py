"""x86-64: how code puts an address of code into a register, and then into another one.

    lea rbx, [rip + label]         position-independent code
    mov ebx, label                 code at a fixed address
    call next; next: pop rbx       a call of the next instruction leaves its own return address

    mov rcx, rbx                   a copy
    push rbx; ...; pop rcx         a copy by way of the stack

All are found by their bytes. Some of those are no instructions, which costs time and does no harm: an address too many.
"""

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.machines.edges import Addresses, Edges
from binsafe.syscalls.machines.held import Held
from binsafe.syscalls.sets import firsts

LONGEST = 8
"""Bytes that are read of each instruction."""
STACK_WINDOW = 40
"""Bytes behind a ``push`` in which its ``pop`` is looked for, and what changes the pushed value."""
REX_W, REX_B = 0x48, 0x41
"""Prefixes: of 64 bits, and only of one of the registers r8 to r15 as ModRM.rm or in the opcode."""
REX_R = 4
"""The bit of a prefix for one of these as ModRM.reg."""
LEA = 0x8D
MOV_STORE, MOV_LOAD = 0x89, 0x8B
"""``mov`` from the register that ModRM.reg names, and to it."""
_MOV_IMMEDIATE, _MOV_SIGNED = 0xB8, 0xC7
"""``mov`` of a constant: four bytes that are zero-extended, or sign-extended with REX.W."""
_CALL, _CALL_SIZE = 0xE8, 5
_LEA_SIZE = 7
_PUSH, _POP = 0x50, 0x58


def calls(code: CodeRange) -> Addresses:
    """Offsets of the opcode of direct calls."""
    return np.flatnonzero(code.array() == _CALL)


def by_lea(code: CodeRange, leas: Edges) -> Held:
    """``lea`` of an address of the range; ``leas`` are all with a REX prefix that compute an address."""
    data = code.array()
    inside = (leas.targets >= code.address) & (leas.targets < code.address + len(code.data))
    at = leas.sources[inside] - code.address
    registers = ((data[at + 2] >> 3 & 7) | (data[at] & REX_R) << 1).astype(np.int64)
    return Held(at, at + _LEA_SIZE, registers, leas.targets[inside])


def by_return_address(code: CodeRange, calls: Addresses) -> Held:
    """``call`` of the next instruction, which is a ``pop``."""
    data = code.array()
    at = calls[calls < len(data) - _CALL_SIZE - 2]
    at = at[word(code, at + 1) == 0] + _CALL_SIZE
    wide = (data[at] == REX_B).astype(np.int64)
    at, wide = (each[data[at + wide] & 0xF8 == _POP] for each in (at, wide))
    return Held(at, at + 1 + wide, (data[at + wide] & 7) | wide << 3, code.address + at)


def by_constant(code: CodeRange, constants: Addresses) -> Held:
    """``mov`` of one of the range's addresses; ``constants`` are the offsets of all four bytes that are one."""
    data = code.array()
    rex, opcode, last = (data[constants - by] for by in (3, 2, 1))
    short = last & 0xF8 == _MOV_IMMEDIATE
    signed = (last & 0xF8 == 0xC0) & (opcode == _MOV_SIGNED) & (rex & 0xF8 == REX_W)
    wide = np.where(signed, rex & 1, opcode & 0xF1 == REX_B).astype(np.int64)
    chosen = short | signed
    at = constants[chosen]
    starts = at - np.where(signed, 3, 1 + wide)[chosen]
    return Held(starts, at + 4, ((last & 7) | wide << 3)[chosen], word(code, at))


def copied(data: Bytes, held: Held, which: Addresses, at: Addresses) -> Held:
    """Other registers that get the same addresses by ``mov``, at offsets ``at`` behind the ``which``-th of ``held``."""
    rex, opcode, modrm = (data[at + by].astype(np.int64) for by in range(3))
    rm, reg = modrm & 7 | (rex & 1) << 3, modrm >> 3 & 7 | (rex & REX_R) << 1
    stores = opcode == MOV_STORE
    of_held = np.where(stores, reg, rm) == held.registers[which]
    chosen = (stores | (opcode == MOV_LOAD)) & (modrm >= 0xC0) & of_held
    which, at, registers = which[chosen], at[chosen], np.where(stores, rm, reg)[chosen]
    return held.passed_on(which, at + 3, registers)


def pushes(data: Bytes, held: Held, which: Addresses, at: Addresses) -> tuple[Addresses, Addresses]:
    """Those of the offsets ``at`` behind the ``which``-th of ``held`` at which its register is pushed: (which, at)."""
    found = np.flatnonzero(data[at] == (_PUSH | held.registers & 7).astype(np.uint8)[which])
    found = found[(data[at[found] - 1] == REX_B) == (held.registers[which[found]] > 7)]
    return which[found], at[found]


def behind_pushes(data: Bytes, at: Addresses) -> Addresses:
    """For each ``push`` a row of the offsets behind it, as far as its ``pop`` is looked for."""
    places: Addresses = np.minimum(at[:, np.newaxis] + np.arange(1, STACK_WINDOW), len(data) - LONGEST)
    return places


def popped(data: Bytes, held: Held, which: Addresses, places: Addresses) -> Held:
    """The registers that get pushed addresses by the first ``pop`` in each row of ``places``."""
    row, column = np.nonzero(data[places] & 0xF8 == _POP)
    row, first = firsts(row)
    at = places[row, column[first]]
    wide = (data[at - 1] == REX_B).astype(np.int64)
    return held.passed_on(which[row], at + 1, (data[at] & 7) | wide << 3)


def constants(code: CodeRange) -> Addresses:
    """Offsets of four bytes that are an address of the range, as code at a fixed address has them."""
    at = np.flatnonzero(_words(code) - np.uint32(code.address & 0xFFFF_FFFF) < np.uint32(len(code.data)))
    first = 3  # what stands before is read, too
    return at[at >= first] if code.address <= 0xFFFF_FFFF else at[:0]


def word(code: CodeRange, at: Addresses) -> Addresses:
    """The four bytes at each offset, as unsigned numbers."""
    return _words(code)[at].astype(np.int64)


def _words(code: CodeRange) -> NDArray[np.uint32]:
    """Every four bytes, aligned or not."""
    return np.ndarray((max(0, len(code.data) - 3),), "<u4", buffer=code.data, strides=(1,))
