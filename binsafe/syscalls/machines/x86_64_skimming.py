"""x86-64: numbers of system calls that are set shortly before them, read from bytes, in half the time of decoding.

Tables give the lengths of the usual instructions and no others (Intel SDM volume 2, 2.1 and appendix A). From the start
of a function they lead from each instruction to the next. At any other instruction this gives up, without an answer.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

_KNOWN, _OPERANDS, _SPECIAL, _SIZE = 0x80, 0x40, 0x20, 0x0F
"""Of an opcode: whether it is one of the usual ones, whether a ModRM byte follows, whether that decides what it is, and
how many bytes of constants there are."""
_DIRECT, _SIB, _DISTANCE = 3, 4, 5
"""The form of ModRM that is a register; in the other ones the register that stands for a SIB byte, and the one that in
the first form stands for a distance."""
_WIDE, _OTHER_REGISTER, _OTHER_OPERAND = 8, 4, 1
"""Bits of REX."""
_BEHIND = bytes(
    0 if byte >> 6 == _DIRECT else (byte & 7 == _SIB) + (0, 1, 4)[byte >> 6] + 4 * (byte & 0xC7 == _DISTANCE)
    for byte in range(256)
)
"""ModRM -> bytes of its operand behind it, but for the distance that a SIB byte may ask for."""


def _opcodes(alone: Mapping[int, Iterable[int]], operands: Mapping[int, Iterable[int]], special: bytes = b"") -> bytes:
    """A table of opcodes by the bytes of constants that follow: of those ``alone``, and of those with operands."""
    table = bytearray(256)
    for flags, sizes in ((_KNOWN, alone), (_KNOWN | _OPERANDS, operands)):
        for size, opcodes in sizes.items():
            for opcode in opcodes:
                table[opcode] = flags | size | _SPECIAL * (opcode in special)
    return bytes(table)


class _Opcodes(NamedTuple):
    """The usual instructions behind one prefix."""

    one: bytes
    two: bytes
    """Those whose opcode begins with 0f."""


_ARITHMETIC = (*(code for code in range(1, 0x40) if code & 7 < 4), *range(0x84, 0x8C), 0xD1, 0xD3)
"""All but ``add`` of bytes, which zeros are."""
_TO_ACCUMULATOR = tuple(range(0x05, 0x40, 8))
_GROUPS = bytes((0x8D, 0xC6, 0xC7, 0xF6, 0xF7, 0xFF))
_TWO = (*range(0x40, 0x50), *range(0x90, 0xA0), 0xA3, 0xAB, 0xAF, 0xB1, 0xB3, 0xB6, 0xB7, 0xBB, 0xBE, 0xBF, 0xC1)
_FLOATS = (0x10, 0x11, 0x14, 0x28, 0x29, 0x57)
_VECTORS = (0x60, 0x61, 0x62, 0x6C, 0x6E, 0x6F, 0x7E, 0x7F, 0xD4, 0xEF, 0xFA, 0xFB, 0xFE)
_NOP, _ENDBR = bytes((0x1F, 0xBA)), 0x1E
_WITH_OPERANDS = {
    0: (*_ARITHMETIC, 0x63, 0x8D, 0xF7, 0xF6, 0xFF),
    1: (0x6B, 0x80, 0x83, 0xC1, 0xC6),
    4: (0x69, 0x81, 0xC7),
}
_PLAIN = _Opcodes(
    _opcodes(
        {
            0: (*range(0x50, 0x60), 0x90, 0x98, 0x99, 0xC3, 0xC9, 0xCC, 0xF4),
            1: (*range(0x70, 0x80), 0xEB, 0x6A, *(each - 1 for each in _TO_ACCUMULATOR), 0xA8),
            4: (*_TO_ACCUMULATOR, 0xA9, 0xE8, 0xE9, 0x68, *range(0xB8, 0xC0)),
        },
        _WITH_OPERANDS,
        _GROUPS,
    ),
    _opcodes({0: (0x05, 0x0B, 0xA2), 4: range(0x80, 0x90)}, {0: (*_TWO, *_FLOATS, 0x16, 0x1F), 1: (0xBA, 0xC6)}, _NOP),
)
_PREFIXED: Mapping[int, _Opcodes] = {
    0x64: _Opcodes(_opcodes({}, _WITH_OPERANDS, _GROUPS), _opcodes({}, {0: _TWO})),
    0x66: _Opcodes(
        _opcodes({0: (0x90,)}, {0: _ARITHMETIC, 1: (0x80, 0x83, 0xC1), 2: (0x81, 0xC7)}, _GROUPS),
        _opcodes({}, {0: (*_TWO, *_FLOATS, *_VECTORS, 0x1F), 1: (0x70, 0xC6)}, _NOP),
    ),
    0xF0: _Opcodes(
        _opcodes({}, {0: (0x01, 0x09, 0x21, 0x29, 0xFF), 1: (0x83,), 4: (0x81,)}, bytes(range(256))),
        _opcodes({}, {0: (0xB1, 0xC1)}, bytes(range(256))),
    ),
    0xF3: _Opcodes(
        _opcodes({0: (0x90, 0xA5, 0xAB)}, {}), _opcodes({}, {0: (0x6F, 0x7E, 0x7F, _ENDBR)}, bytes((_ENDBR,)))
    ),
}

_HALF, _HALF_SIZE = 0x66, 2
"""The prefix that makes operands of two bytes, unless another one makes them wide."""
_LOCK, _LONG_NOP = 0xF0, re.compile(rb"\x66{0,9}\x2e?\x0f\x1f")
_CHOSEN: Mapping[int, Sequence[int]] = {0xC6: (0,), 0xC7: (0,), 0x1F: (0,), 0xFF: (0, 1, 2, 6), 0xBA: range(4, 8)}
"""Opcode -> the registers of its ModRM byte with which it is usual."""
_LOCKED: Mapping[int, int] = {0x81: 6, 0x83: 6, 0xFF: 1}
"""The last of them with which it can be ``lock``: not with comparisons, calls and jumps."""
_SETS = re.compile(rb"(?:\xb8|\x48\xc7\xc0)(?P<constant>.{4})|[\x31\x33]\xc0", re.DOTALL)
"""``mov`` of a constant, and what makes a zero."""
_CONSTANT = range(0xB8, 0xC0)
_TO_OPERAND = bytes((0x01, 0x21, 0x29, 0x31, 0x80, 0x81, 0x83, 0x89, 0xC7))
_FROM_OPERAND = bytes((0x33, 0x63, 0x8B, 0x8D))
_ELSEWHERE = re.compile(rb"\xff[\x20-\x27\x60-\x67\xa0-\xa7\xe0-\xe7]|\xc7\xf8")
"""Bytes of a computed jump, and of ``xbegin``, which leads elsewhere when a transaction is aborted."""


def set_numbers(code: bytes, sites: Iterable[int]) -> Sequence[tuple[int, int, int]]:
    """See `Machine.set_numbers`."""
    found: list[tuple[int, int, int]] = []
    begins, padded = [0], code + b"\0"  # rows tell by the next byte
    for site in sites:
        _walk(padded, begins, site)
        if begins[-1] != site:
            break
        told = _set_before(code, begins)
        found += [] if told is None else [told]
    if found and _ELSEWHERE.search(code):
        _walk(padded, begins, len(code))
        return found if begins[-1] == len(code) else ()
    return found


def _set_before(code: bytes, begins: Sequence[int]) -> tuple[int, int, int] | None:
    """The number that is set before the last of some instructions that follow each other."""
    for at in range(len(begins) - 2, -1, -1):
        instruction = code[begins[at] : begins[at + 1]]
        sets = _SETS.fullmatch(instruction)
        if sets is not None:
            return int.from_bytes(sets["constant"] or b"", "little"), begins[at + 1], begins[-1]
        if not _keeps(instruction):
            return None
    return None


def _keeps(instruction: bytes) -> bool:
    """Whether it only writes to memory, or to another register than that of the number, ``ah`` included."""
    rex = instruction[0] if instruction[0] & 0xF0 == 0x40 else 0
    opcode, *behind = instruction[bool(rex) :]
    operands = behind[0] if behind else 0
    if opcode in _CONSTANT:
        return bool(opcode & 7 or rex & _OTHER_OPERAND)
    if opcode in _TO_OPERAND:
        return bool(operands >> 6 != _DIRECT or operands & 3 or rex & _OTHER_OPERAND)
    return opcode in _FROM_OPERAND and bool(operands >> 3 & 7 or rex & _OTHER_REGISTER)


def _walk(code: bytes, begins: list[int], end: int) -> None:
    """Add where instructions begin up to ``end``, from the last that is known on, as long as they are usual ones."""
    at = begins[-1]
    try:
        while at < end:
            opcode, first, rows = code[at], at, _ROWS
            if opcode & 0xF0 == 0x40:
                first, rows = at + 1, _ROWS_BEHIND_REX
                opcode = code[first]
            known = rows[opcode][code[first + 1]]
            size = first - at + known if known else _size(code, at)
            if not size:
                return
            at += size
            begins.append(at)
    except IndexError:
        pass  # the function ends in the middle of one


def _size(code: bytes, at: int) -> int:
    """The bytes of an instruction; 0 for an unusual one."""
    start, first = at, code[at]
    tables = _PLAIN
    if first in _PREFIXED:
        if first == _HALF and (nop := _LONG_NOP.match(code, at)):
            at = nop.end() - 2
        else:
            tables, at = _PREFIXED[first], at + 1
    rex = code[at] if code[at] & 0xF0 == 0x40 else 0
    at += bool(rex)
    opcode, table = code[at], tables.one
    if opcode == 0x0F:
        at += 1
        opcode, table = code[at], tables.two
    kind = table[opcode]
    at += 1
    if rex & _WIDE and first == _HALF and kind & _SIZE == _HALF_SIZE:
        return 0
    if kind & _OPERANDS:
        operands = code[at]
        if kind & _SPECIAL and not _is_usual(opcode, operands, locked=first == _LOCK):
            return 0
        at += 1 + _BEHIND[operands]
        if operands & 0xC7 == _SIB and code[at - 1] & 7 == _DISTANCE:
            at += 4
        if opcode & 0xFE == 0xF6 and table is tables.one and not operands & 0x38:
            at += 4 if opcode & 1 else 1  # ``test``
    elif rex & _WIDE and opcode in _CONSTANT and table is tables.one:
        at += 4
    return at + (kind & _SIZE) - start if kind else 0


@cache
def _row(kind: int) -> bytes:
    """The sizes of instructions with an opcode of one byte by the byte behind it, where these two say it; else 0."""
    if not kind or kind & _SPECIAL:
        return bytes(256)
    if not kind & _OPERANDS:
        return bytes((1 + (kind & _SIZE),)) * 256
    return bytes(0 if byte & 0xC7 == _SIB else 2 + _BEHIND[byte] + (kind & _SIZE) for byte in range(256))


_ROWS = tuple(map(_row, _PLAIN.one))
_ROWS_BEHIND_REX = tuple(bytes(256) if opcode in _CONSTANT else row for opcode, row in enumerate(_ROWS))
"""By opcode; ``mov`` of a constant depends on the prefix. Only where there is none in a row `_size` has to be asked."""


def _is_usual(opcode: int, operands: int, *, locked: bool) -> bool:
    register = operands >> 3 & 7
    if opcode == _ENDBR:
        return operands == 0xFA
    if operands >> 6 == _DIRECT and (locked or opcode == 0x8D):
        return False
    if locked and register > _LOCKED.get(opcode, 7):
        return False
    return register in _CHOSEN.get(opcode, range(8)) and (opcode & 0xFE != 0xF6 or register != 1)
