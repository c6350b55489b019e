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
_GETUID = "getuid: mov $102,%eax"
_PROGRAM = """
__asm__(".section .interp,\\"a\\"; .string \\"%s\\"; .text");
extern void getpid(void), times(void), sync(void), called(int);
extern void (*hook)(void);
void (*volatile const late)(void) = sync;
void _start(void) { getpid(); hook = times; called(0); late(); }
"""


def prelinked(folder: Path, getuid: str = _GETUID, *, interpreter: str = "", program: str = "") -> Path:
    """The program; ``getuid`` is the interpreter's own, the others are options of the linker."""
    flags = ("-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector", "-fno-builtin", "-w")
    source = _INTERPRETER.replace(_GETUID, getuid)
    loader = build(folder, "loader", source, *flags, f"-Wl,-Ttext-segment=0x200000,-z,stack-size=0{interpreter}")
    return build(folder, "program", _PROGRAM % loader, *flags, f"-Wl,--just-symbols={loader}{program}")


def runs(program: Path) -> Path:
    assert subprocess.run([program], check=False).returncode < 0  # it comes to its end, a trap
    return program


def test_what_is_called_in_the_interpreter_counts_and_nothing_else(tmp_path: Path):
    found = calls(runs(prelinked(tmp_path)))
    assert found.complete
    assert set(found.required) == {"getpid", "times", "uname", "getuid", "restart_syscall", "rt_sigreturn"}


@pytest.mark.parametrize("instead", [None, b"", b"\x7fELF"])
def test_without_its_interpreter_it_is_not_complete(instead: bytes | None, tmp_path: Path):
    program = prelinked(tmp_path)
    (tmp_path / "loader").unlink()
    if instead is not None:
        (tmp_path / "loader").write_bytes(instead)
    assert not calls(program).complete


@pytest.mark.parametrize("instead", ["getuid: mov hook,%eax", "getuid: .byte 6; mov $102,%eax"])
def test_what_is_not_understood_of_the_interpreter_counts(instead: str, tmp_path: Path):
    """A number that is not known, and what is no instruction."""
    assert not calls(prelinked(tmp_path, instead)).complete


def test_what_an_instruction_of_the_interpreter_names_by_its_distance_counts(tmp_path: Path):
    found = calls(prelinked(tmp_path, "getuid: lea named(%rip),%rax; jmp *%rax; hlt; named: mov $102,%eax"))
    assert "getuid" in found.required or not found.complete


@pytest.mark.parametrize("options", [{"interpreter": ",-N"}, {"program": ",-z,execstack"}])
def test_what_can_be_written_and_run_is_not_complete(options: dict[str, str], tmp_path: Path):
    assert not calls(prelinked(tmp_path, **options)).complete


@pytest.mark.parametrize(("at", "value"), [(7, 9), (16, 3), (18, 183)], ids=["system", "position", "processor"])
def test_an_interpreter_of_another_kind_is_not_what_the_program_was_linked_with(at: int, value: int, tmp_path: Path):
    """FreeBSD's calls have other numbers; what the kernel maps anywhere (``ET_DYN``) is not at its own addresses."""
    program = prelinked(tmp_path)
    loader = bytearray((tmp_path / "loader").read_bytes())
    loader[at] = value
    (tmp_path / "loader").write_bytes(loader)
    assert not calls(program).complete
