"""x86-64: addresses of code that code computes from another one of its own, and return addresses that it changes.

Compilers add such constants themselves. Assembler writes ``lea rbx, [rip + label]; add rbx, 16; jmp rbx``, counts from
where a ``call`` of the next instruction says that it is, or has a function go on behind what its caller has there. Of
``add rbx, rax`` it is not seen what comes of it.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.machines.held import Held, Sums, all_of, together
from binsafe.syscalls.machines.machine import Addresses, Edges, joined
from binsafe.syscalls.sets import distinct, firsts

_AROUND = 40
"""Bytes behind an address in a register in which something is added to it, whatever stands between;"""
_FURTHEST = 100
"""as many as this if no call does, or the register is kept over calls; and all in all as often the code's size:"""
_PASSES = 2
_LONGEST = 7
_AT_ONCE = 1 << 11
"""Registers that are looked at at a time: for each some arrays of as many bytes."""
_CALL, _CALL_SIZE = 0xE8, 5
_PUSH, _POP = 0x50, 0x58
_KEPT = np.array([register in {3, 5, 12, 13, 14, 15} for register in range(16)])
_LEA, _LEA_SIZE = 0x8D, 7
_MOV, _MOV_WHOLE = 0xB8, 0xC7
_LOW = 0xFFFF_FFFF
_SIB = 4
"""Instead of this register a ModRM byte names two of them; this one as the second means none."""
_ADD_TO, _ADD_FROM, _SUB_TO, _SUB_FROM = 0x01, 0x03, 0x29, 0x2B
_MOV_TO, _MOV_FROM = 0x89, 0x8B
_ADDING = np.zeros(256, np.bool_)
_ADDING[[_ADD_TO, _ADD_FROM, _SUB_TO, _SUB_FROM, 0x81, 0x83, 0xFF]] = True
"""Opcode -> whether its instruction may add to what it names."""
_WANTED = _ADDING.copy()
_WANTED[[_LEA, _MOV_TO, _MOV_FROM]] = True
_REX_W, _REX_R, _REX_B = 0x48, 4, 0x41
_CHANGES: Mapping[bytes, int] = MappingProxyType(
    {
        bytes((_REX_W, opcode, form)): size
        for opcode, other, size in ((0x81, 0x2C, 8), (0x83, 0x2C, 5), (0xFF, 0x0C, 4))
        for form in (0x04, other)
    }
)
"""How ``add`` and ``sub``, ``inc`` and ``dec`` of what the stack pointer points to begin -> their size."""
_FORM, _OF_STACK, _TO_STACK = 3, 0x24, 0xC4
_RETURNS = (b"\xc3", b"\xc2", b"\xf3\xc3")


def sums(code: CodeRange, leas: Edges, *, fixed: bool) -> Sums:
    """The sums of a range; ``leas`` are the instructions with a prefix that compute an address.

    Where it is loaded to a ``fixed`` address instructions have such addresses as constants of four bytes, too. Which
    register is meant is compared, not what happens to it in between.
    """
    data, end = code.array(), code.address + len(code.data)
    inside = (leas.targets >= code.address) & (leas.targets < end)
    at = leas.sources[inside] - code.address
    registers = ((data[at + 2] >> 3 & 7) | (data[at] & 4) << 1).astype(np.int64)
    calls = np.flatnonzero(data == _CALL)
    ways = [Held(at, at + _LEA_SIZE, registers, leas.targets[inside]), _own_addresses(code, calls)]
    nothing = Edges(at[:0], at[:0])
    found = [Sums(nothing, nothing)]
    if fixed:
        constants = _constants(code)
        ways.append(_moved(code, constants))
        found.append(Sums(nothing, _to_constants(code, constants)))
    held = together(*ways)
    parts = (slice(first, first + _AT_ONCE) for first in range(0, len(held.starts), _AT_ONCE))
    reach = range(_AROUND, _FURTHEST if len(held.starts) * _FURTHEST < _PASSES * len(data) else _AROUND)
    found += (_near(code, held.chosen(part), calls, reach) for part in parts)
    return all_of(*found).inside(code.address, end)


def _near(code: CodeRange, held: Held, calls: Addresses, reach: range) -> Sums:
    """What is added to addresses behind where registers get them, or to copies."""
    end = len(code.data) - _LONGEST
    row, at = held.behind(calls, _KEPT, reach, end)
    pushed, on_stack = _pushed(code, held, row, at)
    found, moved = _summed(code, held, row, at)
    copies = together(moved, pushed)
    of_copies, _ = _summed(code, copies, *copies.behind(calls, _KEPT, reach, end))
    return all_of(found, of_copies, on_stack)


