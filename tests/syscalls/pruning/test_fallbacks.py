"""Code behind a comparison with ENOSYS: it runs only on kernels that do not have the call before it."""

from pathlib import Path

import pytest
from assembled import X86, Arm, program
from compiled import bare, calls, needs_compiler

from binsafe.syscalls import analyse

COMPARE = b"\x83\xf8\xda"  # cmp eax, -38
COMPARE_64 = b"\x48\x83\xf8\xda"


def made(assembler: X86 | Arm, *functions: str) -> set[str]:
    found = analyse(program(assembler, functions=functions or ("start",)))
    assert found is not None
    return set(found.sites)


def pipes(first: int = 293, compare: bytes = COMPARE, *, between: bytes = b"", branch: bytes = b"\x75\x07") -> X86:
    """``pipe2``, and should it fail in a certain way ``pipe``, as musl does it."""
    code = X86()
    code.mov("rax", first)
    code.syscall()
    code.put(between + compare)
    code.put(branch)  # jne over the seven bytes that follow
    code.mov("rax", 22)
    code.syscall()
    code.ret()
    return code


@pytest.mark.parametrize("compare", [COMPARE, COMPARE_64, b"\x48\x63\xf8\x83\xff\xda"], ids=["eax", "rax", "copied"])
def test_the_older_call_is_not_made_where_the_newer_one_is_there(compare: bytes):
    assert made(pipes(compare=compare)) == {"pipe2"}


def out_of_line() -> X86:
    """The same with the older call behind the return and some padding, at ``old``."""
    code = X86()
    code.mov("rax", 293)
    code.syscall()
    code.put(COMPARE)
    code.jump_if_zero("old")
    code.ret()
    code.put(b"\x90" * 3)
    code.label("old")
    code.mov("rax", 22)
    code.syscall()
    code.ret()
    return code


