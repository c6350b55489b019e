"""Addresses of labels and functions that are taken, stored, or computed from another one: none hides a call.

Each was found as a program of which a call was missed; ``swapon`` and ``acct`` tell which way was seen.
"""

import sys
from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled"),
]


@pytest.mark.parametrize(
    "leading",
    ["jmp *%rdx", "push %rdx; ret", "mov %rdx,-8(%rsp); jmp *-8(%rsp)", "mov %rdx,%rsi; jmp *%rsi"],
    ids=["jump", "return", "memory", "copy"],
)
def test_a_label_inside_of_a_function_whose_address_is_taken(leading: str, tmp_path: Path):
    found = calls(bare(tmp_path, f"mov $163,%eax; lea 1f(%rip),%rdx; {leading}; mov $39,%eax; 1: syscall; hlt"))
    assert not found.complete or "acct" in found.required


@pytest.mark.parametrize("leading", ["mov $2f,%ebx; jmp *%rbx", "push $2f; ret", "movq $2f,-8(%rsp); jmp *-8(%rsp)"])
def test_a_label_that_is_a_constant_in_a_program_at_a_fixed_address(leading: str, tmp_path: Path):
    """``goto *label`` in a function without a frame, where nothing is position-independent."""
    text = f"mov $163,%eax; {leading}; mov $39,%eax; 2: syscall; hlt"
    assert not calls(bare(tmp_path, text, "-no-pie")).complete


def test_a_label_that_is_jumped_to_through_a_register_alone_is_followed(tmp_path: Path):
    text = "mov $163,%eax; lea 1f(%rip),%r11; jmp *%r11; mov $39,%eax; 1: syscall; hlt"
    found = calls(bare(tmp_path, text))
    assert set(found.sites) == {"acct", "getpid"}
    assert found.complete


@pytest.mark.parametrize(
    "adding",
    [
        "lea 1f(%rip),%rbx; add $(2f - 1f),%rbx",
        "lea end(%rip),%rbx; sub $(end - 2f),%rbx",
        "lea 2f - 1(%rip),%r11; inc %r11; mov %r11,%rbx",
        "lea 2f + 1(%rip),%rbx; dec %rbx",
        "lea 1f(%rip),%rcx; lea (2f - 1f)(%rcx),%rbx",
        "lea _start(%rip),%rcx; nop; lea 300(%rcx),%rbx; .set far, 300",
        "lea 1f(%rip),%rbx; mov $far,%ecx; .skip 20,0x90; add $(2f - 1f),%rbx; .set far, 300",
        "mov $1f,%ebx; add $(2f - 1f),%rbx",
        "mov $1f,%r9; lea (2f - 1f)(%r9),%rbx",
        "call 3f; 3: pop %r9; add $(2f - 3b),%r9; mov %r9,%rbx",
    ],
    ids=["add", "sub", "inc", "dec", "lea", "far", "later", "constant", "wide constant", "own address"],
)
def test_an_address_that_code_computes_from_another_one(adding: str, tmp_path: Path):
    fill = ".skip 300 - (. - _start),0x90;" if "far" in adding else ""
    text = f"mov $163,%eax; {adding}; jmp *%rbx; 1: mov $39,%eax; {fill} 2: syscall; hlt; end: nop"
    found = calls(bare(tmp_path, text, "-s"))
    assert not found.complete or "acct" in found.required


def test_a_wrapper_whose_address_is_a_sum_is_called_by_who_knows(tmp_path: Path):
    text = (
        "mov $163,%edi; call w; lea _start(%rip),%rbx; add $(w - _start),%rbx; mov $167,%edi; call *%rbx; hlt; "
        ".p2align 4; w: mov %rdi,%rax; syscall; ret"
    )
    assert not calls(bare(tmp_path, text)).complete


