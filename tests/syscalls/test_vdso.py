"""Calls that the kernel's code makes for a program: the vDSO by name, the vsyscall page by address."""

import pytest
from assembled import X86, program

from binsafe.syscalls import analyse
from binsafe.syscalls.conventions import CONVENTIONS

NEVER_IN_THE_CODE = CONVENTIONS["x86_64"].implied()


def implied(code: bytes = b"", data: bytes = b"") -> set[str]:
    assembler = X86()
    assembler.put(code + b"\xc3")
    found = analyse(program(assembler, data=data))
    assert found is not None
    return set(found.required) - set(NEVER_IN_THE_CODE)


def test_a_program_that_asks_for_nothing_has_nothing_done_for_it():
    assert implied() == set()


@pytest.mark.parametrize("name", ["clock_gettime", "gettimeofday", "clock_getres", "getrandom"])
def test_what_is_looked_up_in_the_vdso_may_fall_back_to_the_call(name: str):
    assert implied(data=b"\0__vdso_" + name.encode() + b"\0") == {name}


def test_time_and_getcpu_are_always_answered_by_the_vdso():
    assert implied(data=b"\0__vdso_time\0__vdso_getcpu\0") == set()


@pytest.mark.parametrize(("low", "name"), [(0x00, "gettimeofday"), (0x04, "time"), (0x08, "getcpu")])
def test_a_call_of_the_vsyscall_page_is_seen_by_seccomp(low: int, name: str):
    assert implied(code=b"\x48\xc7\xc0\x00" + bytes([low]) + b"\x60\xff\xff\xd0") == {name}
