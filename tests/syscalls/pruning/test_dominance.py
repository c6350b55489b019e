"""What is passed on the way to a call proves that it is never made; each way that passes less keeps it."""

from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler

pytestmark = needs_compiler

_TABLE = (
    "mov (%rsp),%rdi; cmp $1,%edi; ja 2f; lea .Ltable(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax; "
    "2: mov $231,%eax; syscall; .Llast: mov $60,%eax; syscall; hlt; .Lelse: hlt; "
    ".section .rodata; .Ltable: .long .Lelse - .Ltable, .Llast - .Ltable; .text"
)
_HUGE = (
    ".type _start,@function; .skip 8190,0x50; mov $0x50505027,%ebx; test %rdi,%rdi; je 1f; mov $231,%eax; syscall; "
    "1: mov $60,%eax; syscall; hlt; .skip 0x100000,0xf4; .size _start,.-_start"
)
"""Of a function that is so large 8 KiB are decoded at once; one instruction lies across two of these parts."""


@pytest.mark.parametrize("text", [_TABLE, _HUGE], ids=["through-a-table", "from-another-part"])
def test_who_comes_from_elsewhere_does_not_pass_the_end_of_the_process(tmp_path: Path, text: str):
    assert "exit" in calls(bare(tmp_path, text)).required


_LIBRARY = (
    '; .section .rodata; .asciz \\"GLIBC_TUNABLES\\"; '
    '.Lfatal: .asciz \\"Fatal glibc error: cannot get entropy for arc4random\\"; .text'
)
_FUNCTION = "{}; call f; hlt; .p2align 4; .type f,@function; f: {}; .size f,.-f"
_ASKS, _DRAWS = "mov $439,%eax; syscall; ", "mov $318,%eax; syscall; "
_LOOKS, _WAITS = "mov $102,%eax; syscall; ", "mov $271,%eax; syscall; "
_COMPARES = "cmp $38,%edi; jne 1f; {}1: "
_NAMES = "lea .Lfatal(%rip),%rsi; "


@pytest.mark.parametrize(
    ("call", "run", "function"),
    [
        ("", "nop", _ASKS + _COMPARES.format(_LOOKS) + "ret"),
        ("getuid", "nop", "test %rsi,%rsi; je 2f; " + _ASKS + "2: " + _COMPARES.format(_LOOKS) + "ret"),
        ("getuid", "nop", _ASKS + _LOOKS + "ret"),
        ("getuid", "cmp $38,%edi", _ASKS + _LOOKS + "ret"),
        ("", "nop", _DRAWS + _NAMES + _WAITS + "ret"),
        ("ppoll", "nop", _DRAWS + _WAITS + "ret"),
        ("ppoll", _WAITS, _NAMES + "ret"),
        ("ppoll", "nop", "test %rsi,%rsi; je 2f; " + _DRAWS + "2: " + _NAMES + _WAITS + "ret"),
    ],
    ids=[
        "unknown-access", "not-asked-on-one-way", "not-compared", "compared-by-a-caller",
        "unknown-randomness", "not-the-librarys", "never-drawn", "not-drawn-on-one-way",
    ],
)  # fmt: skip
def test_an_older_way_is_left_out_only_where_the_newer_one_is_seen_to_be_unknown(
    tmp_path: Path, call: str, run: str, function: str
):
    """As in glibc's ``faccessat`` and ``arc4random``, in assembler."""
    found = calls(bare(tmp_path, _FUNCTION.format(run, function) + _LIBRARY))
    assert found.complete
    assert {"getuid", "ppoll"} & set(found.required) == ({call} if call else set())


_GOING = (
    "test %rdi,%rdi; je f; {}; mov %rcx,-8(%rsp); jmp *-8(%rsp); .p2align 4; .type f,@function; "
    "f: .skip 7,0x50; mov $231,%eax; syscall; {}1: mov $60,%eax; syscall; hlt; .size f,.-f"
)
_FROM_CODE, _COMPUTED = "mov 3f,%ecx; jmp 4f; 3: .long .Lin; 4: nop", "mov $.Lin + 1,%ecx; dec %ecx"
"""A program of fixed addresses reads one from four bytes of its code, or makes it in a way that is not seen."""


@pytest.mark.parametrize(
    ("comes_by", "before"),
    [
        (_FROM_CODE, "jmp 1f; .Lin: mov $39,%ecx; "),
        (_FROM_CODE, "jmp 1f; nop; .Lin: mov $39,%ecx; jmp 1f; "),
        (_FROM_CODE, "call .Lin; .Lin: "),
        (_COMPUTED, "jmp 1f; ud2; .Lin: mov $39,%ecx; "),
    ],
    ids=["aligned", "behind-padding", "called", "not-aligned"],
)
def test_who_comes_to_where_something_begins_does_not_pass_what_stands_before_it(
    tmp_path: Path, comes_by: str, before: str
):
    assert "exit" in calls(bare(tmp_path, _GOING.format(comes_by, before))).required


_PROFILES = (
    "call caller; hlt; .p2align 4; .type caller,@function; caller: lea .Ltext(%rip),%rdi; {}; .size caller,.-caller; "
    ".p2align 4; .type wrapper,@function; wrapper: {}mov $38,%eax; syscall; ret; .size wrapper,.-wrapper; "
    '.section .rodata; .asciz \\"GLIBC_TUNABLES\\"; .Ltext: .asciz \\"file is no correct profile data file\\"; .text'
)
"""``setitimer``, and who names what glibc names where it profiles."""


@pytest.mark.parametrize(
    ("is_made", "ends", "begins"),
    [
        (False, "call wrapper; ret", ""),
        (True, "call wrapper; ret", "inc %edi; " * 6),
        (True, "jmp wrapper", ""),
        (True, "mov $38,%eax; syscall; ret", ""),
    ],
    ids=["wrapper", "does-more", "jumped-to", "itself"],
)
def test_only_a_plain_wrapper_is_its_callers(tmp_path: Path, is_made: bool, ends: str, begins: str):
    found = calls(bare(tmp_path, _PROFILES.format(ends, begins)))
    assert found.complete
    assert ("setitimer" in found.required) is is_made
