"""Jump tables: through which of them a jump leads, how long each is, and from where its distances count.

No call is hidden by one; ``swapon``, ``swapoff``, ``acct``, ``getpid`` and ``reboot`` tell which way was seen.
"""

import sys
from pathlib import Path

import pytest
from compiled import JUMP, TABLE, bare, build, calls, library, needs_compiler, with_tables

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled"),
]


UNOPTIMISED = (
    "mov %edi,%eax; lea 0(,%rax,4),%rdx; lea table(%rip),%rax; mov (%rdx,%rax,1),%eax; cltq; "
    "lea table(%rip),%rdx; add %rdx,%rax; jmp *%rax"
)


@pytest.mark.parametrize("jump", [JUMP, UNOPTIMISED], ids=["optimised", "as -O0 does"])
def test_a_case_that_the_one_before_falls_into_keeps_what_was_set_before_the_switch(jump: str, tmp_path: Path):
    """``n = acct; switch (k) { case 0: n = swapon; case 1: syscall(n); }``."""
    text = f"mov $163,%ebx; {jump}; first: mov $167,%ebx; second: mov %ebx,%eax; syscall; hlt; {TABLE}"
    found = calls(bare(tmp_path, text, "-s"))
    assert found.complete
    assert set(found.sites) == {"acct", "swapon"}


def test_the_tables_of_one_function_are_told_apart(tmp_path: Path):
    """What is read over the end of one table leads nowhere: the next one's entries are distances from another place."""
    text = (
        "mov $163,%ebx; cmp $1,%rdi; ja 9f; lea one(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax; "
        "a: mov $167,%ebx; b: mov %ebx,%eax; syscall; hlt; "
        "9: lea two(%rip),%rdx; movslq (%rdx,%rsi,4),%rax; add %rdx,%rax; jmp *%rax; "
        "c: mov $168,%ebx; d: nop; nop; nop; nop; nop; nop; nop; nop; mov %ebx,%eax; syscall; hlt; "
        ".section .rodata; one: .long a - one, b - one; two: .long c - two, d - two; .text"
    )
    found = calls(bare(tmp_path, text, "-s"))
    assert {site: len(places) for site, places in found.sites.items()} == {"acct": 2, "swapon": 1, "swapoff": 1}


@pytest.mark.parametrize(("second", "places"), [("a", 1), ("b", 2)])
def test_a_jump_leads_through_the_table_that_its_own_way_names(second: str, places: int, tmp_path: Path):
    """One register holds two tables one after another; a case of the first may lead in before the second's jump."""
    jump = "movslq (%rdx,%rax,4),%rax; add %rdx,%rax; jmp *%rax"
    text = (
        f"mov $163,%ebx; cmp $1,%edi; ja 9f; mov %edi,%eax; lea one(%rip),%rdx; {jump}; "
        "a: mov %ebx,%eax; syscall; hlt; "
        f"9: cmp $1,%esi; ja c; mov %esi,%eax; lea two(%rip),%rdx; b: mov $167,%ebx; {jump}; "
        "c: mov %ebx,%eax; syscall; hlt; "
        f".section .rodata; one: .long a - one, {second} - one; two: .long c - two, c - two; .text"
    )
    found = calls(bare(tmp_path, text, "-s"))
    assert {site: len(at) for site, at in found.sites.items()} == {"acct": 2, "swapon": places}


_TWO_TABLES = (
    "mov $167,%ebx; {begin}; cmp $5,%esi; je a; cmp $9,%esi; je 5f; mov $163,%ebx; lea one(%rip),%rbp; {first}; "
    "5: mov $169,%ebx; lea two(%rip),%rbp; 6: cmp $1,%edi; ja 9f; mov %edi,%eax; {jump}; "
    "c: mov $168,%eax; syscall; d: dec %edi; jmp 6b; 9: hlt; a: mov %ebx,%eax; syscall; b: dec %edi; {again}; "
    ".section .rodata; one: .long a - one, b - one; two: .long c - two, d - two; .text"
)


_JUMP = "movslq (%rbp,%rax,4),%rax; add %rbp,%rax; jmp *%rax"


