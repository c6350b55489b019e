"""Words of Go's types are not taken for addresses, and other words are."""

import struct

import numpy as np
import pytest
from assembled import DATA, Arm, program

from binsafe.syscalls.controlflow.go_types import are_names

TYPE, NAME = DATA + 16, DATA + 16 + 40


def type_(
    *,
    size: int = 8,
    pointers: int = 8,
    align: int = 8,
    field: int = 8,
    kind: int = 22,
    equal: int = DATA,
    data: int = DATA,
) -> bytes:
    """A type at ``TYPE``, whose name and pointer stand in the word at ``NAME``."""
    return bytes(16) + struct.pack(
        "<QQIBBBBQQII", size, pointers, 0x1234_5678, 8, align, field, kind, equal, data, 0x1000, 0
    )


def is_name(memory: bytes) -> bool:
    code = Arm()
    code.ret()
    return bool(are_names(program(code, data=memory), np.array([NAME]))[0])


@pytest.mark.parametrize(
    "change", [{}, {"equal": 0}, {"kind": 25 | 0x20}, {"size": 0, "pointers": 0, "align": 1, "field": 1}]
)
def test_types_are_known(change: dict[str, int]):
    assert is_name(type_(**change))


@pytest.mark.parametrize(
    "change",
    [
        *({"kind": 0}, {"kind": 27}, {"align": 3, "field": 3}, {"align": 4}, {"pointers": 16}, {"size": 1 << 50}),
        *({"data": 0}, {"data": 0x1000_0000}, {"equal": 1}),
    ],
)
def test_what_cannot_be_a_type_is_none(change: dict[str, int]):
    assert not is_name(type_(**change))


def test_a_type_is_whole():
    code = Arm()
    code.ret()
    slice_ = program(code, data=type_())
    assert not are_names(slice_, np.array([DATA, DATA + 8, DATA + 32, NAME + 0x1000])).any()