def test_the_same_with_the_older_call_out_of_line():
    assert made(out_of_line()) == {"pipe2"}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (pipes(compare=b"\x83\xf8\xea"), "another error"),
        (pipes(first=435), "clone3, which sandboxes deny in this way"),
        (pipes(between=b"\x89\xc8"), "not the result"),
        (pipes(between=b"\x83\xe8\x26"), "38 less than the result"),
        (pipes(branch=b"\x7c\x07"), "jl, which says nothing of this one error"),
        (pipes(between=b"\x74\x02\x89\xc8"), "the result on one way only"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_is_made_after(code: X86, why: str):
    assert "pipe" in made(code), why


def test_code_that_something_else_jumps_to_as_well_is_not_dead():
    code = out_of_line()
    code.label("other")
    code.jump("old")
    assert made(code, "start", "other") == {"pipe2", "pipe"}


def test_code_beside_the_older_call_that_is_only_jumped_to_is_not_dead():
    code = X86()
    code.mov("rax", 293)
    code.syscall()
    code.put(COMPARE)
    code.jump_if_zero("old")
    code.jump("on")
    code.label("old")
    code.mov("rax", 22)
    code.syscall()
    code.label("on")
    code.mov("rax", 167)
    code.syscall()
    code.ret()
    assert made(code) == {"pipe2", "swapon"}


@needs_compiler
def test_code_that_something_goes_to_by_its_address_is_not_dead(tmp_path: Path):
    text = (
        "test %rdi,%rdi; je f; lea .Lin(%rip),%rcx; mov %rcx,-8(%rsp); jmp *-8(%rsp); .p2align 4; "
        "f: mov $293,%eax; syscall; cmp $-38,%eax; jne .Lon; inc %ecx; .Lin: mov $22,%eax; syscall; .Lon: hlt"
    )
    assert set(calls(bare(tmp_path, text)).sites) == {"pipe2", "pipe"}


@needs_compiler
def test_what_a_jump_table_leads_to_beside_the_older_call_is_not_dead(tmp_path: Path):
    text = (
        "mov $293,%eax; syscall; cmp $-38,%eax; jne .Lon; mov $22,%eax; syscall; .Lon: mov (%rsp),%ecx; cmp $1,%ecx; "
        "ja .Lend; lea .Ltable(%rip),%rdx; movslq (%rdx,%rcx,4),%rax; add %rdx,%rax; jmp *%rax; "
        ".Lone: mov $167,%eax; syscall; .Lend: mov $60,%eax; syscall; "
        ".section .rodata; .p2align 2; .Ltable: .long .Lone - .Ltable, .Lend - .Ltable"
    )
    found = calls(bare(tmp_path, text))
    assert found.complete
    assert set(found.sites) == {"pipe2", "swapon", "exit"}


def test_code_that_nothing_here_leads_to_is_not_dead_and_its_comparison_says_nothing():
    """As a landing pad, or what is reached by an address that is computed."""
    code = X86()
    code.mov("rax", 293)
    code.syscall()
    code.ret()
    code.put(COMPARE + b"\x75\x07")
    code.mov("rax", 22)
    code.syscall()
    code.ret()
    assert made(code) == {"pipe2", "pipe"}


def test_code_that_nothing_here_leads_to_is_not_dead_beside_an_older_call_that_is():
    code = pipes()
    code.mov("rax", 167)
    code.syscall()
    code.ret()
    assert made(code) == {"pipe2", "swapon"}


def test_the_same_for_arm64():
    code = Arm()
    code.mov(8, 59)
    code.syscall()
    code.word(0x3100_981F)  # cmn w0, #38
    code.word(0x5400_0061)  # b.ne, three instructions on
    code.mov(8, 57)
    code.syscall()
    code.ret()
    assert made(code) == {"pipe2"}


_THROUGH = (
    "mov $439,%edi; call wrapper; cmp $-38,%eax; jne .Lon; mov $257,%edi; call wrapper; "
    ".Lon: mov $39,%edi; call wrapper; ret; "
    ".p2align 4; wrapper: {}; .p2align 4; inner: mov %rdi,%rax; syscall; ret"
)


@needs_compiler
@pytest.mark.parametrize(
    ("wrapper", "why"),
    [
        ("jmp inner", ""),
        ("push %rbx; call inner; pop %rbx; ret", ""),
        ("cmpl $0,%fs:8; je .Lask; mov $-125,%eax; ret; .Lask: mov %rdi,%rax; syscall; ret", ""),
        ("cmpl $0,%fs:8; je .Lask; mov $-38,%eax; ret; .Lask: mov %rdi,%rax; syscall; ret", "it fails by itself"),
        ("cmpl $0,%fs:8; je .Lask; mov %fs:16,%eax; ret; .Lask: jmp inner", "what else it returns is not known"),
        ("call inner; mov $164,%eax; syscall; ret", "it returns what another call did"),
        ("call inner; mov $164,%edi; jmp inner", "it passes another number on in a jump"),
        ("call inner; mov $164,%edi; call inner; ret", "it passes another number on in a call"),
        ("call inner; jmp *%fs:16", "it goes on nobody knows where"),
    ],
)
def test_a_function_returns_the_answer_to_the_number_that_it_is_given_or_not(tmp_path: Path, wrapper: str, why: str):
    found = calls(bare(tmp_path, _THROUGH.format(wrapper)))
    assert ("openat" in found.required) == bool(why)


@needs_compiler
def test_a_function_that_fails_by_itself_may_be_called_through_a_register(tmp_path: Path):
    text = (
        "lea wrapper(%rip),%rbx; mov $439,%edi; call *%rbx; cmp $-38,%eax; jne .Lon; mov $257,%edi; call *%rbx; "
        ".Lon: ret; .p2align 4; "
        "wrapper: cmpl $0,%fs:8; je .Lask; mov $-38,%eax; ret; .Lask: mov %rdi,%rax; syscall; ret"
    )
    found = calls(bare(tmp_path, text))
    assert found.complete
    assert "openat" in found.required


@needs_compiler
def test_the_answer_to_a_number_that_was_passed_on_says_nothing(tmp_path: Path):
    """It may be one that the kernel does not know, whatever else is asked for before."""
    text = (
        "mov $435,%edi; call maker; ret; .p2align 4; maker: push %rdi; mov $293,%eax; syscall; pop %rdi; call wrapper; "
        "cmp $-38,%eax; jne .Lon; mov $57,%eax; syscall; .Lon: ret; .p2align 4; wrapper: mov %rdi,%rax; syscall; ret"
    )
    found = calls(bare(tmp_path, text))
    assert found.complete
    assert set(found.sites) == {"clone3", "pipe2", "fork"}


@needs_compiler
def test_a_site_of_which_not_all_numbers_are_known_says_nothing(tmp_path: Path):
    """It is given a number that is always known by itself, and another by who calls it."""
    text = (
        "_start: mov $435,%edi; call maker; ret; .p2align 4; maker: mov %rdi,%rax; test %rsi,%rsi; je .Lask; "
        "mov $439,%eax; .Lask: syscall; cmp $-38,%eax; jne .Lon; mov $57,%eax; syscall; .Lon: ret"
    )
    assert {"clone3", "faccessat2", "fork"} <= set(calls(bare(tmp_path, text)).sites)


_WRAPPED = (
    "mov $293,%edi; mov (%rsp),%rsi; call w; cmp $-38,%eax; jne 1f; mov $22,%eax; syscall; 1: hlt; "
    ".p2align 4; .type w,@function; w: {}; .size w,.-w; "
    ".p2align 4; .type g,@function; g: mov $-38,%eax; ret; .size g,.-g"
)


@needs_compiler
@pytest.mark.parametrize(
    ("made", "wrapper"),
    [
        ({"pipe2"}, "mov %edi,%eax; syscall; ret"),
        ({"pipe2", "pipe"}, "test %rsi,%rsi; je 2f; mov %edi,%eax; syscall; ret; 2: mov $-38,%eax; ret"),
        ({"pipe2", "pipe"}, "mov %edi,%eax; syscall; jmp g"),
    ],
    ids=["the-kernels", "its-own-on-one-way", "anothers"],
)
def test_a_function_that_is_given_the_number_may_fail_in_that_way_by_itself(
    made: set[str], wrapper: str, tmp_path: Path
):
    found = calls(bare(tmp_path, _WRAPPED.format(wrapper)))
    assert {"pipe2", "pipe"} & set(found.required) == made