def test_a_table_whose_address_comes_to_another_jump_alone_does_not_count(tmp_path: Path):
    """LLVM loads each before its loop: Rust's ``getrandom`` falls back from one to another so."""
    first = f"1: cmp $1,%edi; ja 9f; mov %edi,%eax; {_JUMP}"
    found = calls(
        bare(tmp_path, _TWO_TABLES.format(begin="lea one(%rip),%rbp", first=first, jump=_JUMP, again="jmp 1b"), "-s")
    )
    assert found.complete
    assert set(found.sites) == {"swapon", "acct", "swapoff"}


@pytest.mark.parametrize(
    "keeps",
    [
        "nop",
        "push %rbp; lea two(%rip),%rbp; pop %rbp",
        "mov %rbp,%rcx; lea two(%rip),%rbp; mov %rcx,%rbp",
        "mov %rbp,-8(%rsp); lea two(%rip),%rbp; mov -8(%rsp),%rbp",
        "lea (%rbp),%rcx; lea two(%rip),%rbp; mov %rcx,%rbp",
        "xor %ecx,%ecx; add %rbp,%rcx; nop; nop; lea two(%rip),%rbp; mov %rcx,%rbp",
    ],
)
def test_a_table_whose_address_comes_to_a_jump_on_a_way_of_its_own_counts(keeps: str, tmp_path: Path):
    text = _TWO_TABLES.format(begin="lea two(%rip),%rbp", first=f"{keeps}; jmp 6f", jump=_JUMP, again="jmp 6b")
    assert set(calls(bare(tmp_path, text, "-s")).sites) == {"swapon", "acct", "swapoff", "reboot"}


def test_a_case_beyond_the_entries_that_are_read_hides_nothing(tmp_path: Path):
    """The case before falls into ``case 1500``; to this comes, too, the number that was set before the switch."""
    text = (
        "mov $163,%eax; cmp $1500,%edi; ja 9f; mov %edi,%edi; lea long_(%rip),%rbp; movslq (%rbp,%rdi,4),%r11; "
        "add %rbp,%r11; jmp *%r11; 9: hlt; a: mov $167,%eax; b: syscall; hlt; "
        ".section .rodata; .p2align 2; long_: .rept 1500; .long a - long_; .endr; .long b - long_; .text"
    )
    found = calls(bare(tmp_path, text, "-s"))
    assert "acct" in found.sites or not found.complete


def test_a_table_is_not_as_short_as_a_case_says_that_falls_into_its_switch(tmp_path: Path):
    """``case 0: y &= 1; case 1: n = acct; switch (y) { case 0: break; case 1: n = swapoff; case 2: syscall(n); }``."""
    text = (
        "cmp $1,%rdi; ja 9f; lea outer(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax; "
        "masked: and $1,%esi; whole: mov $163,%ebx; "
        "lea inner(%rip),%rdx; movslq (%rdx,%rsi,4),%rax; add %rdx,%rax; jmp *%rax; "
        "one: mov $168,%ebx; two: mov %ebx,%eax; syscall; 9: hlt; "
        ".section .rodata; outer: .long masked - outer, whole - outer; "
        "inner: .long 9b - inner, one - inner, two - inner; .text"
    )
    assert set(calls(bare(tmp_path, text, "-s")).sites) == {"acct", "swapoff"}


@pytest.mark.parametrize(("last", "sites"), [("1", {"swapon"}), ("2", {"acct", "swapon"})])
def test_a_table_is_as_long_as_the_comparisons_on_all_ways_to_it_say(last: str, sites: set[str], tmp_path: Path):
    """Where a switch is laid once for two places that come to it, each compares; the third entry is not the table's."""
    text = (
        "mov $163,%ebx; cmp $7,%rsi; jne 7f; cmp $1,%rdi; ja 9f; "
        "8: lea one(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax; "
        f"7: cmp ${last},%rdi; jbe 8b; 9: hlt; a: mov $167,%ebx; b: mov %ebx,%eax; syscall; hlt; "
        ".section .rodata; one: .long a - one, a - one, b - one; .text"
    )
    assert set(calls(bare(tmp_path, text, "-s")).sites) == sites


