"""What is proved of arguments; and that nothing is where one way to a call cannot be followed."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from assembled import X86, Arm, program
from compiled import bare, build, calls, freestanding, library, needs_compiler

from binsafe.model import Syscalls
from binsafe.syscalls import analyse

on_x86 = pytest.mark.skipif(
    sys.platform != "linux" or not sys.maxsize > 1 << 32, reason="the C sources here are written for x86-64 Linux"
)
pytestmark = needs_compiler

INET, UNIX = int(socket.AF_INET), int(socket.AF_UNIX)


def proved(found: Syscalls | None, name: str = "socket") -> dict[int, set[int]]:
    """Position -> values, for one call of a program."""
    assert found is not None
    assert found.complete
    assert name in found.required
    return {fact.argument: {*fact.values} for fact in found.arguments.get(name, ())}


def _x86(*families: int) -> X86:
    assembler = X86()
    for family in families:
        assembler.mov("rdi", family)
        assembler.mov("rsi", 1)
        assembler.mov("rax", 41)
        assembler.syscall()
    assembler.ret()
    return assembler


def _arm(*families: int) -> Arm:
    assembler = Arm()
    for family in families:
        assembler.mov(0, family)
        assembler.mov(1, 1)
        assembler.mov(8, 198)
        assembler.syscall()
    assembler.ret()
    return assembler


@pytest.mark.parametrize("assembled", [_x86, _arm], ids=["x86_64", "arm64"])
def test_all_sites_together_say_what_a_call_is_given(assembled: Callable[..., X86 | Arm]):
    found = proved(analyse(program(assembled(INET, UNIX))))
    assert found == {0: {INET, UNIX}, 1: {1}}  # the protocol is what the kernel starts the program with


@on_x86
@pytest.mark.parametrize(
    "taken",
    [
        "lea .Lin(%rip),%rcx",
        "lea f(%rip),%rbx; lea .Lin-f(%rbx),%rcx",
        ".data; at: .quad .Lin; .text; mov at(%rip),%rcx",
    ],
)
def test_who_goes_to_a_label_by_its_address_may_bring_another_argument(taken: str, tmp_path: Path):
    text = (
        f"test %rdi,%rdi; je f; {taken}; mov %rcx,-8(%rsp); mov (%rsp),%rdi; jmp *-8(%rsp); .p2align 4; "
        ".type f,@function; f: mov $1,%edi; .Lin: mov $1,%esi; mov $41,%eax; syscall; hlt; .size f,.-f"
    )
    assert proved(calls(bare(tmp_path, text))) == {1: {1}}


@on_x86
def test_a_label_that_memory_holds_takes_nothing_from_what_jump_tables_beside_it_tell(tmp_path: Path):
    """In a program at a fixed address a piece of text may look like one."""
    text = (
        ".data; .balign 8; .quad .Lown; .text; mov (%rsp),%rdi; cmp $1,%rdi; jbe f; hlt; .p2align 4; "
        ".type f,@function; f: mov %edi,%edi; lea table(%rip),%rdx; movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; "
        "jmp *%rax; .Lone: mov $1,%esi; jmp .Lin; .Ltwo: mov $2,%esi; .Lin: mov $41,%eax; syscall; .Lown: hlt; "
        ".size f,.-f; .section .rodata; .balign 4; table: .long .Lone-table,.Ltwo-table; .text"
    )
    assert proved(calls(bare(tmp_path, text)))[1] == {1, 2}


def test_nothing_is_proved_where_a_number_is_not_known():
    """The call at that place may be the same one, given something else."""
    assembler = _x86(INET)
    assembler.put(b"\x48\x8b\x07")  # mov rax, [rdi]
    assembler.syscall()
    found = analyse(program(assembler))
    assert found is not None
    assert "socket" in found.required
    assert not found.complete
    assert not found.arguments


def test_a_wrapper_of_many_calls_is_asked_for_each_apart():
    assembler = X86()
    for number, first in ((41, INET), (39, 77), (41, 10)):
        assembler.mov("rax", number)
        assembler.mov("rdi", first)
        assembler.call("wrapper")
    assembler.ret()
    assembler.label("wrapper")
    assembler.syscall()
    assembler.ret()
    found = proved(analyse(program(assembler, functions=("start", "wrapper"))))
    assert found[0] == {INET, 10}


def test_an_argument_that_is_not_known_is_that_of_the_call_it_is_passed_to_alone():
    assembler = X86()
    for number, set_first in ((41, b"\xbf\x02\x00\x00\x00"), (39, b"\x8b\x3f")):  # mov edi, 2; mov edi, [rdi]
        assembler.mov("rax", number)
        assembler.put(set_first)
        assembler.call("wrapper")
    assembler.ret()
    assembler.label("wrapper")
    assembler.syscall()
    assembler.ret()
    assert proved(analyse(program(assembler, functions=("start", "wrapper"))))[0] == {INET}


_KNOWN = {
    "two callers": "void run(long n) { n ? open_socket(2) : open_socket(10); }",
    "a choice": "void run(long n) { open_socket(n > 5 ? 2 : 10); }",
    "saved over calls": """
        OUTLINE static long other(long n) { return call(39, n, n, n); }
        void run(long n) { long family = n > 5 ? 2 : 10; while (other(family) != other(1)) open_socket(family); }""",
    "through a table of jumps": """
        OUTLINE static long other(long n) { return call(39, n, n, n); }
        void run(long n) {
            long family = 2;
            switch (n) { case 1: other(4); break; case 2: family = 10; case 3: other(n); break; case 4: other(9);
                         break; case 5: other(7); case 6: other(5); other(6); break; case 7: other(11); default: ; }
            open_socket(family);
        }""",
}
_UNKNOWN = {
    "one caller computes it": "void run(long n) { n ? open_socket(2) : open_socket(n * n + call(39, 1, 1, 1)); }",
    "memory holds it": "long family = 2; void run(long n) { if (n == 7) family = n; open_socket(family); }",
    "its address is taken": "long (*volatile pointer)(long) = open_socket; void run(long n) { open_socket(2); }",
    "a callee writes the variable": """
        OUTLINE static void set(long *where, long n) { *where = n; }
        void run(long n) { long family = 2; set(&family, n); open_socket(family); }""",
    "a callee writes into the object": """
        struct what { long other, family; };
        OUTLINE static void set(struct what *where, long n) { where->family = n; }
        void run(long n) { struct what it = {1, 2}; set(&it, n); open_socket(it.family); }""",
    "an index leads there": """
        void run(long n) { volatile long all[4] = {2, 2, 2, 2}; all[n & 3] = n; open_socket(all[1]); }""",
    "a table of jumps leads past the assignment": """
        OUTLINE static long other(long n) { return call(39, n, n, n); }
        void run(long n) {
            long family = other(n);
            switch (n) { case 1: other(4); return; case 2: family = 10; case 3: open_socket(family); break;
                         case 4: other(9); return; case 5: other(7); return; case 6: other(5); other(6); }
        }""",
}


@on_x86
@pytest.mark.parametrize("options", [("-O0",), ("-O2",), ("-O2", "-fno-pie", "-no-pie")], ids=" ".join)
@pytest.mark.parametrize("source", _KNOWN.values(), ids=_KNOWN)
def test_every_value_is_found(source: str, options: tuple[str, ...], tmp_path: Path):
    found = proved(freestanding(tmp_path, source, *options))
    assert found.get(0, {2, 10}) == {2, 10}
    assert found[1] == {1}
    if options[0] != "-O0":
        assert 0 in found


@on_x86
@pytest.mark.parametrize("options", [("-O0",), ("-O2",), ("-O2", "-fno-pie", "-no-pie")], ids=" ".join)
@pytest.mark.parametrize("source", _UNKNOWN.values(), ids=_UNKNOWN)
def test_nothing_is_said_where(source: str, options: tuple[str, ...], tmp_path: Path):
    assert 0 not in proved(freestanding(tmp_path, source, *options))


_MAIN = """
#define _GNU_SOURCE
#include <sys/socket.h>
#include <dlfcn.h>
#include <unistd.h>
int helper(int);
int main(int n, char **v) { %s }
"""


def linked(folder: Path, main: str, helper: str = "return n;") -> Syscalls:
    """A program and a library of its own, which both use the C library's ``socket``."""
    library(folder, "helper", f"#include <sys/socket.h>\nint helper(int n) {{ {helper} }}")
    return calls(build(folder, "program", _MAIN % main, "-lhelper"))


