"""Ways that control takes through pointers and changed return addresses: none hides a call.

Each was found as a program of which a call was missed, with compilers' usual options; ``swapon``, ``swapoff``,
``acct`` and ``reboot`` tell which way was seen.
"""

import sys
from pathlib import Path

import pytest
from compiled import JUMP, TABLE, bare, calls, needs_compiler

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled"),
]


@pytest.mark.parametrize("between", ["", ".p2align 4;"], ids=["gcc", "clang"])
@pytest.mark.parametrize("target", ["2:", ".globl inner; .type inner,@function; inner: 2:"], ids=["label", "function"])
def test_a_retpoline_returns_to_where_its_function_was_called(between: str, target: str, tmp_path: Path):
    """``-mindirect-branch=thunk`` and ``-mretpoline``: behind the inner call stands a loop that is never run."""
    # with its symbols: one of them may stand in the middle
    thunk = f"call 2f; 1: pause; lfence; jmp 1b; {between} {target} mov %rax,(%rsp); ret"
    text = (
        "lea number(%rip),%rax; call thunk; syscall; hlt; "
        f".p2align 4; thunk: {thunk}; .p2align 4; number: mov $163,%eax; ret"
    )
    found = calls(bare(tmp_path, text, "-s"))
    assert [gap.reason for gap in found.unresolved] == ["the number is what a function returned"]


def test_a_transaction_that_fails_goes_on_elsewhere(tmp_path: Path):
    found = calls(bare(tmp_path, "mov $163,%ebx; xbegin 1f; mov $39,%ebx; xend; 1: mov %ebx,%eax; syscall; hlt"))
    assert set(found.sites) == {"acct", "getpid"}


@pytest.mark.parametrize(
    "text",
    [
        "mov $163,%ebx; call f; mov $39,%ebx; mov %ebx,%eax; syscall; hlt; .p2align 4; f: addq $5,(%rsp); ret",
        "mov $163,%eax; lea 1f(%rip),%rbx; push %rbx; subq $(1f - 2f),(%rsp); ret; mov $39,%eax; 2: syscall; hlt; 1:",
    ],
    ids=["callee", "pushed"],
)
def test_who_changes_a_return_address_is_reported(text: str, tmp_path: Path):
    reasons = [gap.reason for gap in calls(bare(tmp_path, text)).unresolved]
    assert reasons == ["it changes the address to which it returns"]


def test_nothing_goes_on_behind_a_far_return(tmp_path: Path):
    text = "push $163; mov %cs,%ecx; push %rcx; lea 1f(%rip),%rdx; push %rdx; mov $39,%eax; lretq; 1: syscall; hlt"
    assert not calls(bare(tmp_path, text)).complete


@pytest.mark.parametrize("option", ["-Wl,-z,noseparate-code", "-Wl,-N"])
def test_a_function_in_a_table_beside_the_code_is_called_by_who_knows(option: str, tmp_path: Path):
    """Without segments of their own constants lie in the executable one: the table there takes the address, too."""
    text = (
        "mov $163,%edi; call wrapper; mov table(,%rsi,8),%rax; call *%rax; hlt; "
        ".p2align 4; wrapper: mov %rdi,%rax; syscall; ret; .section .rodata; .p2align 3; table: .quad wrapper"
    )
    found = calls(bare(tmp_path, text, "-no-pie", "-w", option))
    reasons = [gap.reason.partition(" at ")[0] for gap in found.unresolved]
    assert "the number is a parameter of a function whose address is taken" in reasons