@pytest.mark.parametrize(("over", "sites"), [("9f", {"swapon"}), ("8f", {"acct", "swapon"})])
def test_a_comparison_whose_branch_leads_where_control_goes_anyway_says_nothing_of_a_table(
    over: str, sites: set[str], tmp_path: Path
):
    text = (
        f"mov $163,%ebx; cmp $1,%rdi; ja {over}; "
        "8: lea one(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax; "
        "9: hlt; a: mov $167,%ebx; b: mov %ebx,%eax; syscall; hlt; "
        ".section .rodata; one: .long a - one, a - one, b - one; .text"
    )
    assert set(calls(bare(tmp_path, text, "-s")).sites) == sites


_CLAMPED = "mov $1,%ecx; cmp $1,%rdi; cmovb %rdi,%rcx; mov %rcx,%rdi"


@pytest.mark.parametrize(
    ("compared", "sites"),
    [
        ("lea -1(%rdi),%rax; cmp $1,%rax; jae 9f", {"swapon"}),
        ("lea -1(%rdi),%rax; cmp $2,%rax; jae 9f", {"acct", "swapon"}),
        ("mov %edi,%eax; add $-1,%eax; cmp $1,%eax; jae 9f", {"swapon"}),
        ("mov %rdi,%rax; dec %rax; cmp $0,%rax; ja 9f", {"swapon"}),
        ("mov %rdi,%rax; shr %rax; cmp $1,%rax; jae 9f", {"acct", "swapon"}),
        ("lea -1(%rdi),%rax; inc %rdi; cmp $1,%rax; jae 9f", {"acct", "swapon"}),
        ("lea -1(%rsi),%rax; cmp $1,%rax; jae 9f", {"acct", "swapon"}),
        ("lea -1(%rdi),%rax; test %rsi,%rsi; cmovne %rsi,%rax; cmp $1,%rax; jae 9f", {"acct", "swapon"}),
        ("xor %eax,%eax; test %rsi,%rsi; je 6f; lea -1(%rdi),%rax; 6: cmp $1,%rax; jae 9f", {"acct", "swapon"}),
        (_CLAMPED, {"swapon"}),
        (_CLAMPED.replace("mov $1", "mov $2"), {"acct", "swapon"}),
        (_CLAMPED.replace("cmp $1", "cmp $3"), {"acct", "swapon"}),
        (_CLAMPED.replace("cmovb", "cmovae"), {"acct", "swapon"}),
        ("mov $1,%ecx; cmp $2,%rdi; cmovae %rcx,%rdi", {"swapon"}),
        ("cmp $1,%rdi; cmova %rdx,%rcx", {"acct", "swapon"}),
        ("mov $1,%edi", {"swapon"}),
        ("mov $2,%edi", {"acct", "swapon"}),
        ("cmp $2,%rdi; lea 1(%rdi),%rdi; jae 9f", {"acct", "swapon"}),
        ("mov (%rsi),%rdi", {"acct", "swapon"}),
    ],
)
def test_a_table_is_as_long_as_what_is_made_of_its_number_says(compared: str, sites: set[str], tmp_path: Path):
    """``match n - 1 { 0 => ... }`` through a table of ``n``, and ``match min(n, 1)``, as in Rust's ``mpmc``."""
    text = (
        f"mov $163,%ebx; {compared}; lea one(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax; "
        "9: hlt; a: mov $167,%ebx; b: mov %ebx,%eax; syscall; hlt; "
        ".section .rodata; one: .long a - one, a - one, b - one; .text"
    )
    found = calls(bare(tmp_path, text, "-s"))
    assert set(found.sites) == sites
    assert found.complete