def test_the_libraries_of_a_program_count_as_it_does(tmp_path: Path):
    main = "return socket(AF_INET, SOCK_STREAM, 0) + helper(n);"
    assert proved(linked(tmp_path, main)) == {0: {INET}, 1: {1}, 2: {0}}
    assert proved(linked(tmp_path, main, "return socket(AF_INET6, SOCK_DGRAM, 17);")) == {
        0: {INET, int(socket.AF_INET6)},
        1: {1, 2},
        2: {0, 17},
    }
    assert 0 not in proved(linked(tmp_path, main, "return socket(n, SOCK_STREAM, 0);"))


def test_code_of_a_library_that_nothing_leads_to_says_nothing(tmp_path: Path):
    helper = "return n; } int dead(int n) { return socket(n, n, n);"
    assert proved(linked(tmp_path, "return socket(AF_INET, SOCK_STREAM, 0) + helper(n);", helper))[0] == {INET}


@pytest.mark.parametrize(
    "other",
    [
        "int (*volatile pointer)(int, int, int) = socket; return pointer(n, 1, 0);",
        'return ((int (*)(int, int, int)) dlsym(RTLD_DEFAULT, "socket"))(n, 1, 0);',
        "return syscall(41, n, 1, 0);",
    ],
    ids=["its address is taken", "it is asked for by name", "the number is passed to syscall"],
)
@pytest.mark.parametrize("options", [("-fPIE", "-pie"), ("-fno-pie", "-no-pie")], ids=["pie", "no-pie"])
def test_the_other_ways_to_a_function_of_the_c_library_are_seen(other: str, options: tuple[str, ...], tmp_path: Path):
    source = _MAIN % f"if (n > 1) return socket(AF_INET, SOCK_STREAM, 0); {other}"
    assert 0 not in proved(calls(build(tmp_path, "program", source, *options)))


def test_another_files_wrapper_of_a_known_function_leads_nowhere(tmp_path: Path):
    found = linked(tmp_path, "return helper(AF_INET);", "return socket(n, SOCK_STREAM, 0);")
    assert proved(found).keys() == {1, 2}
