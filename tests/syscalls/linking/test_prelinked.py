"""Programs that are linked with their interpreter at fixed addresses, as klibc's are."""

import subprocess
from pathlib import Path

import pytest
from compiled import build, calls, needs_compiler

pytestmark = [pytest.mark.each_user, needs_compiler]

_INTERPRETER = """
__asm__(".globl _start, getpid, acct, times, uname, sync, getuid\\n_start: mov %rsp,%rdi; call begin; hlt\\n"
        "common: mov %rcx,%r10; syscall; ret\\ngetpid: mov $39,%eax; jmp common\\nacct: mov $163,%eax; jmp common\\n"
        "times: mov $100,%eax; jmp common\\nuname: mov $63,%eax; jmp common\\nsync: nop\\n"
        "getuid: mov $102,%eax; jmp common\\n");
void (*hook)(void);
extern void uname(void);
void (*volatile const table[])(void) = {uname};
__attribute__((noinline, used)) static void never(void) { __asm__ volatile("syscall" : : "a"(161L)); }
void called(int by) { table[by](); }
void begin(long *stack) {
    long *aux = stack;
    while (*aux++ != 9) {}
    ((void (*)(void))*aux)();
    hook();
}
"""
_PROGRAM = """
__asm__(".section .interp,\\"a\\"; .string \\"%s\\"; .text");
extern void getpid(void), times(void), sync(void), called(int);
extern void (*hook)(void);
void (*volatile const late)(void) = sync;
void _start(void) { getpid(); hook = times; called(0); late(); }
"""


def prelinked(folder: Path) -> Path:
    flags = ("-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector", "-fno-builtin", "-w")
    loader = build(folder, "loader", _INTERPRETER, *flags, "-Wl,-Ttext-segment=0x200000,-z,stack-size=0")
    program = build(folder, "program", _PROGRAM % loader, *flags, f"-Wl,--just-symbols={loader}")
    assert subprocess.run([program], check=False).returncode < 0  # it comes to its end, a trap
    return program


def test_what_is_called_in_the_interpreter_counts_and_nothing_else(tmp_path: Path):
    found = calls(prelinked(tmp_path))
    assert found.complete
    assert set(found.required) == {"getpid", "times", "uname", "getuid", "restart_syscall", "rt_sigreturn"}


@pytest.mark.parametrize("instead", [None, b"", b"\x7fELF"])
def test_without_its_interpreter_it_is_not_complete(instead: bytes | None, tmp_path: Path):
    program = prelinked(tmp_path)
    (tmp_path / "loader").unlink()
    if instead is not None:
        (tmp_path / "loader").write_bytes(instead)
    assert not calls(program).complete