@pytest.mark.parametrize(
    ("compared", "sites"),
    [
        ("cmp $0x10000,%edi; jae 9f; cmp $1,%di; ja 9f", {"swapon"}),
        ("cmp $0x10000,%edi; jae 9f; nop; cmp $1,%di; jbe 8f; hlt; 8:", {"swapon"}),
        ("cmp $1,%di; ja 9f; movzwl %di,%edi", {"swapon"}),
        ("cmp $1,%di; ja 9f; mov %edi,%edi", {"acct", "swapon"}),
        ("cmp $1,%di; ja 9f; movzbl %dil,%edi", {"acct", "swapon"}),
        ("cmp $0x10000,%esi; jae 9f; cmp $1,%di; ja 9f", {"acct", "swapon"}),
        ("cmp $0x10000,%edi; jae 7f; nop; 7: cmp $1,%di; ja 9f", {"acct", "swapon"}),
        ("cmp $0x10001,%edi; jae 9f; cmp $1,%di; ja 9f", {"acct", "swapon"}),
        ("cmp $0x200,%edi; jae 9f; cmp $1,%dil; ja 9f", {"acct", "swapon"}),
    ],
)
def test_a_comparison_of_low_bits_counts_where_there_are_no_others(compared: str, sites: set[str], tmp_path: Path):
    """``switch (@as(E, @enumFromInt(@as(u16, @intCast(errno)))))``, which is how Zig reads it."""
    text = (
        f"mov $163,%ebx; {compared}; lea one(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax; "
        "9: hlt; a: mov $167,%ebx; b: mov %ebx,%eax; syscall; hlt; "
        ".section .rodata; one: .long a - one, a - one, b - one; .text"
    )
    found = calls(bare(tmp_path, text, "-s"))
    assert set(found.sites) == sites or not found.complete
    assert found.complete or sites == {"acct", "swapon"}


def test_a_number_that_a_conditional_move_keeps_from_falling_below_zero_says_nothing_of_a_table(tmp_path: Path):
    """``if b < 6 { 0 } else { b - 5 }``: variants of an enum of Rust's that share a byte with those of another."""
    text = (
        "movzbl %sil,%edi; sub $5,%rdi; cmp $6,%sil; mov $0,%eax; cmovb %rax,%rdi; "
        "lea one(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax; "
        "a: mov $167,%eax; b: syscall; hlt; "
        ".section .rodata; one: .long a - one, a - one; .text"
    )
    found = calls(bare(tmp_path, text, "-s"))
    assert set(found.sites) == {"swapon"}
    assert found.complete
    kept = calls(bare(tmp_path, text.replace("cmovb", "cmp"), "-s"))
    assert not kept.complete


_UNCOMPARED = (
    "mov entry(%rip),%rbx; {number}; lea one(%rip),%rcx; movslq (%rcx,%rax,4),%rax; add %rcx,%rax; jmp *%rax; "
    ".La: mov $39,%edi; call *%rbx; hlt; .Lb: mov $163,%edi; call *%rbx; hlt; "
    ".p2align 4; .type other,@function; other: {takes} {named}(%rip),%rcx; movslq (%rcx,%rax,4),%rax; add %rcx,%rax; "
    "jmp *%rax; .Lc: hlt; .size other,.-other; "
    ".p2align 4; .type made,@function; made: mov %edi,%eax; syscall; ret; .size made,.-made; "
    ".section .rodata; one: .long .La - one, .Lb - one; two: .long .Lc - two; "
    r".section .got,\"aw\"; entry: .quad made; .text"
)


@pytest.mark.parametrize("number", ["mov (%rsp),%rax", "movzbl (%rsp),%eax", "movzbl (%rsp),%eax; dec %eax"])
def test_a_table_ends_where_another_one_begins_that_leads_away(number: str, tmp_path: Path):
    """Rust compares no number of an enum's variant: read beyond its end, a table leads into other functions."""
    found = calls(bare(tmp_path, _UNCOMPARED.format(number=number, takes="lea", named="two")))
    assert set(found.sites) == {"getpid", "acct"}
    assert found.complete
    assert not calls(bare(tmp_path, _UNCOMPARED.format(number=number, takes="mov", named="two"))).complete


def test_a_table_goes_on_where_code_takes_the_address_of_an_entry(tmp_path: Path):
    text = _UNCOMPARED.format(number="mov (%rsp),%rax", takes="lea", named="one + 4")
    assert "acct" in calls(bare(tmp_path, text)).sites


def test_a_fallback_that_a_table_leads_to_as_well_is_made(tmp_path: Path):
    """``case 0: r = pipe2(); if (r != -ENOSYS) return; case 1: swapon();``."""
    text = (
        f"{JUMP}; first: mov $293,%eax; syscall; cmp $-38,%rax; jne 9f; second: mov $167,%eax; syscall; 9: hlt; {TABLE}"
    )
    assert "swapon" in calls(bare(tmp_path, text, "-s")).required
    without = text.replace(", second - table", "")
    assert "swapon" not in calls(bare(tmp_path, without, "-s")).required


