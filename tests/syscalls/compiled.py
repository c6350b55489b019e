"""Small programs and libraries in C, compiled here and analysed with the libraries of this system."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from binsafe.formats import parse
from binsafe.formats.elf_needs import needs
from binsafe.intake.libraries import Libraries
from binsafe.intake.summaries import Summaries, default_folder
from binsafe.intake.tree import Tree
from binsafe.model import Syscalls
from binsafe.syscalls import analyse
from binsafe.syscalls.glibc import loads_services

needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="no gcc for Linux here"
)
JUMP = "lea table(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax"
TABLE = ".section .rodata; table: .long first - table, second - table; .text"
"""A jump through a table, as compilers make it, and its table of two entries."""
_DISTANCES = "; .section .rodata; .p2align 2; tA: .long 4f - FROM, 4f - FROM; tB: .long 3f - tB, 3f - tB; .text"


def build(folder: Path, name: str, source: str, *options: str) -> Path:
    path = folder / name
    command = ["gcc", "-O2", "-x", "c", "-", "-o", str(path), *options, f"-L{folder}", f"-Wl,-rpath,{folder}"]
    subprocess.run(command, input=source, text=True, check=True)
    return path


def library(folder: Path, name: str, source: str, *options: str) -> Path:
    return build(folder, f"lib{name}.so", source, "-shared", "-fPIC", *options)


def calls(
    program: Path, loaded: tuple[Path, ...] = (), *, explain: str | None = None, root: Path | None = None
) -> Syscalls:
    """What the analysis says of a program, in this process: starting another one takes longer than most of them."""
    data = memoryview(program.read_bytes())
    slice_, libraries = parse(data).slices[0], None
    if slice_.linkage == "dynamic" or loads_services(data):
        libraries = Libraries(needs(data), program, Tree(root), Summaries(default_folder()))
        for path in loaded:
            libraries.add_file(path)
    found = analyse(slice_, libraries, explain=explain)
    assert found is not None
    return found


def bare(folder: Path, text: str, *options: str) -> Path:
    """A static program of assembler alone, entered at ``_start``."""
    return build(folder, "bare", f'__asm__(".globl _start\\n_start:\\n{text}");', "-nostdlib", "-static", *options)


def with_tables(text: str, origin: str = "tA") -> str:
    """Assembler text with a table for its label ``4``, whose distances count from ``origin``, and one for its ``3``."""
    placed = _DISTANCES.replace("3f", ".L3").replace("4f", ".L4").replace("FROM", origin)
    return text.replace("3: ", ".L3: ").replace("4: ", ".L4: ") + placed


FREESTANDING = """
__attribute__((always_inline)) static inline long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#define OUTLINE __attribute__((noinline, noclone, noipa))
__attribute__((section(".text.unlikely"))) long first(void) { return 0; } /* where a program header points */
OUTLINE static long open_socket(long family) { return call(41, family, 1, 0); }
void _start(void);
%s
__attribute__((force_align_arg_pointer)) void _start(void) { run(call(39, 0, 0, 0)); call(60, 0, 0, 0); }
"""


def freestanding(folder: Path, source: str, *options: str) -> Syscalls:
    """A static program that starts with ``run``, which is given a number that nobody knows."""
    flags = ("-nostdlib", "-static", "-fno-stack-protector", "-w", *options)
    return calls(build(folder, "program", FREESTANDING % source, *flags))
