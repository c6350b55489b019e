"""Ways into the kernel that decoding from the start of a function does not show, or whose numbers mean something else.

Each program makes a call that is not in its list: then the list says that it is not complete.
"""

from pathlib import Path

import pytest
from compiled import bare, build, calls, library, needs_compiler

pytestmark = needs_compiler

_EXIT = "mov $60,%eax; syscall; hlt"
_INSIDE = "middle: mov $0xf4050f,%ecx"
"""``b9``, and the bytes of ``syscall; hlt``."""


@pytest.mark.parametrize(
    "text",
    [
        f"mov $163,%eax; jmp middle + 1; {_INSIDE}; {_EXIT}",
        f"mov $163,%eax; test %rdi,%rdi; jne middle + 1; {_INSIDE}; {_EXIT}",
        f"mov $163,%eax; lea middle+1(%rip),%rbx; call *%rbx; {_EXIT}; {_INSIDE}; ret",
        f"mov $163,%eax; call other; {_EXIT}; {_INSIDE}; ret; .p2align 4; other: jmp middle + 1",
        f"mov $163,%eax; call other; {_EXIT}; {_INSIDE}; ret; .skip 200,0x90; .p2align 4; other: bnd jmp middle + 1",
        f"mov $163,%eax; jmp 2f; 1: {_INSIDE}; .byte 0x05; 2: jmp middle + 1; {_EXIT}",
        f'jmp 1f; .ascii "constants among code\\xb8"; 1: mov $163,%eax; syscall; {_EXIT}'.replace('"', r"\""),
    ],
    ids=["jump", "branch", "address", "from elsewhere", "prefixed", "by a hidden jump", "behind constants"],
)
def test_a_site_in_the_middle_of_an_instruction_is_reported_where_something_leads_there(text: str, tmp_path: Path):
    found = calls(bare(tmp_path, text.replace(r"\xb8", r"\\270")))
    assert "acct" not in found.required
    assert "it leads into the middle of an instruction, and from there to a system call" in {
        gap.reason for gap in found.unresolved
    }


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [
        ("0xc4,0xe2,0x71,0x50,0xc2", "it is a system call behind an instruction that is not known"),  # vpdpbusd
        ("0xf2,0x0f,0x38,0xf8,0x00", "it is a system call behind an instruction that is not known"),  # enqcmd
        ("0xc4,0xe2,0x79,0xe6,0x08", "no way leads to this code but one that is computed"),  # cmpbexadd
    ],
)
def test_a_site_behind_an_instruction_that_is_not_known_is_reported(unknown: str, reason: str, tmp_path: Path):
    found = calls(bare(tmp_path, f"mov $163,%eax; .byte {unknown}; syscall; {_EXIT}"))
    assert reason in {gap.reason for gap in found.unresolved}


def test_nothing_is_behind_what_will_never_be_an_instruction(tmp_path: Path):
    """A table before each function of Haskell's, and a store of an address that ends with ``0f 05``."""
    table = "jmp *%rax; xchg %ax,%ax; .quad 2; .byte 0x1e,0,0,0,0xd0,0x97,0x67,1; movq $0x2050f68,0(%rbp); jmp *%rax"
    assert not [gap for gap in calls(bare(tmp_path, f"{table}; {_EXIT}")).unresolved if "not known" in gap.reason]


def test_a_site_in_the_middle_of_an_instruction_that_nothing_leads_to_is_none(tmp_path: Path):
    assert calls(bare(tmp_path, f"jmp 1f; {_INSIDE}; 1: {_EXIT}")).complete


def test_what_fills_code_behind_a_call_reaches_over_no_target_of_a_jump(tmp_path: Path):
    """glibc 2.43's ``____longjmp_chk`` fills with 0x05, of which each one takes four bytes more."""
    text = f"test %rdi,%rdi; jne 1f; call never; .skip 6,5; 1: mov $163,%eax; syscall; {_EXIT}; never: ud2"
    found = calls(bare(tmp_path, text))
    assert found.complete
    assert set(found.sites) == {"acct", "exit"}