def test_what_follows_exit_group_is_made_where_a_table_leads_there(tmp_path: Path):
    text = f"{JUMP}; first: mov $231,%eax; syscall; second: mov $60,%eax; syscall; hlt; {TABLE}"
    assert "exit" in calls(bare(tmp_path, text, "-s")).required
    assert "exit" not in calls(bare(tmp_path, text.replace(", second - table", ""), "-s")).required


_MERGED = (
    "mov $163,%eax; and $1,%edx; test %edi,%edi; je 1f; FIRST; jmp 2f; 1: lea tB(%rip),%rbx; "
    "movslq (%rbx,%rdx,4),%r11; add %rbx,%r11; 2: nop; jmp *%r11; 3: mov $39,%eax; 4: syscall; hlt"
)


_CHOSEN = (
    "mov $163,%eax; and $1,%edx; FIRST; lea tB(%rip),%rbp; test %edi,%edi; cmove %rcx,%rbp; "
    "movslq (%rbp,%rdx,4),%r11; lea .L3(%rip),%rbp; add %rbp,%r11; jmp *%r11; 3: mov $39,%eax; 4: syscall; hlt"
)
_READS = "lea tA(%rip),%rcx; movslq (%rcx,%rdx,4),%r11; add %rcx,%r11"


@pytest.mark.parametrize("first", [_READS, "lea .L4(%rip),%r11"], ids=["table", "label"])
def test_ways_that_come_to_one_jump_through_tables_count_together(first: str, tmp_path: Path):
    """Compilers merge the jumps of two tables; of one a number comes that is not seen on the other's way."""
    found = calls(bare(tmp_path, with_tables(_MERGED.replace("FIRST", first))))
    assert set(found.sites) == {"acct", "getpid"}
    assert found.complete


def test_a_jump_to_a_label_that_was_named_before_a_branch_is_understood(tmp_path: Path):
    """``goto *(n < 2 ? &&origin + distances[n] : &&other)``, with something between the branch and the second jump."""
    text = (
        "sub $24,%rsp; mov $163,%eax; and $1,%edx; lea .L4(%rip),%r11; test %edi,%edi; je 2f; lea tB(%rip),%rbx; "
        "movslq (%rbx,%rdx,4),%r11; add %rbx,%r11; jmp *%r11; 2: xor %ecx,%ecx; jmp *%r11; 3: mov $39,%eax; "
        "4: syscall; hlt"
    )
    found = calls(bare(tmp_path, with_tables(text)))
    assert set(found.sites) == {"acct", "getpid"}
    assert found.complete


@pytest.mark.parametrize("then", ["", "; mov %rbp,%rbx; mov %rbx,%rbp"], ids=["chosen", "copied"])
def test_one_of_two_tables_that_is_chosen_without_a_branch(then: str, tmp_path: Path):
    """``table = k ? one : two; goto *(&&origin + table[n])``."""
    text = _CHOSEN.replace("FIRST", "lea tA(%rip),%rcx").replace("cmove %rcx,%rbp", f"cmove %rcx,%rbp{then}")
    found = calls(bare(tmp_path, with_tables(text, ".L3").replace("- tB", "- .L3")))
    assert set(found.sites) == {"acct", "getpid"}
    assert found.complete


def test_a_table_that_is_chosen_from_memory_is_not_read(tmp_path: Path):
    tables = with_tables(_CHOSEN.replace("FIRST", "mov kept(%rip),%rcx"), ".L3").replace("- tB", "- .L3")
    assert not calls(bare(tmp_path, f"{tables}; .data; kept: .quad tA; .text")).complete
    found = calls(bare(tmp_path, tables.replace("tA:", ".p2align 3; kept: .quad tA; tA:")))
    assert found.complete  # nobody writes there
    assert set(found.sites) == {"acct", "getpid"}


