"""Tables of distances that no jump is seen to read: as no compiler does it, from memory, or in another part.

No call is hidden by one: the list is not complete, or has what the table leads to.
"""

import sys
from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler, with_tables

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled"),
]

_OTHER = "lea tA(%rip),%rbp; movslq (%rbp,%rdx,4),%r11"
_READ = "movslq (%rbp,%rdx,4),%r11; add %rbp,%r11"


_SIZED = ".type _start,@function; .size _start,.-_start"
_MOVED = "mov $168,%eax; nop; nop;"
"""Seven bytes."""


@pytest.mark.parametrize(
    ("reading", "behind"),
    [
        (f"lea tB(%rip),%rcx; mov %rcx,-16(%rsp); {_OTHER}; mov -16(%rsp),%rbp; {_READ}", ""),
        (f"movq $0,-16(%rsp); movl $tB,-16(%rsp); {_OTHER}; mov -16(%rsp),%rbp; {_READ}", ""),
        ("mov $tB,%ebp; movslq (%rbp,%rdx,4),%r11; add %r11,%rbp; mov %rbp,-16(%rsp); mov -16(%rsp),%r11", ""),
        ("mov (%rsi),%r11; .data; held: .quad .L3; .text; add $7,%r11", _MOVED),
        (f"lea tB(%rip),%rbp; {_READ}; movq %r11,%xmm0; movq %xmm0,%r11", ""),
        (f"lea tB(%rip),%rcx; test %edi,%edi; je 7f; {_OTHER}; 7: mov %rcx,%rbp; {_READ}", ""),
        (f"mov $tB - 64,%ebp; xor $64,%rbp; {_READ}", ""),
        ("lea tA(%rip),%rbp; movslq tB - tA(%rbp,%rdx,4),%r11; lea tB(%rip),%rbp; add %rbp,%r11", ""),
        (f"lea tB(%rip),%rbp; {_READ}; add $7,%r11", _MOVED),
        (f"lea tB(%rip),%rbp; {_READ}; xor $7,%r11", _MOVED),
        ("lea tB(%rip),%rbp; movslq (%rbp,%rdx,4),%r11; add $7,%rbp; add %rbp,%r11", _MOVED),
        ("lea tB(%rip),%rbp; movslq (%rbp,%rdx,4),%r11; add $7,%r11; add %rbp,%r11", _MOVED),
    ],
    ids=[
        "spilled",
        "in parts",
        "spilled sum",
        "pointer",
        "vector sum",
        "copied",
        "xor",
        "displaced",
        "sum",
        "xor of a sum",
        "origin",
        "entry",
    ],
)
def test_a_table_that_is_read_as_no_compiler_does_it_hides_nothing(reading: str, behind: str, tmp_path: Path):
    """Its address comes by the stack, another register or arithmetic; or more is added than it, or no entry."""
    text = f"mov $163,%eax; and $1,%edx; {reading}; jmp *%r11; 4: mov $167,%eax; 3: {behind} syscall; hlt; {_SIZED}"
    found = calls(bare(tmp_path, with_tables(text), "-no-pie"))
    assert "acct" in found.sites or not found.complete


def test_a_table_whose_address_is_stored_in_two_parts_hides_nothing(tmp_path: Path):
    """It lies four gigabytes behind the one whose address was there before."""
    text = (
        "mov $163,%eax; and $1,%edx; movq $near,-16(%rsp); movl $1,-12(%rsp); mov -16(%rsp),%rbp; "
        "movslq (%rbp,%rdx,4),%r11; lea .L4(%rip),%rbp; add %rbp,%r11; jmp *%r11; "
        f".L4: mov $167,%eax; .L3: syscall; hlt; {_SIZED}; "
        r".section .near,\"a\"; near: .long .L4 - .L4, .L4 - .L4; "
        r".section .far,\"a\"; .long .L3 - .L4, .L3 - .L4; .text"
    )
    placed = "-Wl,--section-start=.near=0x500000,--section-start=.far=0x100500000"
    found = calls(bare(tmp_path, text, "-no-pie", placed))
    assert "acct" in found.sites or not found.complete


def test_where_such_a_table_leads_nothing_is_proved_of_an_argument(tmp_path: Path):
    text = (
        f"mov $1,%edi; and $1,%edx; lea tB(%rip),%rbp; {_READ}; push %r11; ret; "
        f"4: mov $2,%edi; 3: mov $135,%eax; syscall; hlt; {_SIZED}"
    )
    found = calls(bare(tmp_path, with_tables(text), "-no-pie"))
    assert set(found.sites) == {"personality"}
    assert not found.arguments


_KEPT = "; .bss; .p2align 3; kept: .skip 64; .text"
_OTHER_FUNCTION = "; .p2align 4; .type other,@function; other: {}; .size other,.-other"


