"""A site whose number the instruction before it sets: that is the answer unless something else leads to the site."""

import struct
from collections.abc import Callable

import pytest
from assembled import X86, called, program, reasons


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