def _summed(code: CodeRange, held: Held, row: Addresses, at: Addresses) -> tuple[Sums, Held]:
    """Those of the instructions at some offsets that add, and other registers to which they move the same addresses."""
    data = code.array()
    wide = np.flatnonzero(data[at] & 0xF8 == _REX_W)
    wide = wide[_WANTED[data[at[wide] + 1]]]
    row, at = row[wide], at[wide]
    registers = held.registers[row]
    unknown = distinct(row[_is_added(data, at, registers)])
    moved = _moves(data, row, at, held)
    alone = data[at] & (0xFF - _REX_R) == _REX_W | registers >> 3
    row, at = row[alone], at[alone]
    known = _added(code, at, held.registers[row] & 7, held.addresses[row])
    return Sums(known, Edges(code.address + held.starts[unknown], held.addresses[unknown])), moved


def _moves(data: Bytes, row: Addresses, at: Addresses, held: Held) -> Held:
    """The registers that get by ``mov`` what others hold."""
    rex, opcode, modrm = (data[at + by].astype(np.int64) for by in range(3))
    low, high = modrm & 7 | (rex & 1) << 3, modrm >> 3 & 7 | (rex & _REX_R) << 1
    stores = opcode == _MOV_TO
    chosen = (stores | (opcode == _MOV_FROM)) & (modrm >= 0xC0) & (np.where(stores, high, low) == held.registers[row])
    row, at, registers = row[chosen], at[chosen], np.where(stores, low, high)[chosen]
    return Held(held.starts[row], at + 3, registers, held.addresses[row])


def _pushed(code: CodeRange, held: Held, row: Addresses, at: Addresses) -> tuple[Held, Sums]:
    """The registers that get addresses by ``push`` and ``pop``, and what is added to them between: `Sums.unknown`."""
    data = code.array()
    pushes = np.flatnonzero(data[at] == (_PUSH | held.registers & 7).astype(np.uint8)[row])
    pushes = pushes[(data[at[pushes] - 1] == _REX_B) == (held.registers[row[pushes]] > 7)]
    row, at = row[pushes], at[pushes]
    places = np.minimum(at[:, np.newaxis] + np.arange(1, _AROUND), len(data) - _LONGEST)
    which, column = np.nonzero(data[places] & 0xF8 == _POP)
    which, first = firsts(which)
    pops = places[which, column[first]]
    wide = (data[pops - 1] == _REX_B).astype(np.int64)
    popped = Held(held.starts[row[which]], pops + 1, (data[pops] & 7) | wide << 3, held.addresses[row[which]])
    which, column = np.nonzero(data[places] & 0xF8 == _REX_W)
    places = places[which, column]
    opcode, modrm, sib = (data[places + by] for by in range(1, 4))
    adds = _ADDING[opcode] & (modrm & 0xC7 == 0x04) & (sib == _OF_STACK)
    row = row[which[adds]]
    return popped, Sums(Edges(row[:0], row[:0]), Edges(code.address + held.starts[row], held.addresses[row]))


def _is_added(data: Bytes, at: Addresses, registers: Addresses) -> NDArray[np.bool_]:
    """Whether the instructions at some offsets add what is not known to a register, or that to something else."""
    rex, opcode, modrm, sib = (data[at + by] for by in range(4))
    first, second = modrm & 7 | (rex & 1) << 3, modrm >> 3 & 7 | (rex & _REX_R) << 1
    alone = modrm >= 0xC0
    into = alone & (first == registers) & ((opcode == _ADD_TO) | (opcode == _SUB_TO) | (opcode == _ADD_FROM))
    into |= (second == registers) & ((opcode == _ADD_FROM) | (opcode == _SUB_FROM) | alone & (opcode == _ADD_TO))
    base, index = sib & 7 | (rex & 1) << 3, sib >> 3 & 7 | (rex & 2) << 2
    two = (opcode == _LEA) & ~alone & (modrm & 7 == _SIB) & (index != _SIB)
    found: NDArray[np.bool_] = into & ~(alone & (first == second)) | two & ((base == registers) | (index == registers))
    return found


def _own_addresses(code: CodeRange, calls: Addresses) -> Held:
    """``call`` of the next instruction, which pops its own address."""
    data = code.array()
    at = calls[calls < len(data) - _CALL_SIZE - 2]
    at = at[_word(code, at + 1) == 0] + _CALL_SIZE
    wide = (data[at] == _REX_B).astype(np.int64)
    at, wide = (each[data[at + wide] & 0xF8 == _POP] for each in (at, wide))
    return Held(at, at + 1 + wide, (data[at + wide] & 7) | wide << 3, code.address + at)


