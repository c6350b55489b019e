"""Arithmetic on 64 bits, as the processors do it."""

import pytest

from binsafe.syscalls.machines.arithmetic import MASK, Operation, result


@pytest.mark.parametrize(
    ("name", "operand", "value", "expected"),
    [
        ("add", -1, 0, MASK),
        ("add", 1, MASK, 0),
        ("and", 0xF0, 0x3C, 0x30),
        ("or", 0xF0, 0x3C, 0xFC),
        ("xor", 0xF0, 0x3C, 0xCC),
        ("multiply", 3, 1 << 63, 1 << 63),
        ("shift-left", 63, 3, 1 << 63),
        ("shift-left", 65, 3, 6),
        ("shift-right", 63, MASK, 1),
        ("shift-right", 65, 6, 3),
        ("negate", 0, 1, MASK),
        ("sign-extend", 8, 0x7F, 0x7F),
        ("sign-extend", 8, 0x80, MASK - 0x7F),
        ("sign-extend", 8, 0x17F, 0x7F),
        ("sign-extend", 8, 0x180, MASK - 0x7F),
        ("sign-extend", 32, 0x8000_0000, 0xFFFF_FFFF_8000_0000),
    ],
)
def test_an_operation_is_done_as_the_processor_does_it(name: str, operand: int, value: int, expected: int):
    assert Operation(name, operand).apply(value) == expected


def test_a_number_is_known_where_operations_leave_nothing_of_what_was_there():
    clear, put = Operation("and", ~0xFF & MASK), Operation("or", 0x27)
    assert result((clear, put)) is None
    assert result((clear, put), 0xFF) == 0x27
    assert result((clear, put, Operation("and", 0xFF))) == 0x27
    assert result((clear, put, Operation("and", 0xFF), Operation("add", 1))) == 0x28
    assert result((Operation("add", 1), Operation("and", 0))) is None  # no more is asked of it than bits can tell
