"""x86-64: what code reaches from an address by a number that is added to it again and again, by its bytes.

Loops that run through an array from its end name an entry of it, and no address before (``for (i = N; i-- > 0;)``).
Encodings: SDM volume 2.
"""

from collections.abc import Callable

import numpy as np

from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.machines.edges import Addresses, Edges, between
from binsafe.syscalls.sets import among, distinct

_BYTE, _WORD = 0x83, 0x81
"""Opcodes of arithmetic with a number of one byte or four; ModRM.reg says which."""
_ADD, _SUB = 0, 5
_TO_RAX = (0x05, 0x2D)
"""Opcodes of the same two that name no register."""
_STACK = 0xC4
"""ModRM of ``rsp``, but for the operation."""
_REACH = 1 << 12
_SPAN = 2 * _REACH
_LONGEST = 7
"""Bytes of such an instruction."""
_PIECE = 1 << 22
"""Bytes that are looked at at once."""


def reached(
    code: CodeRange, functions: Callable[[Addresses], Addresses], named: Edges, spend: Callable[[int], None]
) -> Edges:
    """See `Machine.reached`: by all numbers that the same function takes off a register."""
    data, keys = code.array(), [np.array([], np.int64)]
    for begin in range(0, len(data), _PIECE):
        at, numbers = _subtracted(data[begin : begin + _PIECE + _LONGEST])
        keys.append(functions(code.address + begin + at) * _SPAN + numbers)
    said = distinct(np.concatenate(keys))
    first = functions(named.sources) * _SPAN
    which, found = between(said, first, first + _SPAN, spend)
    return Edges(named.sources[which], named.targets[which] - found % _SPAN)


def _subtracted(data: Bytes) -> tuple[Addresses, Addresses]:
    """(offset, number) of the instructions that take a number off a register, be it by adding a negative one."""
    known = among(data[1 : 1 - _LONGEST], (_BYTE, _WORD, *_TO_RAX))
    at = np.flatnonzero((data[:-_LONGEST] & 0xF8 == 0x48) & known)  # few: what follows looks at these alone
    rex, opcode, modrm = data[at], data[at + 1], data[at + 2]
    operation, plain = modrm >> 3 & 7, among(opcode, _TO_RAX)
    listed = (modrm >= 0xC0) & ((operation == _ADD) | (operation == _SUB))
    listed &= (modrm & 0xC7 != _STACK) | (rex & 1 == 1)  # with a prefix that is r12
    chosen = listed | plain
    at, opcode, operation, plain = at[chosen], opcode[chosen], operation[chosen], plain[chosen]
    first = at + 3 - plain
    value = sum(data[first + by].astype(np.int64) << 8 * by for by in range(4))
    number = np.where(opcode == _BYTE, (value & 0xFF ^ 0x80) - 0x80, (value ^ 1 << 31) - (1 << 31))
    subtracts = np.where(plain, opcode == _TO_RAX[1], operation == _SUB)
    number = np.where(subtracts, number, -number)
    chosen = (number > 0) & (number < _REACH)
    return at[chosen], number[chosen]