def _constants(code: CodeRange) -> Addresses:
    """Offsets of four bytes that are an address of the code."""
    words = np.ndarray((max(0, len(code.data) - 3),), "<u4", buffer=code.data, strides=(1,))
    at = np.flatnonzero(words - np.uint32(code.address & _LOW) < np.uint32(len(code.data)))
    return at[at >= _FORM] if code.address <= _LOW else at[:0]


def _moved(code: CodeRange, constants: Addresses) -> Held:
    """``mov`` of such constants to a register, of its lower half or of all of it."""
    data = code.array()
    rex, opcode, form = (data[constants - by] for by in (3, 2, 1))
    short, whole = form & 0xF8 == _MOV, (form & 0xF8 == 0xC0) & (opcode == _MOV_WHOLE) & (rex & 0xF8 == _REX_W)
    wide = np.where(whole, rex & 1, opcode & 0xF1 == _REX_B).astype(np.int64)
    chosen = short | whole
    at = constants[chosen]
    starts = at - np.where(whole, 3, 1 + wide)[chosen]
    return Held(starts, at + 4, ((form & 7) | wide << 3)[chosen], _word(code, at))


def _to_constants(code: CodeRange, constants: Addresses) -> Edges:
    """``add`` of such constants, and ``lea`` of one and a register: `Sums.unknown`."""
    data = code.array()
    third, opcode, form = (data[constants - by] for by in (3, 2, 1))
    adds = (form & 0xF8 == 0xC0) & (opcode == 0x81) & ((form != _TO_STACK) | (third & 1 == 1))
    short = (form == 0x05) & (opcode & 0xF8 == _REX_W)
    of_one = (opcode == _LEA) & (form >> 6 == 2)
    of_two = (third == _LEA) & (opcode & 0xC7 == 0x84)
    starts = np.where(short, 2, np.where(of_two, 4, 3))
    chosen = adds | short | of_one | of_two
    return Edges(code.address + (constants - starts)[chosen], _word(code, constants[chosen]))


def _word(code: CodeRange, at: Addresses) -> Addresses:
    words = np.ndarray((max(0, len(code.data) - 3),), "<u4", buffer=code.data, strides=(1,))
    return words[at].astype(np.int64)


def _added(code: CodeRange, at: Addresses, registers: Addresses, held: Addresses) -> Edges:
    """Those of the instructions at some offsets that add to a register: ``add``, ``sub``, ``inc``, ``dec``, ``lea``."""
    data = code.array()
    opcode, form, kind, register = data[at + 1], data[at + 2] >> 6, data[at + 2] >> 3 & 7, data[at + 2] & 7
    alone = (register == registers) & (form == 3) & (data[at] & _REX_R == 0)
    named = (register == registers) & (register != _SIB) & (opcode == _LEA)
    byte = data.view(np.int8)[at + 3].astype(np.int64)
    word = np.ndarray((max(0, len(data) - 3),), "<i4", buffer=code.data, strides=(1,))[at + 3].astype(np.int64)
    sign = np.where(kind == 0, 1, -1)  # add and inc, or sub and dec
    forms = (
        (alone & (opcode == 0x83) & ((kind == 0) | (kind == 5)), sign * byte),
        (alone & (opcode == 0x81) & ((kind == 0) | (kind == 5)), sign * word),
        (alone & (opcode == 0xFF) & (kind < 2), sign),
        (named & (form == 1), byte),
        (named & (form == 2), word),
    )
    return joined(*(Edges(code.address + at[chosen], (held + by)[chosen]) for chosen, by in forms))


def changed_returns(code: CodeRange) -> Iterator[int]:
    """Where a constant may be added to the address that the next instruction returns to: ``add qword ptr [rsp], 5``."""
    data = code.array()
    at = np.flatnonzero(data[_FORM:] == _OF_STACK)
    at = at[(data[at] == _REX_W) & (data[at + 2] & 0xD7 == 0x04)]
    at = at[(data[at + 1] & 0xFC == 0x80) | (data[at + 1] == 0xFF)]
    for start in at.tolist():
        size = _CHANGES.get(bytes(code.data[start : start + _FORM]), 0)
        if size and bytes(code.data[start + size : start + size + 2]).startswith(_RETURNS):
            yield code.address + start
