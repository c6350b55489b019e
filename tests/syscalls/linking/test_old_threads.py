"""glibc up to 2.33, whose threads have a library of their own: what that has others end and repeat."""

from pathlib import Path

import pytest
from compiled import build, calls, library, needs_compiler

from binsafe.model import Syscalls

pytestmark = needs_compiler

_LOCK = """
__asm__(".globl lock; .type lock,@function; lock: push %rbx; mov $202,%ebx; test %rdi,%rdi; je 1f; mov (%rdi),%rbx;"
        "call ENDING@plt; 1: mov %ebx,%eax; syscall; pop %rbx; ret; .size lock, . - lock");
"""
_REPEAT = """
struct command { long number, id; };
static struct command *current;
static long call(long number, long id) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(id) : "rcx", "r11", "memory");
    return result;
}
static long handler(int signal) { return call(current->number, current->id); }
static long repeat(struct command *command) { current = command; return call(command->number, command->id); }
int getpid(void);
__attribute__((noipa)) static long other(void) { return call(getpid(), 0); }
static void *const table[] = {(void *)repeat, (void *)handler};
void *const *__pthread_initialize_minimal(void) { MORE; return table; }
"""
_PLAIN = "void lock(long *); int main(void) { lock(0); return 0; }"
_OWN = "void __libc_fatal(const char *text) {} void lock(long *); int main(void) { lock(0); return 0; }"
_STARTS = "void *__pthread_initialize_minimal(void); int main(void) { return !__pthread_initialize_minimal(); }"


def with_library(folder: Path, library: str, program: str, name: str = "libpthread.so.0") -> Syscalls:
    build(folder, name, library, "-shared", "-fPIC", f"-Wl,-soname,{name}")
    return calls(build(folder, "program", program, "-rdynamic", f"-l:{name}"))


def test_what_libpthread_ends_the_program_with_does_not_return(tmp_path: Path):
    starting = "void __pthread_initialize_minimal(void) {}"
    found = with_library(tmp_path, starting + _LOCK.replace("ENDING", "__libc_fatal"), _PLAIN)
    assert found.complete
    assert "futex" in found.required


@pytest.mark.parametrize(
    ("ending", "program", "name"),
    [
        ("getpid", _PLAIN, "libpthread.so.0"),
        ("__libc_fatal", _PLAIN, "libother.so.0"),
        ("__libc_fatal", _OWN, "libpthread.so.0"),
    ],
    ids=["returns", "another library", "replaced by the program"],
)
def test_what_may_return_is_not_taken_for_that(tmp_path: Path, ending: str, program: str, name: str):
    starting = "void __pthread_initialize_minimal(void) {}"
    found = with_library(tmp_path, starting + _LOCK.replace("ENDING", ending), program, name)
    assert not found.complete


@pytest.mark.parametrize("starting", ["void __pthread_initialize_minimal(void) {}", ""], ids=["whole", "by name alone"])
def test_what_ends_the_program_is_of_the_c_library(starting: str, tmp_path: Path):
    """A program without one, whose own library defines it: it returns, and ``acct`` is called behind it."""
    library(tmp_path, "ending", "void __libc_fatal(void) {}", "-nostdlib")
    lock = _LOCK.replace("ENDING", "__libc_fatal").replace("mov (%rdi),%rbx", "mov $163,%ebx")
    name = "libpthread.so.0"
    build(tmp_path, name, starting + lock, "-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{name}")
    source = "void lock(long *); void _start(void) { lock(0); __builtin_trap(); }"
    found = calls(build(tmp_path, "program", source, "-nostdlib", f"-l:{name}", "-lending"))
    assert not found.complete


@pytest.mark.parametrize(
    ("more", "name", "complete"),
    [("", "libpthread.so.0", True), ("", "libother.so.0", False), ("other()", "libpthread.so.0", False)],
    ids=["repeats", "another library", "another gap"],
)
def test_what_repeats_a_call_of_libc_on_all_threads(tmp_path: Path, more: str, name: str, *, complete: bool):
    assert with_library(tmp_path, _REPEAT.replace("MORE", more), _STARTS, name).complete == complete
