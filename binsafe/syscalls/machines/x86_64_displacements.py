"""x86-64: what code reaches from an address by a number that is added to it, by its bytes.

- Loops that run through an array from its end name an entry of it, and no address before (``for (i = N; i-- > 0;)``).
- A class with several bases has several tables of virtual functions, side by side: of these GCC computes the address of
  one from that of another (``lea rdx, [rip + second]; lea rcx, [rdx - 48]``).
- Loops that use several members of an array's entries have the address of one in a register, and name the others from
  there: ``lea rbx, [rip + entries + 16]; call [rbx - 8]``.

Encodings: SDM volume 2.
"""

from collections.abc import Callable, Iterator

import numpy as np

from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.machines.edges import Addresses, Edges, between, joined
from binsafe.syscalls.machines.x86_64_held import LEA, MOV_LOAD, MOV_STORE, REX_B, REX_R, REX_W
from binsafe.syscalls.sets import among, distinct, packed

_BYTE, _WORD = 0x83, 0x81
"""Opcodes of arithmetic with a number of one byte or four; ModRM.reg says which."""
_ADD, _SUB = 0, 5
_TO_RAX = (0x05, 0x2D)
"""Opcodes of the same two that name no register."""
_STACK = 0xC4
"""ModRM of ``rsp``, but for the operation."""
_RELATIVE = 0x05
"""ModRM of an address that is counted from the next instruction, but for the register that gets it."""
_INDIRECT, _INDIRECT_KINDS = 0xFF, (2, 4, 6)
"""``call``, ``jmp`` and ``push`` of what memory holds."""
_TWO_BYTES = 0x0F
_VECTORS = (0x10, 0x12, 0x16, 0x28, 0x6F, 0x7E)
"""Opcodes behind this byte that load vectors."""
_SIB_FOLLOWS, _RSP = 4, 4
"""As ModRM.rm: a byte with the register follows. Nothing is counted from the stack pointer."""
_REGISTERS = 16
_ALIGNED = 8
"""Where pointers stand."""
_REACH = 1 << 12
_SPAN = 2 * _REACH
_LONGEST = 8
"""Bytes of such an instruction."""
_PIECE = 1 << 22
"""Bytes that are looked at at once."""

Functions = Callable[[Addresses], Addresses]


def reached(code: CodeRange, functions: Functions, named: Edges, spend: Callable[[int], None]) -> Edges:
    """See `Machine.reached`: by all numbers that the same function takes off a register.

    And by those that are added in brackets to the register that gets the address, or to a copy of it.
    """
    return joined(_by_subtraction(code, functions, named, spend), _in_brackets(code, functions, named, spend))


def _by_subtraction(code: CodeRange, functions: Functions, named: Edges, spend: Callable[[int], None]) -> Edges:
    keys = [np.array([], np.int64)]
    for begin, data in _pieces(code):
        at, numbers = _subtracted(data)
        keys.append(functions(begin + at) * _SPAN + numbers)
    said = distinct(np.concatenate(keys))
    first = functions(named.sources) * _SPAN
    which, found = between(said, first, first + _SPAN, spend)
    return Edges(named.sources[which], named.targets[which] - found % _SPAN)


def _in_brackets(code: CodeRange, functions: Functions, named: Edges, spend: Callable[[int], None]) -> Edges:
    data, at = code.array(), named.sources - code.address
    inside = at < len(data) - _LONGEST
    at, named = at[inside], Edges(named.sources[inside], named.targets[inside])
    leas = (data[at] & 0xF8 == REX_W) & (data[at + 1] == LEA) & (data[at + 2] & 0xC7 == _RELATIVE)
    at, named = at[leas], Edges(named.sources[leas], named.targets[leas])
    naming = functions(named.sources)
    holders = naming * _REGISTERS + _reg(data, at)
    said = _said(code, functions, distinct(naming), spend)
    which, keys = between(said, holders * _SPAN, (holders + 1) * _SPAN, spend)
    targets = named.targets[which] + keys % _SPAN - _REACH
    aligned = targets % _ALIGNED == 0
    return Edges(named.sources[which][aligned], targets[aligned])


def _said(code: CodeRange, functions: Functions, naming: Addresses, spend: Callable[[int], None]) -> Addresses:
    """(function, register, number) as one, ascending: what is added to what a register holds, or a copy of it.

    Only of functions that are ``naming`` something.
    """
    nothing = np.array([], np.int64)
    said, copies = [nothing], [packed(nothing, nothing)]
    for begin, data in _pieces(code):
        at, registers, numbers = _added(data)
        function = functions(begin + at)
        said.append(((function * _REGISTERS + registers) * _SPAN + numbers + _REACH)[among(function, naming)])
        at, to, by = _copied(data)
        function = functions(begin + at)
        copies.append(packed(function * _REGISTERS + to, function * _REGISTERS + by)[among(function, naming)])
    found, pairs = distinct(np.concatenate(said)), distinct(np.concatenate(copies))
    to, by = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFF_FFFF)).astype(np.int64)
    which, keys = between(found, to * _SPAN, (to + 1) * _SPAN, spend)
    return distinct(np.concatenate([found, by[which] * _SPAN + keys % _SPAN]))