def test_a_site_in_what_fills_code_is_reported_where_a_call_comes_back_there(tmp_path: Path):
    over = "1: mov $0x0f000000,%ecx; add $0x1000000,%eax"  # ``05 b9 00 00 00``, and ``0f 05``
    found = calls(bare(tmp_path, f"test %rdi,%rdi; jne 1f; call back; .skip 6,5; {over}; {_EXIT}; back: ret"))
    assert "it is a system call behind an instruction that is not known" in {gap.reason for gap in found.unresolved}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mov $51,%eax; int $0x80", "it makes calls of another architecture"),
        ("mov $51,%eax; .byte 0x48; int $0x80", "it makes calls of another architecture"),
        ("mov $51,%eax; sysenter", "it makes calls of another architecture"),
        ("mov $0x400000a3,%eax; syscall", "the number is one of the x32 ABI"),
    ],
    ids=["i386", "i386 behind a prefix", "i386 by sysenter", "x32"],
)
def test_calls_by_numbers_of_another_abi_are_reported(text: str, reason: str, tmp_path: Path):
    found = calls(bare(tmp_path, f"{text}; {_EXIT}"))
    assert [gap.reason for gap in found.unresolved] == [reason]
    assert set(found.sites) == {"exit"}


@pytest.mark.parametrize("way", ["call c", "jmp c", "test %rdi,%rdi; jne c"])
def test_a_site_among_constants_that_can_run_is_reported_where_a_branch_leads_there(way: str, tmp_path: Path):
    text = f"mov $163,%eax; {way}; {_EXIT}; .section .rodata; .quad 1; c: nop; syscall; hlt; .text"
    found = calls(bare(tmp_path, text, "-Wl,-z,noseparate-code"))
    assert "acct" not in found.required
    assert [gap.reason for gap in found.unresolved] == ["it leads to a system call outside of the sections of code"]


def test_a_site_among_constants_that_no_branch_leads_to_is_none(tmp_path: Path):
    text = f"mov c(%rip),%eax; {_EXIT}; .section .rodata; .quad 1; c: nop; syscall; hlt; .text"
    assert calls(bare(tmp_path, text, "-Wl,-z,noseparate-code")).complete


def test_a_site_in_the_rest_of_a_page_is_reported_where_a_call_leads_there(tmp_path: Path):
    program = bare(tmp_path, f"mov $163,%eax; call 0x401800; {_EXIT}")
    data = program.read_bytes()
    assert len(data) < 0x1800
    program.write_bytes(data.ljust(0x1800, b"\0") + b"\x90\x0f\x05\xf4")
    assert [gap.reason for gap in calls(program).unresolved] == [
        "it leads to a system call outside of the sections of code"
    ]


def test_code_that_can_be_written_is_reported(tmp_path: Path):
    found = calls(bare(tmp_path, f"mov $163,%eax; call c; {_EXIT}; .data; c: syscall; ret; .text", "-Wl,-N"))
    assert "what it runs can be written while it runs" in {gap.reason for gap in found.unresolved}


def test_a_stack_that_can_be_run_is_reported(tmp_path: Path):
    text = f"push $0xc3050f; mov $163,%eax; call *%rsp; {_EXIT}"
    assert calls(bare(tmp_path, text)).complete  # it would be killed
    found = calls(bare(tmp_path, text, "-Wl,-z,execstack"))
    assert [gap.reason for gap in found.unresolved] == ["what it puts on its stack can be run"]


def test_a_library_that_makes_the_stack_run_is_reported(tmp_path: Path):
    library(tmp_path, "nested", "void f(void) {}", "-Wl,-z,execstack")
    found = calls(build(tmp_path, "uses", "void f(void); int main(void) { f(); }", "-lnested"))
    assert [gap.reason for gap in found.unresolved] == ["what it puts on its stack can be run"]
