"""Addresses of data that assembler counts from a function, as that of dav1d and rav1e does, and what only looks so."""

import sys
from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled"),
]
SUM = "lea taps - 1b(%rax,%rsi),%r9"
READ = "movslq jumps - 1b(%rax,%rcx,4),%rcx; lea jumps - 1b(%rax,%rcx),%rcx; jmp *%rcx"


def filtering(text: str, first: str = "3b") -> str:
    """A function that begins with ``text`` behind its ``lea`` of another one, beside a wrapper of system calls."""
    return (
        "mov $163,%edi; call wrapper; mov $1,%esi; mov $1,%ecx; call filter; hlt; "
        ".globl base; .p2align 4; base: 1: ret; .p2align 4; wrapper: mov %rdi,%rax; syscall; ret; .p2align 4; "
        f"filter: lea base(%rip),%rax; {text}; 3: movdqu 16(%r9),%xmm1; ret; 4: movdqu 32(%r9),%xmm1; ret; "
        f".section .rodata; .p2align 6; taps: .skip 128; jumps: .long {first} - jumps, 4b - jumps; .text"
    )


@pytest.mark.parametrize(
    "text",
    [
        f"{SUM}; movdqu (%r9),%xmm0",
        f"{SUM}; mov %r9,%r10; add %rcx,%r10; movdqu (%r10,%rsi),%xmm0",
        f"{SUM}; {READ}",
        f"tzcnt %ecx,%ecx; {SUM}; vpbroadcastw %xmm0,%xmm0; {READ}",
    ],
    ids=["read", "copy", "table", "between"],
)
@pytest.mark.parametrize("options", [("-no-pie",), ("-static-pie", "-fPIE")], ids=["absolute", "relative"])
def test_an_address_of_data_that_counts_from_a_function_leads_nowhere(
    text: str, options: tuple[str, ...], tmp_path: Path
):
    found = calls(bare(tmp_path, filtering(text), *options))
    assert found.complete
    assert "acct" in found.required


@pytest.mark.parametrize(
    "text",
    [
        "lea 32(%rax,%rsi),%r9; movdqu (%r9),%xmm0",
        f"{SUM}; jmp *%r9",
        f"{SUM}; call *%r9",
        f"{SUM}; mov %r9,%rdx; jmp *%rdx",
        f"{SUM}; add %rcx,%r9; jmp *%r9",
        f"{SUM}; lea (%r9,%rcx),%rdx; jmp *%rdx",
        f"{SUM}; push %r9; ret",
        f"{SUM}; mov %r9,-8(%rsp); jmp *-8(%rsp)",
        f"{SUM}; xchg %r9,%rdx; jmp *%rdx",
        f"{SUM}; xor %rcx,%r9; jmp *%r9",
        f"{SUM}; call base; jmp *%r9",
        f"{SUM}; call 5f; ret; .p2align 4; 5: jmp *%r9",
        f"{SUM}; jmp base",
        f"{SUM}; mov %r9,%rax; ret",
        f"{SUM}; movq %r9,%xmm0; movq %xmm0,%rdx; jmp *%rdx",
        "cmp $1,%esi; je 2f; mov 8(%rsp),%rax; 2: " + SUM,
        "movslq jumps - 1b(%rax,%rcx,4),%rcx; lea taps - 1b(%rax,%rcx),%rcx; jmp *%rcx",
        f"{SUM}; {READ.replace('jumps - 1b(%rax,%rcx),', 'taps - 1b(%rax,%rcx),')}",
        "lea jumps - 1b(%rax,%rsi),%r9; cmp $1,%esi; je 2f; jmp *%r9; 2: " + READ,
    ],
)
def test_what_counts_from_a_function_and_is_more_than_read_may_be_any_other(text: str, tmp_path: Path):
    assert not calls(bare(tmp_path, filtering(text))).complete


def test_a_function_in_a_table_that_counts_from_there_is_called_by_who_knows(tmp_path: Path):
    assert calls(bare(tmp_path, filtering(READ))).complete
    assert not calls(bare(tmp_path, filtering(READ, "wrapper"))).complete


def test_a_function_in_a_table_that_counts_from_other_data_is_called_by_who_knows(tmp_path: Path):
    """The jump is read, and leads to a label that is known; that it leads to the wrapper as well is known nowhere."""
    code, _, _ = filtering(READ.replace("lea jumps", "lea taps")).partition(".section")
    table = ".section .rodata; .p2align 6; jumps: .long 3b - taps, 4b - taps, wrapper - taps; taps: .skip 128; .text"
    assert not calls(bare(tmp_path, code + table)).complete