def _pieces(code: CodeRange) -> Iterator[tuple[int, Bytes]]:
    """The code in pieces that overlap, each with its address."""
    data = code.array()
    for begin in range(0, len(data), _PIECE):
        yield code.address + begin, data[begin : begin + _PIECE + _LONGEST]


def _subtracted(data: Bytes) -> tuple[Addresses, Addresses]:
    """(offset, number) of the instructions that take a number off a register, be it by adding a negative one."""
    known = among(data[1 : 1 - _LONGEST], (_BYTE, _WORD, *_TO_RAX))
    at = np.flatnonzero((data[:-_LONGEST] & 0xF8 == REX_W) & known)  # few: what follows looks at these alone
    rex, opcode, modrm = data[at], data[at + 1], data[at + 2]
    operation, plain = modrm >> 3 & 7, among(opcode, _TO_RAX)
    listed = (modrm >= 0xC0) & ((operation == _ADD) | (operation == _SUB))
    listed &= (modrm & 0xC7 != _STACK) | (rex & 1 == 1)  # with a prefix that is r12
    chosen = listed | plain
    at, opcode, operation, plain = at[chosen], opcode[chosen], operation[chosen], plain[chosen]
    first = at + 3 - plain
    number = np.where(opcode == _BYTE, _byte(data, first), _word(data, first))
    subtracts = np.where(plain, opcode == _TO_RAX[1], operation == _SUB)
    number = np.where(subtracts, number, -number)
    chosen = (number > 0) & (number < _REACH)
    return at[chosen], number[chosen]


def _added(data: Bytes) -> tuple[Addresses, Addresses, Addresses]:
    """(offset, register, number) of what computes an address from a register and a number, or loads a pointer there."""
    opcodes, before = data[2:-_LONGEST], data[1 : -_LONGEST - 1]
    wide = among(opcodes, (LEA, MOV_LOAD)) & (before & 0xF8 == REX_W)
    vector = among(opcodes, _VECTORS) & (before == _TWO_BYTES)
    indirect = (opcodes == _INDIRECT) & among(data[3 : 1 - _LONGEST] >> 3 & 7, _INDIRECT_KINDS)
    at = 2 + np.flatnonzero(wide | vector | indirect)
    at = at[(data[at + 1] >> 6 == 1) | (data[at + 1] >> 6 == 2)]
    form, rm, prefix = data[at + 1] >> 6, data[at + 1] & 7, data[at - 1 - (data[at - 1] == _TWO_BYTES)]
    with_sib = rm == _SIB_FOLLOWS
    register = (
        np.where(with_sib, data[at + 2] & 7, rm).astype(np.int64) | (prefix & 0xF1 == REX_B).astype(np.int64) << 3
    )
    first = at + 2 + with_sib
    number = np.where(form == 1, _byte(data, first), _word(data, first))
    chosen = (abs(number) < _REACH) & (number != 0) & (register != _RSP)
    return at[chosen], register[chosen], number[chosen]


def _copied(data: Bytes) -> tuple[Addresses, Addresses, Addresses]:
    """(offset, register that is filled, register that it gets its value from) of each ``mov`` between two."""
    at = _wide(data, (MOV_STORE, MOV_LOAD))
    at = at[data[at + 2] >= 0xC0]
    stores, reg, rm = data[at + 1] == MOV_STORE, _reg(data, at), _rm(data, at)
    return at, np.where(stores, rm, reg), np.where(stores, reg, rm)


def _wide(data: Bytes, opcodes: tuple[int, ...]) -> Addresses:
    """Where instructions of 64 bits with these opcodes may begin."""
    return np.flatnonzero(among(data[1 : 1 - _LONGEST], opcodes) & (data[:-_LONGEST] & 0xF8 == REX_W))


def _reg(data: Bytes, at: Addresses) -> Addresses:
    """The number of the register that ModRM.reg names."""
    found: Addresses = (data[at + 2] >> 3 & 7).astype(np.int64) | (data[at] & REX_R) << 1
    return found


def _rm(data: Bytes, at: Addresses) -> Addresses:
    """The number of the register that ModRM.rm names, or a SIB byte that names it alone."""
    found: Addresses = (data[at + 2] & 7).astype(np.int64) | (data[at] & 1) << 3
    return found


def _byte(data: Bytes, at: Addresses) -> Addresses:
    """The byte at each offset, as a number with a sign."""
    return data[at].view(np.int8).astype(np.int64)


def _word(data: Bytes, at: Addresses) -> Addresses:
    """The four bytes at each offset, as a number with a sign."""
    value = sum((data[at + by].astype(np.int64) << 8 * by for by in range(4)), np.zeros_like(at))
    return (value ^ 1 << 31) - (1 << 31)