def test_of_a_way_whose_table_is_not_read_no_number_is_lost(tmp_path: Path):
    first = "lea tA(%rip),%rcx; lea (%rcx,%rdx,4),%r11; movslq (%r11),%r11; add %rcx,%r11"
    found = calls(bare(tmp_path, with_tables(_MERGED.replace("FIRST", first))))
    assert "acct" in found.sites or not found.complete


@pytest.mark.parametrize(
    "adding",
    [
        "lea .L3(%rip),%rbx; movslq (%rcx,%rdx,4),%r11; add %rbx,%r11",
        "lea .L3(%rip),%rbx; movslq (%rcx,%rdx,4),%r11; add %r11,%rbx; mov %rbx,%r11",
        "movslq (%rcx,%rdx,4),%r11; lea .L3(%rip),%rcx; add %rcx,%r11",
    ],
    ids=["another register", "the other way round", "the same register"],
)
def test_distances_from_a_label(adding: str, tmp_path: Path):
    """``goto *(&&origin + distances[n])``, as in glibc's ``printf`` before 2.33."""
    text = f"mov $163,%eax; and $1,%edx; lea tA(%rip),%rcx; {adding}; jmp *%r11; 3: mov $39,%eax; 4: syscall; hlt"
    found = calls(bare(tmp_path, with_tables(text, ".L3")))
    assert set(found.sites) == {"acct", "getpid"}
    assert found.complete


_SHARED = """
__asm__(".globl odd,kept\\n.type odd,@function\\nodd: push %%rbx; mov $163,%%ebx; mov %s@GOTPCREL(%%rip),%%r15; "
        "test %%edi,%%edi; je 1f; call abort@plt; 2: and $1,%%edx; movslq (%%r15,%%rdx,4),%%r11; add %%r15,%%r11; "
        "jmp *%%r11; 4: mov $167,%%ebx; 3: mov %%ebx,%%eax; syscall; pop %%rbx; ret; 1: lea own(%%rip),%%r15; jmp 2b; "
        ".size odd,.-odd; .section .rodata; kept: .long 3b - kept, 3b - kept; own: .long 4b - own, 4b - own; .text");
"""


def test_the_address_of_what_another_file_has_is_no_tables(tmp_path: Path):
    """Behind ``_Unwind_Resume`` stand cases of Rust's: its register holds that of ``__errno_location`` there."""
    odd = library(tmp_path, "odd", _SHARED % "abort")
    found = calls(build(tmp_path, "program", "int odd(int); int main(void) { return odd(1); }", "-lodd"), (odd,))
    assert found.complete
    assert "swapon" in found.required


def test_a_table_may_be_what_another_file_could_replace(tmp_path: Path):
    odd = library(tmp_path, "odd", _SHARED % "kept")
    found = calls(build(tmp_path, "program", "int odd(int); int main(void) { return odd(1); }", "-lodd"), (odd,))
    assert "acct" in found.required or not found.complete


@pytest.mark.parametrize(("before", "told"), [("nop", True), (".p2align 4", False)])
def test_a_case_may_begin_with_a_nop_but_not_behind_padding(before: str, told: bool, tmp_path: Path):
    """Go marks inlined calls so, and passes numbers on the stack; what stands at a boundary may be another function."""
    text = (
        f"sub $24,%rsp; {JUMP}; first: movq $163,(%rsp); call f; hlt; "
        f"second: {before}; movq $167,(%rsp); call f; hlt; f: mov 8(%rsp),%rax; syscall; ret; {TABLE}"
    )
    found = calls(bare(tmp_path, text, "-s"))
    assert found.complete == told
    assert set(found.sites) == ({"acct", "swapon"} if told else {"acct"})


def test_a_jump_to_which_only_who_takes_its_address_can_lead_reads_no_table(tmp_path: Path):
    """So stands musl's ``call`` for ``atexit`` behind ``abort``, without a table that says where functions start."""
    text = (
        "lea g(%rip),%rsi; call f; hlt; f: mov $163,%eax; syscall; call e; g: jmp *%rdi; e: mov $167,%eax; syscall; hlt"
    )
    found = calls(bare(tmp_path, text, "-s", "-fno-asynchronous-unwind-tables"))
    assert found.complete
    assert set(found.sites) == {"acct", "swapon"}
