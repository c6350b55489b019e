"""Ways that control takes through tables, stored addresses and changed return addresses: none hides a call.

Each was found as a program of which a call was missed, with compilers' usual options; ``swapon``, ``swapoff``,
``acct`` and ``reboot`` tell which way was seen.
"""

import sys
from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled"),
]

JUMP = "lea table(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax"
UNOPTIMISED = (
    "mov %edi,%eax; lea 0(,%rax,4),%rdx; lea table(%rip),%rax; mov (%rdx,%rax,1),%eax; cltq; "
    "lea table(%rip),%rdx; add %rdx,%rax; jmp *%rax"
)
TABLE = ".section .rodata; table: .long first - table, second - table; .text"


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


@pytest.mark.parametrize("plain", ["lea base(%rip),%rdx", "add $base,%rsp", "mov $base,%edx; add %rcx,%rax"])
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