@pytest.mark.parametrize(
    "before",
    [
        f"{JUMP}; first: nop; second: mov $163,%edi; call *kept(%rip); hlt;",
        f"{JUMP}; first: nop; second: mov $163,%edi; call *kept(%rip); hlt; .skip 9,0x90;",
        "mov $163,%edi; call *kept(%rip); first: second: hlt;",
        "mov $163,%edi; call *kept(%rip); first: second: ud2; .skip 9,0x90;",
        "mov $163,%edi; call *kept(%rip); first: second: hlt; .skip 9,0xcc;",
        "mov $163,%edi; call *kept(%rip); first: second: hlt; .skip 9,0;",
        "mov $163,%edi; jmp *kept(%rip); first: second: mov $39,%edi; nop;",
    ],
    ids=["cases", "padded", "trap", "padded trap", "traps", "zeros", "fallen into"],
)
def test_a_function_that_nothing_starts_but_a_pointer_at_an_odd_place(before: str, tmp_path: Path):
    """It is in a packed structure, and no table of functions is left of a program without symbols."""
    packed = TABLE.replace("; .text", "; .byte 1; kept: .quad f; .text")
    text = f"mov $39,%edi; {before} f: mov %edi,%eax; syscall; ret"
    assert not calls(bare(tmp_path, f"{text}; {packed}", "-s")).complete


@pytest.mark.parametrize(
    ("inside", "complete"),
    [
        ("movq $0,0x138(%rbx,%r15,8); hlt", True),
        ("je 1f; hlt; 1: movq $0,0x138(%rbx,%r15,8); hlt", True),
        ("hlt; movq $0,0x138(%rbx,%r15,8)", False),
        ("movq $0,0x138fb84(%rbx); hlt", False),
        ("hlt; .byte 1,0; .quad 0x138fb84", False),
    ],
    ids=["instruction", "behind a jump", "not run", "says the address", "structure"],
)
def test_parts_of_instructions_that_look_like_a_pointer_are_none(inside: str, complete: bool, tmp_path: Path):
    """As in the HTTP client xh: ``4a c7 84 fb 38 01 00 00 00 00 00 00``, and a jump to 0x138fb84."""
    text = (
        f".type _start,@function; mov $39,%edi; call f; .p2align 4; {inside}; .size _start,.-_start; "
        ".org 0xb80; .type f,@function; f: test %edi,%edi; je 2f; 2: mov %edi,%eax; syscall; ret; .size f,.-f"
    )
    found = calls(bare(tmp_path, text, "-Wl,-Ttext=0x138f000"))
    assert "getpid" in found.sites
    assert found.complete is complete


@pytest.mark.parametrize("at", [0, 8, 16])
def test_a_number_that_a_function_may_change_through_its_address_is_not_known(at: int, tmp_path: Path):
    """``long n = getpid; set(&n); syscall(n);``, the same with a number elsewhere in a structure."""
    found = calls(bare(tmp_path, CHANGED.format(at=at)))
    assert not found.sites
    assert [gap.reason for gap in found.unresolved] == [
        "the number is on the stack, where a function that was called may write"
    ]


CHANGED = (
    "sub $24,%rsp; movq $167,(%rsp); movq $39,8(%rsp); movq $39,16(%rsp); lea 8(%rsp),%rdi; call set; "
    "mov {at}(%rsp),%rax; syscall; hlt; .p2align 4; set: movq $163,(%rdi); movq $163,8(%rdi); ret"
)
"""What ``set`` is given may be longer than one word, and be its last one: it may go on upwards or downwards."""


def test_what_is_loaded_from_memory_is_no_address_that_the_code_before_computed(tmp_path: Path):
    """By its bytes ``lea rcx, [rax + 4]`` adds to the label whose address was in the register before the jump."""
    text = (
        "test %edi,%edi; je 1f; lea 2f(%rip),%rax; jmp *%rax; 1: LOADED lea 4(%rax),%rcx; add %rdx,%rcx; "
        "mov %rcx,8(%rsp); 2: mov $39,%eax; 4: syscall; hlt"
    )
    assert calls(bare(tmp_path, text.replace("LOADED", "mov 8(%rsp),%rax;"))).complete
    assert not calls(bare(tmp_path, text.replace("LOADED", ""))).complete
