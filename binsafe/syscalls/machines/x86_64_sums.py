"""x86-64: additions to addresses of code in registers, and to return addresses on the stack.

Compilers add such constants themselves, so this is assembler's: ``lea rbx, [rip + label]; add rbx, 16; jmp rbx``, or a
function that returns behind what its caller has after the call. Where the other summand is a register, the sum is
unknown. How an address gets into a register is in `x86_64_held`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.machines import x86_64_held as held_by
from binsafe.syscalls.machines.edges import Addresses, Edges, joined
from binsafe.syscalls.machines.held import Held, Sums, all_of, together
from binsafe.syscalls.machines.x86_64_held import LEA, MOV_LOAD, MOV_STORE, REX_R, REX_W
from binsafe.syscalls.sets import distinct

_NEAR = 40
"""Bytes behind where a register gets an address in which additions are looked for, whatever stands between."""
_FAR = 100
"""The same up to the next call, or beyond it in registers that are kept over calls: in code with few addresses."""
_PASSES = 2
"""Code has few addresses where to look `_FAR` behind each reads no more than this often as many bytes as it has."""
_AT_ONCE = 1 << 11
"""Rows of `Held` that are looked at at a time: each takes arrays of as many numbers as bytes are looked at."""
_KEPT = np.array([register in {3, 5, 12, 13, 14, 15} for register in range(16)])
"""Register -> whether callees keep it: rbx, rbp, r12 to r15."""
_NO_INDEX = _SIB_FOLLOWS = 4
"""As SIB.index: there is none. As ModRM.rm: a SIB byte follows (SDM volume 2, table 2-5)."""
_FOUR_BYTES = 2
"""As ModRM.mod: a displacement of so many follows, behind the SIB byte."""
_ADD_TO, _ADD_FROM, _SUB_TO, _SUB_FROM = 0x01, 0x03, 0x29, 0x2B
_ADDING = np.zeros(256, np.bool_)
_ADDING[[_ADD_TO, _ADD_FROM, _SUB_TO, _SUB_FROM, 0x81, 0x83, 0xFF]] = True
_ADD_TO_RAX, _SUB_OF_RAX = 0x05, 0x2D
"""With four bytes and nothing that names a register: the short forms for rax."""
"""Opcode -> whether its instruction may add to what it names."""
_WANTED = _ADDING.copy()
_WANTED[[LEA, MOV_STORE, MOV_LOAD, _ADD_TO_RAX, _SUB_OF_RAX]] = True
_STACK_TOP, _SIB_STACK = 0x04, 0x24
"""The ModRM byte, its reg aside, and the SIB byte of ``[rsp]``."""
_ADD_TO_RSP = 0xC4
"""The ModRM byte of ``add rsp, constant``."""
_CHANGES: Mapping[bytes, int] = MappingProxyType(
    {
        bytes((REX_W, opcode, form)): size
        for opcode, other, size in ((0x81, 0x2C, 8), (0x83, 0x2C, 5), (0xFF, 0x0C, 4))
        for form in (_STACK_TOP, other)
    }
)
"""How ``add`` and ``sub``, ``inc`` and ``dec`` of ``[rsp]`` begin -> their size."""
_RETURNS = (b"\xc3", b"\xc2", b"\xf3\xc3")


def sums(code: CodeRange, leas: Edges, *, fixed: bool) -> Sums:
    """The sums of a range; ``leas`` are all instructions with a REX prefix that compute an address.

    Code that is loaded to a ``fixed`` address has its addresses as constants of four bytes, too.
    """
    calls = held_by.calls(code)
    nothing = Edges(calls[:0], calls[:0])
    ways = [held_by.by_lea(code, leas), held_by.by_return_address(code, calls)]
    found = [Sums(nothing, nothing, nothing)]
    if fixed:
        constants = held_by.constants(code)
        ways.append(held_by.by_constant(code, constants))
        found.append(Sums(nothing, _to_constants(code, constants), nothing))
    held = together(*ways)
    reach = range(_NEAR, _FAR if len(held.starts) * _FAR < _PASSES * len(code.data) else _NEAR)
    parts = (held.chosen(slice(first, first + _AT_ONCE)) for first in range(0, len(held.starts), _AT_ONCE))
    found += (_of_held(code, part, calls, reach) for part in parts)
    return all_of(*found).inside(code.address, code.end)


def changed_returns(code: CodeRange) -> Iterator[int]:
    """Where a constant may be added to the address that the next instruction returns to: ``add qword ptr [rsp], 5``."""
    data = code.array()
    at = np.flatnonzero(data[3:] == _SIB_STACK)
    at = at[(data[at] == REX_W) & (data[at + 2] & 0xD7 == _STACK_TOP)]
    at = at[(data[at + 1] & 0xFC == 0x80) | (data[at + 1] == 0xFF)]
    for start in at.tolist():
        size = _CHANGES.get(bytes(code.data[start : start + 3]), 0)
        if size and bytes(code.data[start + size : start + size + 2]).startswith(_RETURNS):
            yield code.address + start


def _of_held(code: CodeRange, held: Held, calls: Addresses, reach: range) -> Sums:
    """What is added to addresses in registers, to copies of them, and to what is pushed of them."""
    data, end = code.array(), len(code.data) - held_by.LONGEST
    which, at = held.behind(calls, _KEPT, reach, end)
    pushing, pushes = held_by.pushes(data, held, which, at)
    behind = held_by.behind_pushes(data, pushes)
    which, at = _candidates(data, which, at)
    copies = together(
        held_by.copied(data, held, which, at),
        held_by.popped(data, held, pushing, behind),
    )
    of_copies = _added(code, copies, *_candidates(data, *copies.behind(calls, _KEPT, reach, end)))
    return all_of(_added(code, held, which, at), of_copies, _on_stack(code, held, pushing, behind))


def _candidates(data: Bytes, which: Addresses, at: Addresses) -> tuple[Addresses, Addresses]:
    """Those of the places at which 64-bit instructions may stand that add or copy."""
    wide = np.flatnonzero(data[at] & 0xF8 == REX_W)
    wide = wide[_WANTED[data[at[wide] + 1]]]
    return which[wide], at[wide]


def _added(code: CodeRange, held: Held, which: Addresses, at: Addresses) -> Sums:
    """What the instructions at offsets ``at`` add to the register of the ``which``-th row of ``held``."""
    data, registers = code.array(), held.registers[which]
    adding = _adds_unknown(data, at, registers)
    unknown = distinct(which[adding])
    counted = _counted_from(code, at[adding], held.addresses[which[adding]])
    alone = data[at] & (0xFF - REX_R) == REX_W | registers >> 3
    which, at = which[alone], at[alone]
    known = _constant_sums(code, at, held.registers[which] & 7, held.addresses[which])
    return Sums(known, Edges(code.address + held.starts[unknown], held.addresses[unknown]), counted)


def _counted_from(code: CodeRange, at: Addresses, held: Addresses) -> Edges:
    """The sums of addresses and the four bytes that ``lea`` of two registers adds as well."""
    data = code.array()
    found = (data[at + 1] == LEA) & (data[at + 2] >> 6 == _FOUR_BYTES)
    at = at[found]
    words = held_by.word(code, at + 4).astype(np.int32)
    return Edges(code.address + at, held[found] + words)


def _adds_unknown(data: Bytes, at: Addresses, registers: Addresses) -> NDArray[np.bool_]:
    """Whether each instruction adds another register or memory to its register, or that to another.

    That are ``add`` and ``sub``, and ``lea`` of two registers; not ``add`` of a register to itself.
    """
    rex, opcode, modrm, sib = (data[at + by] for by in range(4))
    rm, reg = modrm & 7 | (rex & 1) << 3, modrm >> 3 & 7 | (rex & REX_R) << 1
    of_registers = modrm >= 0xC0
    into = of_registers & (rm == registers) & ((opcode == _ADD_TO) | (opcode == _SUB_TO) | (opcode == _ADD_FROM))
    into |= (reg == registers) & ((opcode == _ADD_FROM) | (opcode == _SUB_FROM) | of_registers & (opcode == _ADD_TO))
    base, index = sib & 7 | (rex & 1) << 3, sib >> 3 & 7 | (rex & 2) << 2
    of_two = (opcode == LEA) & ~of_registers & (modrm & 7 == _SIB_FOLLOWS) & (index != _NO_INDEX)
    doubled = of_registers & (rm == reg)
    found: NDArray[np.bool_] = into & ~doubled | of_two & ((base == registers) | (index == registers))
    return found


def _constant_sums(code: CodeRange, at: Addresses, registers: Addresses, held: Addresses) -> Edges:
    """The sums of addresses and constants; ``registers`` are the low three bits that ModRM.rm has to be.

    That are ``add``, ``sub``, ``inc`` and ``dec`` of the register, and ``lea`` of it with a displacement.
    """
    data = code.array()
    opcode, mod, kind, rm = data[at + 1], data[at + 2] >> 6, data[at + 2] >> 3 & 7, data[at + 2] & 7
    alone = (rm == registers) & (mod == 3) & (data[at] & REX_R == 0)
    named = (rm == registers) & (rm != _SIB_FOLLOWS) & (opcode == LEA)
    to_rax = (registers == 0) & (data[at] == REX_W)
    byte = data.view(np.int8)[at + 3].astype(np.int64)
    words = np.ndarray((max(0, len(data) - 3),), "<i4", buffer=code.data, strides=(1,))
    word, early = words[at + 3].astype(np.int64), words[at + 2].astype(np.int64)
    sign = np.where(kind == 0, 1, -1)  # add and inc, or sub and dec
    forms = (
        (alone & (opcode == 0x83) & ((kind == 0) | (kind == 5)), sign * byte),
        (alone & (opcode == 0x81) & ((kind == 0) | (kind == 5)), sign * word),
        (alone & (opcode == 0xFF) & (kind < 2), sign),
        (named & (mod == 1), byte),
        (named & (mod == 2), word),
        (to_rax & (opcode == _ADD_TO_RAX), early),
        (to_rax & (opcode == _SUB_OF_RAX), -early),
    )
    return joined(*(Edges(code.address + at[chosen], (held + by)[chosen]) for chosen, by in forms))


def _on_stack(code: CodeRange, held: Held, pushing: Addresses, behind: Addresses) -> Sums:
    """What is added to ``[rsp]`` behind pushes of addresses, a row of offsets for each: it counts as unknown."""
    data = code.array()
    row, column = np.nonzero(data[behind] & 0xF8 == REX_W)
    opcode, modrm, sib = (data[behind[row, column] + by] for by in range(1, 4))
    adds = _ADDING[opcode] & (modrm & 0xC7 == _STACK_TOP) & (sib == _SIB_STACK)
    which = pushing[row[adds]]
    nothing = Edges(which[:0], which[:0])
    return Sums(nothing, Edges(code.address + held.starts[which], held.addresses[which]), nothing)


def _to_constants(code: CodeRange, constants: Addresses) -> Edges:
    """`Sums.unknown` of constants that are addresses: ``add`` of one to a register, ``lea`` of one and registers."""
    data = code.array()
    third, opcode, last = (data[constants - by] for by in (3, 2, 1))
    adds = (last & 0xF8 == 0xC0) & (opcode == 0x81) & ((last != _ADD_TO_RSP) | (third & 1 == 1))
    to_rax = (last == _ADD_TO_RAX) & (opcode & 0xF8 == REX_W)
    of_one = (opcode == LEA) & (last >> 6 == 2)
    of_two = (third == LEA) & (opcode & 0xC7 == 0x84)
    starts = np.where(to_rax, 2, np.where(of_two, 4, 3))
    chosen = adds | to_rax | of_one | of_two
    return Edges(code.address + (constants - starts)[chosen], held_by.word(code, constants[chosen]))
