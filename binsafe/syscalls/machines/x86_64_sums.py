"""x86-64: addresses of code that code computes from another one of its own, and return addresses that it changes.

Compilers add such constants themselves. Assembler writes ``lea rbx, [rip + label]; add rbx, 16; jmp rbx``, counts from
where a ``call`` of the next instruction says that it is, or has a function go on behind what its caller has there.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.machines.machine import Addresses, Edges, joined

_AROUND = 24
"""Bytes behind an address in a register in which a constant is added to it."""
_LONGEST = 7
_AT_ONCE = 1 << 15
"""Registers that are looked at at a time: for each some arrays of so many bytes."""
_OWN = re.compile(rb"(\xe8\0\0\0\0)\x41?[\x58-\x5f]")
_LEA, _LEA_SIZE = 0x8D, 7
_SIB = 4
"""Instead of this register a ModRM byte names two of them."""
_REX_W, _REX_R, _REX_B = 0x48, 4, 0x41
_CHANGES: Mapping[bytes, int] = MappingProxyType(
    {
        bytes((_REX_W, opcode, form)): size
        for opcode, other, size in ((0x81, 0x2C, 8), (0x83, 0x2C, 5), (0xFF, 0x0C, 4))
        for form in (0x04, other)
    }
)
"""How ``add`` and ``sub``, ``inc`` and ``dec`` of what the stack pointer points to begin -> their size."""
_FORM, _OF_STACK = 3, 0x24
_RETURNS = (b"\xc3", b"\xc2", b"\xf3\xc3")


def sums(code: CodeRange, leas: Edges) -> Edges:
    """From instructions that add a constant to an address of code to the sum, where that is one, too.

    ``leas`` are those with a prefix that compute an address. Which register is meant is compared, not what happens to
    it in between.
    """
    data, end = code.array(), code.address + len(code.data)
    inside = (leas.targets >= code.address) & (leas.targets < end)
    own, at = _own_addresses(code), leas.sources[inside] - code.address
    behind = np.append(at + _LEA_SIZE, own[0])
    registers = np.append((data[at + 2] >> 3 & 7) | (data[at] & 4) << 1, own[1]).astype(np.uint8)
    held = np.append(leas.targets[inside], own[2])
    parts = (slice(first, first + _AT_ONCE) for first in range(0, len(behind), _AT_ONCE))
    found = joined(Edges(at[:0], at[:0]), *(_near(code, behind[p], registers[p], held[p]) for p in parts))
    kept = (found.targets >= code.address) & (found.targets < end)
    return Edges(found.sources[kept], found.targets[kept])


def _near(code: CodeRange, behind: Addresses, registers: Bytes, held: Addresses) -> Edges:
    """What is added shortly behind some offsets to what registers hold there."""
    data = code.array()
    places = behind[:, np.newaxis] + np.arange(_AROUND)
    rex = data[np.minimum(places, len(data) - 1)]
    row, column = np.nonzero(rex & (0xFF - _REX_R) == _REX_W | registers[:, np.newaxis] >> 3)
    fits = places[row, column] <= len(data) - _LONGEST
    row, column = row[fits], column[fits]
    return _added(code, places[row, column], (registers[row] & 7).astype(np.uint8), held[row])


def _own_addresses(code: CodeRange) -> tuple[Addresses, Bytes, Addresses]:
    """``call`` of the next instruction, which pops its own address: what is behind it, the register, the address."""
    at = np.fromiter((match.end(1) for match in _OWN.finditer(code.data)), np.int64)
    wide = (code.array()[at] == _REX_B).astype(np.uint8)
    return at + 1 + wide, (code.array()[at + wide] & 7) | wide << 3, code.address + at


def _added(code: CodeRange, at: Addresses, registers: Bytes, held: Addresses) -> Edges:
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
