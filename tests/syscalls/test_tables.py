import subprocess
import sys

import pytest

from binsafe.errors import UsageError
from binsafe.syscalls.tables import AUDIT_ARCH, kernel_version, names, numbers

# From <asm/unistd_64.h> and <asm-generic/unistd.h>: (x86-64, arm64).
KNOWN = {
    "read": (0, 63),
    "newfstatat": (262, 79),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),
    "clone": (56, 220),
    "execve": (59, 221),
    "mmap": (9, 222),
    "fadvise64": (221, 223),
    "seccomp": (317, 277),
    "getrandom": (318, 278),
    "statx": (332, 291),
    "rseq": (334, 293),
    "pidfd_getfd": (438, 438),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "faccessat2": (439, 439),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
    "futex_waitv": (449, 449),
    "map_shadow_stack": (453, 453),
    "mseal": (462, 462),
}


@pytest.mark.parametrize(("name", "expected"), KNOWN.items())
def test_numbers_are_the_kernels(name: str, expected: tuple[int, int]):
    assert (numbers("x86_64")[name], numbers("arm64")[name]) == expected


def test_each_processor_has_its_own_calls():
    assert numbers("x86_64")["open"] == 2
    assert "open" not in numbers("arm64")


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_names_are_the_numbers_turned_round(arch: str):
    assert {name: number for number, name in names(arch).items()} == dict(numbers(arch))
    assert list(names(arch)) == sorted(names(arch))


def test_the_table_is_of_a_current_kernel():
    assert tuple(map(int, kernel_version().split(".")[:2])) >= (6, 10)


def test_an_unknown_processor_is_a_usage_error_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        numbers("riscv64")
    assert "x86_64" in caught.value.hint
    with pytest.raises(UsageError):
        names("riscv64")


def test_audit_architectures_are_elf_machine_plus_flags():
    # AUDIT_ARCH_X = EM_X | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE; EM_X86_64 is 62, EM_AARCH64 183.
    assert AUDIT_ARCH == {"x86_64": 62 | 0xC000_0000, "arm64": 183 | 0xC000_0000}


@pytest.mark.each_user
def test_the_tables_load_without_the_analyser():
    code = (
        "import sys, binsafe.syscalls.tables as t; t.names('x86_64'); print({'numpy', 'capstone'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"