@pytest.mark.parametrize(
    ("leading", "behind"),
    [
        ("mov %r11,-16(%rsp); jmp *-16(%rsp)", ""),
        ("push %r11; add $8,%rsp; jmp *-8(%rsp)", ""),
        ("push %r11; ret", ""),
        ("mov %rsp,%rcx; mov %r11,-8(%rcx); sub $8,%rsp; ret", ""),
        ("mov %r11,kept(%rip); jmp *kept(%rip)", _KEPT),
        ("mov %r11,kept(%rip); nop; mov kept(%rip),%r11; jmp *%r11", _KEPT),
        ("xchg %r11,kept(%rip); jmp *kept(%rip)", _KEPT),
        ("mov %r11,8(%rdi); jmp *8(%rdi)", ""),
        ("movq %r11,%xmm0; movq %xmm0,-8(%rsp); jmp *-8(%rsp)", ""),
        ("mov %r11,%fs:8; jmp *%fs:8", ""),
        ("call *%r11", ""),
        ("jmp other", _OTHER_FUNCTION.format("jmp *%r11")),
        ("call other", _OTHER_FUNCTION.format("mov %r11,(%rsp); ret")),
        ("push %r11; call other", _OTHER_FUNCTION.format("add $8,%rsp; ret")),
    ],
    ids=[
        "red zone", "popped", "returned to", "a copy of the stack pointer", "variable", "loaded variable", "exchanged",
        "heap", "vector register", "thread", "called", "another function", "thunk", "pushed for another function",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("linking", "before"),
    [("-static-pie", ""), ("-no-pie", "cmp $1,%rsi; ja 8f; lea tA(%rip),%rcx; movslq (%rcx,%rsi,4),%rcx; ")],
    ids=["alone", "beside a table"],
)
def test_the_sum_of_an_address_and_an_entry_waits_before_it_is_jumped_to(
    leading: str, behind: str, linking: str, before: str, tmp_path: Path
):
    """Nothing but the table says then where the jump leads; another one beside it may be read."""
    before = f"{before}lea tA(%rip),%r8; add %r8,%rcx; jmp *%rcx; 8: " if before else ""
    text = f"mov $163,%eax; and $1,%edx; {before}lea tB(%rip),%rbp; {_READ}; {leading}; 4: mov $167,%eax; 3: syscall; "
    found = calls(bare(tmp_path, f"{with_tables(f'{text}hlt; {_SIZED}')}{behind}", linking))
    assert "acct" in found.sites or not found.complete


def test_what_is_no_jump_table_names_no_label(tmp_path: Path):
    """Of many constants a few are a distance to some place in a large program, by chance."""
    text = (
        "mov $163,%eax; lea constants(%rip),%rdi; cmp $1,%rdi; 1: syscall; hlt; "
        ".section .rodata; .p2align 2; constants: FIRST .long 1b - constants, 7; .text"
    )
    assert calls(bare(tmp_path, text.replace("FIRST", ".long 7;"))).complete
    assert not calls(bare(tmp_path, text.replace("FIRST", ""))).complete


def test_the_cold_part_of_a_function_has_a_table_that_leads_back(tmp_path: Path):
    text = (
        f"mov $163,%eax; and $1,%edx; test %edi,%edi; je cold; 4: mov $167,%eax; 3: syscall; hlt; {_SIZED}; "
        f".p2align 4; .type cold,@function; cold: lea tB(%rip),%rbp; {_READ}; jmp *%r11; .size cold,.-cold"
    )
    found = calls(bare(tmp_path, with_tables(text)))
    assert "acct" in found.sites or not found.complete


def test_the_cold_part_of_a_function_comes_back_before_the_jump(tmp_path: Path):
    """With a sum that is read from what the program can write, or with the address of another table of addresses."""
    cold = ".p2align 4; .type cold,@function; cold: {}; jmp .Lback; .size cold,.-cold"
    summed = cold.format(f"lea kept(%rip),%rbp; {_READ}")
    begin, cases = "mov $163,%eax; and $1,%edx", f"4: mov $167,%eax; 3: syscall; hlt; {_SIZED}"
    text = f"{begin}; jmp cold; .Lback: jmp *%r11; {cases}; {summed}"
    written = "; .data; .p2align 2; kept: .long .L3 - kept, .L3 - kept; .text"
    assert not calls(bare(tmp_path, with_tables(text) + written)).complete
    text = (
        f"{begin}; lea one(%rip),%rbp; test %edi,%edi; je cold; .Lback: jmp *(%rbp,%rdx,8); {cases}; "
        f"{cold.format('lea two(%rip),%rbp')}"
    )
    tables = "; .section .rodata; .p2align 3; one: .quad .L4,.L4,0; two: .quad .L3,.L3; .text"
    found = calls(bare(tmp_path, with_tables(text) + tables))
    assert "acct" in found.sites or not found.complete


def test_where_one_jump_is_not_understood_the_tables_of_the_others_count(tmp_path: Path):
    """Of one the entries are no distances from itself; the other is ``goto *p``: the frame is still there."""
    text = (
        "push %rbx; mov $163,%eax; and $1,%edx; test %edi,%edi; je 1f; lea tB(%rip),%rbp; movslq (%rbp,%rdx,4),%r11; "
        f"add $7,%rbp; add %rbp,%r11; jmp *%r11; 1: jmp *%rsi; 4: mov $167,%eax; 3: {_MOVED} syscall; hlt"
    )
    found = calls(bare(tmp_path, with_tables(text)))
    assert "acct" in found.sites or not found.complete


def test_a_table_of_distances_that_can_be_written_is_not_read(tmp_path: Path):
    text = f"mov $163,%eax; and $1,%edx; lea kept(%rip),%rbp; {_READ}; jmp *%r11; 4: mov $167,%eax; 3: syscall; hlt"
    written = "; .data; .p2align 2; kept: .long .L3 - kept, .L3 - kept; .text"
    assert not calls(bare(tmp_path, with_tables(text) + written)).complete
