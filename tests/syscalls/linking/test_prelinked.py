"""Programs that are linked with their interpreter at fixed addresses, as klibc's are."""

import subprocess
from pathlib import Path

import pytest
from assembled import X86, Arm, program
from compiled import build, calls, needs_compiler

from binsafe.syscalls.linking.prelinked import of_interpreter
from binsafe.syscalls.machines.arm64 import Arm64
from binsafe.syscalls.machines.x86_64 import X86_64

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
extern void getpid(void), times(void), sync(void), called(int), pick(int);
extern void (*hook)(void);
void (*volatile const late)(void) = sync;
void _start(void) { FIRST; hook = times; called(0); late(); }
"""


def prelinked(
    folder: Path, getuid: str = _GETUID, *, first: str = "getpid()", interpreter: str = "", program: str = ""
) -> Path:
    """The program; ``getuid`` is the interpreter's own, ``first`` what is called, the others are for the linker."""
    flags = ("-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector", "-fno-builtin", "-w")
    source = _INTERPRETER.replace(_GETUID, getuid)
    loader = build(folder, "loader", source, *flags, f"-Wl,-Ttext-segment=0x200000,-z,stack-size=0{interpreter}")
    return build(
        folder, "program", (_PROGRAM % loader).replace("FIRST", first), *flags, f"-Wl,--just-symbols={loader}{program}"
    )


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


def test_what_a_function_of_the_interpreter_does_for_the_programs_argument_counts(tmp_path: Path):
    """The interpreter itself passes another one."""
    pick = ".globl pick; pick: test %edi,%edi; je 1f; mov $22,%eax; jmp common; 1: ret"
    getuid = f"jmp 3f; {pick}; 3: getuid: xor %edi,%edi; call pick; mov $102,%eax"
    found = calls(prelinked(tmp_path, getuid, first="pick(1)"))
    assert found.complete
    assert "pipe" in found.required


def test_an_interpreter_for_another_processor_has_no_summary():
    """arm64 makes addresses in two instructions: what it names is not all seen."""
    x86, arm = X86(), Arm()
    for code in (x86, arm):
        code.syscall()
        code.ret()
    assert of_interpreter(program(x86), X86_64(), 1_000) is not None
    assert of_interpreter(program(arm), Arm64(), 1_000) is None


def test_an_interpreter_that_is_too_large_has_no_summary_or_one_that_says_so():
    code = X86()
    code.mov("rax", 39)
    code.syscall()
    code.ret()
    found = [of_interpreter(program(code), X86_64(), budget) for budget in range(1, 1_000, 9)]
    assert found[0] is None
    assert [call.number for call in found[-1].calls] == [39]
    assert not found[-1].gaps
    assert all(each is None or each.gaps or each.calls == found[-1].calls for each in found)
    assert any(each is not None and each.gaps for each in found)