@pytest.mark.parametrize(
    "adding",
    [
        "lea base(%rip),%rbx; .skip 60,0x90; add $(w - base),%rbx",
        "lea base(%rip),%rcx; mov %rcx,%rbx; .skip 60,0x90; add $(w - base),%rbx",
        "mov $base,%ebx; .skip 60,0x90; add $(w - base),%rbx",
        "lea base(%rip),%rbx; push %rbx; addq $(w - base),(%rsp); pop %rbx",
        "lea base(%rip),%r9; push %r9; pop %rbx; add $(w - base),%rbx",
        "lea base(%rip),%rcx; push %rcx; pop %rbx; add stored(%rip),%rbx",
        "lea base(%rip),%rcx; mov %rcx,%rbx; add stored(%rip),%rbx",
    ],
    ids=["far", "far copy", "far constant", "on the stack", "over the stack", "unknown there", "unknown copy"],
)
def test_a_wrapper_at_a_constant_distance_from_another_function(adding: str, tmp_path: Path):
    text = (
        f"mov $39,%edi; call w; {adding}; mov $163,%edi; call *%rbx; hlt; .p2align 4; .globl w; w: mov %rdi,%rax; "
        "syscall; ret; .p2align 4; .globl base; base: ret; .section .rodata; .p2align 3; stored: .quad w - base; .text"
    )
    assert not calls(bare(tmp_path, text)).complete
    assert calls(
        bare(tmp_path, text.replace(adding, adding.replace("base(", "stored(").replace("$base", "$0")))
    ).complete


@pytest.mark.parametrize("adding", ["add stored(%rip),%rbx", ".skip 60,0x90; add $(2f - inner),%rbx"])
def test_a_label_at_a_distance_from_one_with_a_symbol(adding: str, tmp_path: Path):
    """There a function seems to begin, and what the code before it does with its address is done in another one."""
    text = (
        f"mov $163,%eax; lea inner(%rip),%rbx; {adding}; jmp *%rbx; .globl inner; .type inner,@function; "
        "inner: mov $39,%eax; 2: syscall; hlt; .section .rodata; .p2align 3; stored: .quad 2b - inner; .text"
    )
    assert not calls(bare(tmp_path, text)).complete


def test_a_label_whose_address_is_changed_on_the_stack(tmp_path: Path):
    text = (
        "mov $163,%eax; lea 1f(%rip),%rbx; push %rbx; addq $(2f - 1f),(%rsp); pop %rbx; jmp *%rbx; "
        "1: mov $39,%eax; 2: syscall; hlt"
    )
    assert not calls(bare(tmp_path, text)).complete


_STORED = "; .section .rodata; .p2align 3; 8: .quad 2b - 1b; .text"


@pytest.mark.parametrize(
    "making",
    [
        "lea 1f(%rip),%rdx; 1: add 8f(%rip),%rdx",
        "lea 1f(%rip),%rdx; 1: movslq 8f(%rip),%rcx; .skip 99,0x90; add %rcx,%rdx",
        "lea 2f - 1(%rip),%rdx; 1: not %rdx; neg %rdx",
        "lea 2f(%rip),%rdx; 1: xor %rcx,%rdx",
        "lea 2f(%rip),%rdx; 1: imul $1,%rdx,%rdx",
        "call 1f; 1: pop %rdx; add 8f(%rip),%rdx",
        "call 1f; 1: mov (%rsp),%rdx; add 8f(%rip),%rdx",
        "call 1f; 1: mov 8f(%rip),%rcx; add %rcx,(%rsp); pop %rdx",
    ],
)
@pytest.mark.parametrize("options", [("-s",), ("-static-pie", "-fPIE")], ids=["absolute", "relative"])
def test_an_address_that_code_computes_from_what_is_not_seen(making: str, options: tuple[str, ...], tmp_path: Path):
    text = f"mov $163,%eax; {making}; push %rdx; ret; mov $39,%eax; 2: syscall; hlt"
    assert not calls(bare(tmp_path, text + _STORED, *options)).complete


def test_a_function_that_stands_behind_its_caller_does_not_read_its_own_address(tmp_path: Path):
    text = "mov $163,%eax; nop; call f; f: push %rbx; mov $39,%eax; syscall; mov %rbx,%rax; hlt"
    assert calls(bare(tmp_path, text, "-s")).complete


