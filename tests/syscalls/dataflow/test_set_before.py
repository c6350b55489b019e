"""A site whose number the instruction before it sets: that is the answer unless something else leads to the site."""

import struct
from collections.abc import Callable

import pytest
from assembled import DATA, X86, called, program, reasons


@pytest.mark.parametrize("jump", [X86.jump, X86.short_jump, X86.jump_if_zero], ids=["near", "short", "conditional"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same function", "another function"])
def test_a_jump_to_a_site_brings_another_number(jump: Callable[[X86, str], None], *, elsewhere: bool):
    assembler = X86()
    assembler.mov("rax", 1)
    jump(assembler, "site")
    if elsewhere:
        assembler.put(b"\x31\xff\xc3")  # xor edi, edi; ret
        assembler.label("other")
    assembler.mov("rax", 39)
    assembler.label("site")
    assembler.syscall()
    assembler.ret()
    assert called(program(assembler, functions=("start", "other"))) == {"write", "getpid"}


def test_a_transaction_that_goes_on_at_a_site_when_it_fails_brings_its_status():
    assembler = X86()
    assembler.to("site", 6, lambda here, there: b"\xc7\xf8" + struct.pack("<i", there - here - 6))  # xbegin
    assembler.mov("rax", 39)
    assembler.label("site")
    assembler.syscall()
    assembler.ret()
    assert reasons(program(assembler))


def test_a_case_of_a_switch_at_a_site_brings_another_number():
    assembler = X86()
    assembler.mov("rax", 1)
    assembler.put(b"\x83\xff\x01")  # cmp edi, 1
    assembler.to("other", 6, lambda here, there: b"\x0f\x87" + struct.pack("<i", there - here - 6))  # ja
    assembler.put(b"\x89\xff\x48\x8d\x15" + struct.pack("<i", DATA - assembler.here - 9))  # mov edi, edi; lea rdx
    assembler.put(b"\x48\x63\x0c\xba\x48\x01\xd1\xff\xe1")  # movsxd rcx, [rdx + rdi*4]; add rcx, rdx; jmp rcx
    assembler.label("other")
    other = assembler.here
    assembler.mov("rax", 39)
    site = assembler.here
    assembler.syscall()
    assembler.ret()
    table = struct.pack("<ii", site - DATA, other - DATA)
    assert called(program(assembler, data=table, writable=False)) == {"write", "getpid"}


def test_a_branch_to_the_next_function_says_nothing_of_the_register_that_it_tests():
    """Control goes on there in both cases: with zero, and with all else."""
    assembler = X86()
    assembler.mov("rax", 39)
    assembler.put(b"\x48\x85\xc0")  # test rax, rax
    assembler.jump_if_zero("other")
    assembler.label("other")
    assembler.syscall()
    assembler.ret()
    assert called(program(assembler, functions=("start", "other"))) >= {"getpid"}
