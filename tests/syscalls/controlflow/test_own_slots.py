"""Targets of jumps that wait in stack slots, beside objects whose address is handed to functions."""

import struct
import sys
from pathlib import Path

import pytest
from assembled import DATA, Arm, called, program
from compiled import TABLE, bare, calls, needs_compiler

_SUM = "lea table(%rip),%rdx; movslq (%rdx,%rsi,4),%rbx; add %rdx,%rbx;"
_CHANGED = (
    "lea table(%rip),%rbx; mov %rbx,16(%rsp); lea 8(%rsp),%rdi; call other; "
    "mov 16(%rsp),%rdx; movslq (%rdx,%rsi,4),%rbx; lea table(%rip),%rdx; add %rdx,%rbx;"
)
"""A table is chosen whose address is a field of an object, as another function may change that."""
_AGAIN = (
    ".type _start,@function; mov $39,%r12d; sub $40,%rsp; {given} mov %rbx,16(%rsp); 5: jmp *%rbx; "
    ".Lfirst: lea {taken}(%rsp),%rdi; {between} call other; mov 16(%rsp),%rbx; jmp 5b; "
    ".Lsecond: mov %r12d,%eax; syscall; hlt; .size _start,.-_start; "
    ".type other,@function; other: movq $0,(%rdi); ret; .size other,.-other; "
    + TABLE.replace("first", ".Lfirst").replace("second", ".Lsecond")
)
"""Labels that no symbol tells of are no functions."""


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled")
@pytest.mark.parametrize(
    ("given", "taken", "between", "complete"),
    [
        (_SUM, 24, "", True),
        (_SUM, 8, "", True),
        (_SUM, 24, "lea table(%rip),%rax; mov %rax,16(%rsp);", False),
        (_SUM, 16, "", False),
        (_SUM, 20, "", False),
        (_SUM, 24, "mov %rcx,16(%rsp);", False),
        (_SUM, 24, "mov %ecx,20(%rsp);", False),
        (_SUM, 24, "movups %xmm0,8(%rsp);", False),
        ("lea table(%rip),%rdx; mov %rsi,%rbx; add %rdx,%rbx;", 24, "", False),
        (_CHANGED, 24, "", False),
        (f"{_SUM} test %edi,%edi; je 1f; mov %rcx,%rbx; 1:", 24, "", False),
    ],
    ids=[
        "above", "below", "no target", "itself", "in it", "something else", "half", "vector", "no entry", "chosen",
        "two ways",
    ],
)  # fmt: skip
def test_a_target_that_waits_in_a_slot_of_the_compilers_own(
    given: str, taken: int, between: str, complete: bool, tmp_path: Path
):
    text = _AGAIN.format(given=given, taken=taken, between=between)
    found = calls(bare(tmp_path, text))
    assert set(found.sites) == {"getpid"}
    assert found.complete is complete


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled")
@pytest.mark.parametrize(("whole", "complete"), [(".size _start,.-_start; ", True), ("", False)], ids=["known", "not"])
def test_a_case_behind_padding_has_the_frame_of_its_function(whole: str, complete: bool, tmp_path: Path):
    text = (
        _AGAIN.format(given=_SUM, taken=24, between="")
        .replace(".Lfirst:", ".p2align 4; nop; .p2align 4; .Lfirst:")
        .replace(".size _start,.-_start; ", whole)
    )
    assert calls(bare(tmp_path, text, "-s" if not whole else "-w")).complete is complete


def test_a_table_that_counts_from_the_instruction_that_takes_the_address():
    """As LLVM writes it for arm64; the register with the table's own address is used for something else meanwhile."""
    code = Arm()
    code.page(9, "table")
    code.add_in_page(9, 9, "table")
    code.label("origin")
    code.adr(10, "origin")
    code.word(0xB8A8_792B)  # ldrsw x11, [x9, x8, lsl #2]
    code.word(0x8B0B_014A)  # add x10, x10, x11
    code.copy(9, 1)
    code.word(0xD61F_0140)  # br x10
    for number in (172, 178):
        code.label(f"case {number}")
        code.mov(8, number)
        code.syscall()
    code.ret()
    code.labels["table"] = DATA
    entries = [code.labels[f"case {number}"] - code.labels["origin"] for number in (172, 178)]
    assert called(program(code, data=struct.pack("<2i", *entries), writable=False)) == {"getpid", "gettid"}
