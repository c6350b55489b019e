"""Ways into the kernel that decoding from the start of a function does not show, or whose numbers mean something else.

Each program makes a call that is not in its list: then the list says that it is not complete.
"""

from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler

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
        f'jmp 1f; .ascii "constants among code\\xb8"; 1: mov $163,%eax; syscall; {_EXIT}'.replace('"', r"\""),
    ],
    ids=["jump", "branch", "address", "from elsewhere", "behind constants"],
)
def test_a_site_in_the_middle_of_an_instruction_is_reported_where_something_leads_there(text: str, tmp_path: Path):
    found = calls(bare(tmp_path, text.replace(r"\xb8", r"\\270")))
    assert "acct" not in found.required
    assert "it leads into the middle of an instruction, and from there to a system call" in {
        gap.reason for gap in found.unresolved
    }


def test_a_site_in_the_middle_of_an_instruction_that_nothing_leads_to_is_none(tmp_path: Path):
    assert calls(bare(tmp_path, f"jmp 1f; {_INSIDE}; 1: {_EXIT}")).complete


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mov $51,%eax; int $0x80", "it makes calls of another architecture"),
        ("mov $0x400000a3,%eax; syscall", "the number is one of the x32 ABI"),
    ],
    ids=["i386", "x32"],
)
def test_calls_by_numbers_of_another_abi_are_reported(text: str, reason: str, tmp_path: Path):
    found = calls(bare(tmp_path, f"{text}; {_EXIT}"))
    assert [gap.reason for gap in found.unresolved] == [reason]
    assert set(found.sites) == {"exit"}
