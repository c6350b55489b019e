"""Code behind branches that what all callers pass decides, as in musl's ``pipe2`` and ``clock_nanosleep``."""

from pathlib import Path

import pytest
from compiled import bare, build, calls, freestanding, library, needs_compiler

pytestmark = needs_compiler

_PIPE2 = """
OUTLINE static long older(long fds) { return call(22, fds, 0, 0); }
OUTLINE static long pipe2(long fds, int flags) {
    if (!flags) return older(fds);
    long result = call(293, fds, flags, 0);
    return result == -38 ? older(fds) : result;
}
OUTLINE static long one(long n) { return pipe2(n, 02000000); }
%s
"""
_SLEEP = """
OUTLINE static long sleep_on(int clock, int flags, long time) {
    return clock || flags ? call(230, clock, flags, time) : call(35, time, 0, 0);
}
OUTLINE static long run(long n) { return sleep_on(%s, 0, n) + sleep_on(0, %s, n + 1); }
"""


@pytest.mark.parametrize(
    ("made", "run"),
    [
        (False, "OUTLINE static long run(long n) { return one(n) + pipe2(n + 1, 04000); }"),
        (True, "OUTLINE static long run(long n) { return one(n) + pipe2(n + 1, 0); }"),
        (True, "OUTLINE static long run(long n) { return one(n) + pipe2(n, n); }"),
        (True, "OUTLINE static long run(long n) { return one(n) + older(n); }"),
        (
            True,
            "long (*volatile f)(long, int) = pipe2; OUTLINE static long run(long n) { return one(n) + f(n, n); }",
        ),
    ],
    ids=["flags", "no-flags", "unknown", "itself", "through-pointer"],
)
def test_an_older_call_is_made_by_who_asks_for_it(tmp_path: Path, made: bool, run: str):
    found = freestanding(tmp_path, _PIPE2 % run)
    assert "pipe2" in found.required
    assert ("pipe" in found.required) is made


@pytest.mark.parametrize(
    ("clock", "flags", "expected"),
    [("0", "0", {"nanosleep"}), ("0", "1", {"clock_nanosleep", "nanosleep"}),
     ("n", "0", {"clock_nanosleep", "nanosleep"})],
)  # fmt: skip
def test_two_arguments_decide(tmp_path: Path, clock: str, flags: str, expected: set[str]):
    found = freestanding(tmp_path, _SLEEP % (clock, flags))
    assert {"clock_nanosleep", "nanosleep"} & set(found.required) == expected


_DECIDED = (
    "mov (%rsp),%rdi; mov $1,%esi; call f; hlt; .p2align 4; "
    "f: test %edi,%edi; je .Lother; test {compared},{compared}; .Lat: je .Lolder; mov $293,%eax; syscall; ret; "
    ".Lolder: mov $22,%eax; syscall; ret; .Lother: xor %ecx,%ecx; {last}"
)
"""``esi`` is 1 for all callers, ``edi`` is whatever the program is started with."""


@pytest.mark.parametrize(
    ("made", "compared", "last"),
    [
        ({"pipe2"}, "%esi", "hlt"),
        ({"pipe2", "pipe"}, "%esi", "jmp .Lat"),
        ({"pipe2", "pipe"}, "%edi", "hlt"),
    ],
    ids=["known", "a-jump-between-comparison-and-branch", "unknown"],
)
def test_a_branch_is_decided_by_the_comparison_before_it(tmp_path: Path, made: set[str], compared: str, last: str):
    assert set(calls(bare(tmp_path, _DECIDED.format(compared=compared, last=last))).sites) == made


def test_code_to_which_nothing_that_is_seen_leads_is_not_dead(tmp_path: Path):
    """Its address is computed from that of the function in front of it, which is eight bytes long."""
    text = (
        "lea f(%rip),%rax; add $8,%rax; call *%rax; hlt; .p2align 4; "
        "f: mov $39,%eax; syscall; ret; mov $22,%eax; syscall; ret"
    )
    assert set(calls(bare(tmp_path, text)).sites) == {"getpid", "pipe"}


_LABEL = (
    "; test %esi,%esi; je .Lolder; mov $293,%eax; syscall; {}; .Lolder: mov $22,%eax; syscall; hlt; hlt; .size f,.-f"
)
_JUMPING = "mov (%rsp),%rsi; mov %rcx,-8(%rsp); jmp *-8(%rsp); .p2align 4; .type f,@function; f: "
_HELD = ".data; {}at: .quad .Lin; .text; mov at(%rip),%rcx; " + _JUMPING + "mov $1,%esi; .Lin:"
_SUM = "lea f(%rip),%rbx; lea .Lin-f(%rbx),%rcx; " + _JUMPING


