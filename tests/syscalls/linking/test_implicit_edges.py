"""Functions to which no reference leads as it stands: each makes a call of its own, and none may be missing.

Assembler's functions have unwind tables, which say where they end; what is only computed is computed at run time.
"""

from pathlib import Path

import pytest
from compiled import build, calls, library, needs_compiler

pytestmark = needs_compiler

_LIBRARY = r"""
#define FUNCTION(name, code) ".type " name ",@function\n" name ": .cfi_startproc\n" code END(name)
#define END(name) "\n.cfi_endproc\n.size " name ",.-" name "\n"
#define CALL(number) "mov $" #number ",%eax\n syscall\n ret"
#define HIDDEN __attribute__((visibility("hidden")))
__asm__(".text\n.balign 64\n" FUNCTION("fallen", "nop") FUNCTION("into", CALL(163))
        ".balign 64\n" FUNCTION("first_stub", "ret") ".balign 64\n" FUNCTION("second_stub", CALL(162))
        ".balign 64\n" FUNCTION("third_stub", CALL(161)) ".skip 256\n" FUNCTION("apart", "ret"));
#define ENTERED(name, number) \
    __attribute__((used)) static void name(void) { __asm__ volatile("syscall" : : "a"(number)); }
ENTERED(called, 103L) ENTERED(jumped, 104L) ENTERED(branched, 105L) ENTERED(added, 106L)
ENTERED(lessened, 107L)
__asm__(".text\n" FUNCTION("whole", "test %eax,%eax\n jne split_off\n mov $111,%eax\n syscall\n ret")
        FUNCTION("split_off", "nop\n nop\n jmp whole+4") ".balign 16\n");
__asm__(".text\n" FUNCTION("hopping", "test %eax,%eax\n jne hidden+2\n ret")
        FUNCTION("hidden", "push %rbx\n nop\n mov $112,%eax\n syscall\n test %eax,%eax\n jne returning+1\n ret")
        FUNCTION("returning", "nop\n mov $118,%eax\n syscall\n ret")
        FUNCTION("uncalled", "call hidden\n ret"));
__asm__(".text\n"
        FUNCTION("entering", "call called+4\n test %eax,%eax\n jne branched+4\n call split_off+1\n bnd jmp jumped+4")
        FUNCTION("adding", "lea adding(%rip),%rax\n add $added-adding,%rax\n call *%rax\n"
                           "lea adding+0x100(%rip),%rax\n sub $adding+0x100-lessened,%rax\n jmp *%rax"));
extern HIDDEN char entering[], adding[], hopping[];
extern HIDDEN char fallen[], first_stub[], apart[];
__attribute__((section(".text.unlikely"), used)) static void behind_stubs(void) { __asm__("syscall" : : "a"(108L)); }
static void listed(void) { __asm__ volatile("syscall" : : "a"(166L)); }
static void tagged(void) { __asm__ volatile("syscall" : : "a"(100L)); }
static void odd(void) { __asm__ volatile("syscall" : : "a"(102L)); }
static char *volatile tags[] = {(char *)tagged + 1};
static void (*volatile list[24])(void) = {[16] = listed};
static volatile int one = 1;
__attribute__((noipa)) static void enter(void (*volatile *end)(void)) { end[-4 * one](); }
void f(void) {
    char *inner;
    ((void (*)(void))fallen)();
    ((void (*)(void))entering)();
    ((void (*)(void))adding)();
    ((void (*)(void))hopping)();
    ((void (*)(void))(first_stub + 64 * one))();
    ((void (*)(void))(tags[0] - one))();
    __asm__ volatile("lea %c1+1(%%rip),%0" : "=r"(inner) : "i"(odd));
    ((void (*)(void))(inner - one))();
    enter(list + 20);
}
"""


@pytest.fixture(scope="module")
def required(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    folder: Path = tmp_path_factory.mktemp("overlooked")
    library(folder, "odd", _LIBRARY, "-fno-ipa-icf", "-w")
    found = calls(build(folder, "uses", "void f(void); int main(void) { f(); }", "-lodd"))
    assert not found.complete, "what is added to the address of the first stub is not known, so it may lead anywhere"
    return frozenset(found.required)


@pytest.mark.parametrize(
    ("way", "call"),
    [
        ("a function that goes on into the next", "acct"),
        ("a stub of an array", "sync"),
        ("the one behind it", "chroot"),
        ("a pointer with a tag", "times"),
        ("an address with an offset", "getuid"),
        ("a table that is entered from its end", "umount2"),
        ("a call of the middle of a function", "syslog"),
        ("a jump there", "getgid"),
        ("a jump there with a condition", "setuid"),
        ("a jump from there to a third function, which alone leads there otherwise", "getpgrp"),
        ("a jump of two bytes there", "setsid"),
        ("a jump of two bytes from there on", "getresuid"),
        ("a sum in rax", "setgid"),
        ("a difference in rax", "geteuid"),
    ],
)
def test_each_implicit_way_is_followed(required: frozenset[str], way: str, call: str):
    assert call in required, way


def test_the_last_stub_of_a_table_does_not_go_on_into_the_code_behind_it(required: frozenset[str]):
    assert "getegid" not in required