@pytest.mark.parametrize(
    "adding",
    [
        "lea base(%rip),%rdx; movslq table(,%rsi,4),%rax; add %rdx,%rax",
        "lea base(%rip),%r10; add table(,%rsi,8),%r10; mov %r10,%rax",
        "lea base(%rip),%r9; movslq table(,%rsi,4),%rcx; lea (%r9,%rcx),%rax",
        "lea base(%rip),%r9; movslq table(,%rsi,4),%rcx; lea (%rcx,%r9),%rax",
        "lea base(%rip),%rax; mov table(,%rsi,4),%ecx; sub %rcx,%rax",
        "lea base(%rip),%rax; sub table(,%rsi,8),%rax; sar $0,%rax",
        "lea base(%rip),%rax; sub table(,%rsi,8),%rax; sar $3,%rcx",
        "lea base(%rip),%rax; sub table(,%rsi,8),%rax; sar $3,%rax; shl $3,%rax",
        "lea base(%rip),%rax; mov table(,%rsi,8),%rcx; sub %rcx,%rax; sar $3,%rax; shl $3,%rax",
        "lea base(%rip),%rbx; lea base(%rip),%rcx; call base; sub %rcx,%rbx; sar $3,%rbx",
        "movslq table(,%rsi,4),%rax; add $base,%rax",
        "movslq table(,%rsi,4),%rcx; add $base,%rcx; mov %rcx,%rax",
        "movslq table(,%rsi,4),%rcx; lea base(%rcx),%rax",
        "movslq table(,%rsi,4),%r12; lea base(%r12),%rax",
        "mov $base,%eax; movslq table(,%rsi,4),%rcx; add %rcx,%rax",
    ],
)
def test_a_wrapper_at_a_distance_that_memory_holds_is_called_by_who_knows(adding: str, tmp_path: Path):
    """The distances count from another function, not from the table: nothing but the sum names the wrapper."""
    assert not calls(bare(tmp_path, AT_A_DISTANCE.format(adding), "-no-pie")).complete


@pytest.mark.parametrize(
    "plain",
    [
        "lea base(%rip),%rdx",
        "add $base,%rsp",
        "mov $base,%edx; add %rcx,%rax",
        "lea base(%rip),%rdx; lea base(%rip),%rcx; sub %rcx,%rdx; sar $3,%rdx",  # how many pointers a table has
        "lea base(%rip),%rdx; lea base(%rip),%rcx; xor %ebp,%ebp; mov %rdx,%r9; sub %rcx,%r9; sar $3,%r9",
        ".byte 0x48,0xb8,0x48,0x81,0xc2; .long base; .byte 0",  # movabs, whose constant looks like an add
    ],
)
def test_a_wrapper_at_a_distance_from_a_function_that_is_no_summand_is_not_called(plain: str, tmp_path: Path):
    assert calls(bare(tmp_path, AT_A_DISTANCE.format(plain), "-no-pie")).complete


AT_A_DISTANCE = (
    "mov $163,%edi; call wrapper; {}; mov $167,%edi; call *%rax; hlt; "
    ".globl base; .p2align 4; base: ret; .p2align 4; wrapper: mov %rdi,%rax; syscall; ret; "
    ".section .rodata; .p2align 3; table: .quad 0, wrapper - base; .text"
)


def test_a_constant_that_is_added_to_something_else_leads_nowhere(tmp_path: Path):
    text = "lea 1f(%rip),%rbx; add $(2f - 1f),%rcx; 1: mov $39,%eax; 2: syscall; hlt"
    assert calls(bare(tmp_path, text)).complete


@pytest.mark.parametrize("index", ["--eh-frame-hdr", "--no-eh-frame-hdr"])
@pytest.mark.parametrize("told", [True, False])
def test_what_the_unwinder_knows_of_functions_counts_with_and_without_an_index(index: str, told: bool, tmp_path: Path):
    """GCC's static programs have none. What chooses one of two functions, as resolvers do, chooses no place in one."""
    begin, end = (".cfi_startproc;", ".cfi_endproc;") if told else ("", "")
    text = (
        "mov $39,%eax; syscall; call chosen; jmp *%rax; "
        f".p2align 4; chosen: {begin} lea plain(%rip),%rax; lea setting(%rip),%rdx; test %edi,%edi; cmovne %rdx,%rax; "
        f"ret; {end} .p2align 4; plain: {begin} ret; {end} "
        f".p2align 4; setting: {begin} mov $163,%eax; syscall; ret; {end}"
    )
    found = calls(bare(tmp_path, text, "-s", f"-Wl,{index}"))
    assert found.complete == told
    assert "acct" in found.required
