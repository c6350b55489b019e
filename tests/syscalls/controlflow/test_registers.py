"""A wrapper whose address is put into a register and called from there: its callers are known all the same."""

import struct

import pytest
from assembled import X86, program

from binsafe.syscalls import analyse


def lea_rbx(assembler: X86, label: str) -> None:
    assembler.to(label, 7, lambda here, there: b"\x48\x8d\x1d" + struct.pack("<i", there - here - 7))


def wrapper(assembler: X86) -> None:
    assembler.ret()
    assembler.label("wrapper")
    assembler.copy("rax", "rdi")
    assembler.syscall()
    assembler.ret()


def test_each_call_through_the_register_gives_its_number():
    assembler = X86()
    lea_rbx(assembler, "wrapper")
    for number in (39, 1):
        assembler.mov("rdi", number)
        assembler.put(b"\xff\xd3")  # call rbx
    wrapper(assembler)
    result = analyse(program(assembler, functions=("start", "wrapper")))
    assert result.complete
    assert set(result.sites) == {"getpid", "write"}


@pytest.mark.parametrize("use", [b"\x48\x89\x1f", b"\x48\x89\xde", b"\x53"], ids=["stored", "passed", "pushed"])
def test_an_address_that_is_kept_elsewhere_too_leaves_a_gap_and_the_numbers_that_are_seen(use: bytes):
    assembler = X86()
    lea_rbx(assembler, "wrapper")
    assembler.mov("rdi", 39)
    assembler.put(b"\xff\xd3" + use)
    wrapper(assembler)
    result = analyse(program(assembler, functions=("start", "wrapper")))
    assert not result.complete
    assert set(result.sites) == {"getpid"}


def test_the_register_is_followed_no_further_than_to_its_next_value():
    assembler = X86()
    lea_rbx(assembler, "wrapper")
    assembler.mov("rdi", 39)
    assembler.put(b"\xff\xd3")
    assembler.put(b"\x31\xdb\x48\x89\x1f")  # xor ebx, ebx; mov [rdi], rbx
    wrapper(assembler)
    assert analyse(program(assembler, functions=("start", "wrapper"))).complete
