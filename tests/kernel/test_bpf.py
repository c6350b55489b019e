"""The assembler: labels, jumps beyond a byte, and the kernel's limits."""

import struct

import pytest
from bpf_machine import simulate

from binsafe.errors import CannotExpress
from binsafe.kernel.bpf import MAX_INSTRUCTIONS, Branch, Item, Label, Op, Statement, assemble


def run(items: list[Item], number: int):
    return simulate(assemble(items), 0, number, [0] * 6)


def padding(count: int):
    return [Statement(Op.AND, 0xFFFF_FFFF)] * count


@pytest.mark.parametrize("distance", [0, 1, 253, 254, 255, 256, 1000])
@pytest.mark.parametrize("side", ["true", "false", "both"])
def test_jumps_of_any_length_land_where_they_should(distance: int, side: str):
    items = [
        Statement(Op.LOAD, 0),
        Branch(
            Op.JUMP_EQUAL,
            7,
            if_true="there" if side in ("true", "both") else None,
            if_false="else" if side in ("false", "both") else None,
        ),
        *padding(distance),
        Statement(Op.RETURN, 1),
        Label("there"),
        Statement(Op.RETURN, 2),
        *padding(distance),
        Label("else"),
        Statement(Op.RETURN, 3),
    ]
    assert run(items, 7) == (2 if side in ("true", "both") else 1)
    assert run(items, 8) == (3 if side in ("false", "both") else 1)


def test_a_far_jump_may_make_others_far():
    """Each branch reaches 255 exactly until the ones behind it grow."""
    items = [Statement(Op.LOAD, 0)]
    items += [Branch(Op.JUMP_EQUAL, 1000 + i, if_true=f"to {i}") for i in range(200)]
    items += [Statement(Op.RETURN, 9)]
    for i in range(200):
        items += [*padding(3), Label(f"to {i}"), Statement(Op.RETURN, i)]
    assert [run(items, 1000 + i) for i in range(200)] == list(range(200))
    assert run(items, 5) == 9


def test_instructions_are_the_kernels():
    assert assemble([Statement(Op.LOAD, 4)]) == struct.pack("<HBBI", 0x20, 0, 0, 4)
    assert assemble([Branch(Op.JUMP_AT_LEAST, 5, if_false="x"), Statement(Op.RETURN, 0), Label("x")])[
        :8
    ] == struct.pack("<HBBI", 0x35, 0, 1, 5)


def test_the_longest_program():
    assert len(assemble([Statement(Op.RETURN, 0)] * MAX_INSTRUCTIONS)) == MAX_INSTRUCTIONS * 8
    with pytest.raises(CannotExpress, match="4097 instructions"):
        assemble([Statement(Op.RETURN, 0)] * (MAX_INSTRUCTIONS + 1))


def test_there_is_no_way_back():
    with pytest.raises(ValueError, match="no jump back"):
        assemble([Label("start"), Statement(Op.RETURN, 0), Branch(Op.JUMP_EQUAL, 0, if_true="start")])