@pytest.mark.parametrize(
    "text",
    [
        _SUM + "mov $1,%esi; jmp .Lin; .Lin:",
        _SUM + "mov $1,%esi; nop; .Lin:",
        _SUM + "mov $1,%esi; .Lin:",
        "lea .Lin(%rip),%rcx; " + _JUMPING + "mov $1,%esi; .Lin:",
        "mov $1,%esi; call f; lea f(%rip),%rcx; " + _JUMPING,
        _HELD.format(""),
        _HELD.format(".byte 1; "),
    ],
    ids=["behind a jump", "behind padding", "in between", "named", "a function", "held in memory", "packed"],
)
def test_who_comes_by_an_address_may_bring_anything(text: str, tmp_path: Path):
    """GCC's ``&&label`` (Labels as Values) may be kept in memory, and gone to from there."""
    assert "pipe" in calls(bare(tmp_path, text + _LABEL.format("hlt"))).required


def test_a_function_may_jump_back_to_its_beginning_with_another_parameter(tmp_path: Path):
    text = "mov $1,%esi; call f; hlt; .p2align 4; f: " + _LABEL.format("xor %esi,%esi; jmp f").removeprefix("; ")
    assert "pipe" in calls(bare(tmp_path, text)).required


def test_a_branch_to_what_stands_behind_it_decides_nothing(tmp_path: Path):
    text = "mov $1,%esi; call f; hlt; .p2align 4; f: test %esi,%esi; jne 1f; 1: mov $22,%eax; syscall; hlt"
    assert "pipe" in calls(bare(tmp_path, text)).required


_SWITCH = "cmp $1,%ecx; ja .Lend; {}.Lelse: mov $293,%eax; syscall; .Lend: ret".format(
    "lea .Ltable(%rip),%rdx; movslq (%rdx,%rcx,4),%rax; add %rdx,%rax; jmp *%rax; "
)
_CASES = (
    "mov (%rsp),%ecx; mov $1,%esi; call f; hlt; .p2align 4; .type g,@function; g: test %edi,%edi; jne 1f; ud2; 1: ret; "
    ".size g,.-g; .p2align 4; .type f,@function; f: {}; .size f,.-f; "
    ".section .rodata; .p2align 2; .Ltable: .long .Lelse - .Ltable, .Lolder - .Ltable; .text"
)
_OLDER = ".Lolder: mov $22,%eax; syscall; ret; "


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (True, "test %esi,%esi; je .Lolder; " + _SWITCH + "; " + _OLDER),
        (True, "test %esi,%esi; je .Lswitch; test %edi,%edi; jne .Lend; nop; " + _OLDER + ".Lswitch: " + _SWITCH),
        (True, "test %esi,%esi; je .Lswitch; call g; nop; " + _OLDER + ".Lswitch: " + _SWITCH),
        (False, "test %esi,%esi; je .Lswitch; jmp .Lend; nop; " + _OLDER + ".Lswitch: " + _SWITCH),
    ],
    ids=["through-the-table", "behind-a-branch", "behind-a-call", "through-a-table-that-is-never-used"],
)
def test_control_comes_to_a_case_through_its_table_or_from_before_it(made: bool, text: str, tmp_path: Path):
    found = calls(bare(tmp_path, _CASES.format(text)))
    assert found.complete
    assert ("pipe" in found.required) is made


def test_what_comes_from_another_part_of_a_huge_function_is_not_known(tmp_path: Path):
    """8 KiB of it are decoded at once; one instruction lies across two of these parts."""
    text = (
        ".type _start,@function; .skip 8190,0x50; mov $0x50505027,%ebx; test %esi,%esi; mov $1,%esi; jmp 1f; "
        ".skip 100,0x90; 1: test %esi,%esi; je 2f; mov $293,%eax; syscall; hlt; 2: mov $22,%eax; syscall; hlt; "
        ".skip 0x100000,0xf4; .size _start,.-_start"
    )
    assert "pipe" in calls(bare(tmp_path, text)).required


def test_what_others_may_call_is_not_decided_by_a_librarys_own_callers(tmp_path: Path):
    library(
        tmp_path,
        "two",
        '__attribute__((noinline, noipa, visibility("protected"))) long two(int *fds, int flags) {'
        "    long result;"
        '    __asm__ volatile("test %2, %2; jne 1f; mov $22, %%eax; syscall; jmp 2f; 1: mov $293, %%eax; syscall; 2:"'
        '                     : "=a"(result) : "D"(fds), "S"(flags) : "rcx", "r11", "memory");'
        "    return result; }"
        "long one(int *fds) { return two(fds, 04000); }",
    )
    main = "int one(int *); int two(int *, int); int main(void) { int fds[2]; return one(fds) + two(fds, 0); }"
    found = calls(build(tmp_path, "program", main, "-ltwo"))
    assert {"pipe", "pipe2"} <= set(found.required)
