"""Labels that jumps take from memory in ways in which no table is read (``goto *label`` of C): none hides a call."""

import sys
from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled"),
]

SIZED = ".type _start,@function; .size _start,.-_start"
CASES = f"mov $163,%eax; jmp *%rcx; .Lfirst: mov $167,%eax; .Lsecond: syscall; hlt; {SIZED}"
COUNTED = f"lea labels(%rip),%rdi; add $8,%rdi; mov (%rdi),%rcx; {CASES}"
POINTED = f"mov (%rsi),%rdx; mov (%rdx),%rcx; {CASES}"
LABELS = ".data; .balign 8; labels: .quad .Lfirst, .Lsecond; .text"
DISTANCES = (
    f"lea labels(%rip),%rdi; mov %rdi,%r9; movslq (%r9,%rsi,4),%rcx; add %r9,%rcx; {CASES}; "
    ".section .rodata; labels: .long .Lfirst - labels, .Lsecond - labels; .text"
)


@pytest.mark.parametrize(
    "text", [f"{COUNTED}; {LABELS}", f"{POINTED}; {LABELS}", DISTANCES], ids=["counted up", "pointed to", "distances"]
)
def test_a_label_that_the_code_before_goes_on_into_keeps_what_was_set_before_the_jump(text: str, tmp_path: Path):
    found = calls(bare(tmp_path, text))
    assert found.complete
    assert set(found.sites) == {"acct", "swapon"}


def test_a_label_that_another_function_jumps_to_is_no_part_of_the_code_before(tmp_path: Path):
    """As retpolines do (``-mindirect-branch=thunk``): a thunk of its own makes the jump."""
    thunk = "thunk: call 2f; 1: pause; lfence; jmp 1b; 2: mov %rcx,(%rsp); ret"
    text = f"{POINTED.replace('jmp *%rcx', 'jmp thunk')}; {thunk}; {LABELS}"
    assert not calls(bare(tmp_path, text)).complete


def test_a_label_that_memory_holds_for_another_function_is_one_beside_jump_tables_that_are_read(tmp_path: Path):
    """That function brings a number of its own."""
    switch = (
        "f: mov %edi,%edi; lea table(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax; "
        ".Lone: mov $39,%eax; jmp .Lin; .Ltwo: mov $163,%eax; .Lin: syscall; hlt; .type f,@function; .size f,.-f; "
        ".section .rodata; .balign 4; table: .long .Lone-table,.Ltwo-table; .text"
    )
    held = ".data; .balign 8; at: .quad {}; .text; mov at(%rip),%rcx; mov $41,%eax; jmp *%rcx; .p2align 4"
    start = f"mov (%rsp),%rdi; cmp $1,%rdi; jbe f; {{}}; {switch}"
    assert calls(bare(tmp_path, start.format(held.format(".Lone")))).complete
    assert not calls(bare(tmp_path, start.format(held.format(".Lin")))).complete
