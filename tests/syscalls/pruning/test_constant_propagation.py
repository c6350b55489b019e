"""Functions that are followed for the numbers that they are given, as musl's ``sysconf``."""

from pathlib import Path

import pytest
from compiled import bare, calls, freestanding, needs_compiler

pytestmark = needs_compiler

_SYSCONF = """
static const short values[] = {0, -257, 16, -2, -3, -4, -5, -6, -7};
OUTLINE static long limit(long n) { return call(302, n, 0, 0); }
OUTLINE static long memory(long n) { return call(99, n, 0, 0); }
OUTLINE static long processors(long n) {
    unsigned char set[128]; long found = call(204, 0, 128, (long) set);
    for (int at = 0; at < sizeof set; at++) for (; set[at]; found++) set[at] &= set[at] - 1;
    return found;
}
OUTLINE static long sysconf(int name) {
    if (name >= sizeof values / 2u || !values[name]) return -1;
    if (values[name] >= -1) return values[name];
    if (values[name] < -256) return limit(values[name] & 16383);
    switch ((unsigned char) values[name]) {
        case 254: return memory(name);
        case 253: return processors(name);
        case 252: return 4096;
        case 251: return 200809;
        case 250: return 131072;
        case 249: return 1 << 20;
    }
    return values[name];
}
%s
"""
_TWICE = "OUTLINE static long run(long n) { return sysconf(%s) + sysconf(%s); }"
_ALL = {"prlimit64", "sysinfo", "sched_getaffinity"}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("5", "7", set[str]()),
        ("0", "99", set[str]()),
        ("5", "3", {"sysinfo"}),
        ("4", "2", {"sched_getaffinity"}),
        ("1", "4", {"prlimit64", "sched_getaffinity"}),
        ("5", "n", _ALL),
        ("5", "n ? 3 : 1", {"sysinfo", "prlimit64"}),
    ],
)
@pytest.mark.parametrize("options", [(), ("-static-pie", "-fPIE"), ("-Os",)], ids=["fixed", "pie", "small"])
def test_a_table_of_what_is_asked_for_decides(
    tmp_path: Path, first: str, second: str, expected: set[str], options: tuple[str, ...]
):
    found = freestanding(tmp_path, _SYSCONF % _TWICE % (first, second), *options)
    assert _ALL & set(found.required) == expected


@pytest.mark.parametrize(
    "run",
    [
        "long (*volatile f)(int) = sysconf; OUTLINE static long run(long n) { return sysconf(5) + f(n); }",
        "OUTLINE static long run(long n) { return sysconf(5) + memory(n) + limit(n) + processors(n); }",
    ],
    ids=["through-pointer", "themselves"],
)
def test_what_is_called_otherwise_runs(tmp_path: Path, run: str):
    assert set(freestanding(tmp_path, _SYSCONF % run).required) >= _ALL


@pytest.mark.parametrize("prefix", ["addr32", "bnd", "data16 rex64"])
def test_a_call_with_prefixes_is_a_call(tmp_path: Path, prefix: str):
    run = """OUTLINE static long run(long n) {
        __asm__ volatile("mov $3, %%%%edi; %s call sysconf" : : : "memory", "rax", "rcx", "rdx", "rsi", "rdi", "r11");
        return sysconf(5);
    }"""
    found = freestanding(tmp_path, _SYSCONF % run.replace("%%%%", "%%").replace("%s", prefix), "-mno-red-zone")
    assert "sysinfo" in found.required


def test_a_table_that_is_written_decides_nothing(tmp_path: Path):
    source = (_SYSCONF % _TWICE % ("5", "7")).replace("static const short", "static volatile short")
    assert set(freestanding(tmp_path, source).required) >= _ALL


_ASKING = """
    mov $1, %edi\\n call asking\\n mov $60, %eax\\n syscall\\n hlt
    .type asking, @function
    asking: {}
    .size asking, . - asking
    .type memory, @function
    memory: mov $99, %eax\\n syscall\\n ret
    .size memory, . - memory
"""


def _asks(folder: Path, text: str) -> bool:
    lines = _ASKING.replace("{}", text).split("\n")
    return "sysinfo" in calls(bare(folder, "\\n".join(line.strip() for line in lines))).required


_GOING = "lea 2f(%rip), %rcx\\n mov %rcx, -8(%rsp)\\n test %rsi, %rsi\\n je 1f\\n jmp *-8(%rsp)"


def test_it_is_followed(tmp_path: Path):
    assert not _asks(tmp_path, "cmp $1, %dil\\n je 1f\\n jmp memory\\n 1: ret")
    assert _asks(tmp_path, "cmp $2, %dil\\n je 1f\\n jmp memory\\n 1: ret")


@pytest.mark.parametrize(
    "text",
    [
        "call _start\\n cmp $1, %edi\\n je 1f\\n jmp memory\\n 1: ret",
        "mov %edi, %fs:0x18\\n mov %fs:0x18, %edi\\n cmp $1, %edi\\n je 1f\\n jmp memory\\n 1: ret",
        "xor %fs:0x18, %edi\\n cmp $1, %edi\\n je 1f\\n jmp memory\\n 1: ret",
        "cmp $1, %edi\\n inc %esi\\n je 1f\\n jmp memory\\n 1: ret",
        "xchg %rdi, %rsi\\n cmp $1, %edi\\n je 1f\\n jmp memory\\n 1: ret",
        "cmp $1, %edi\\n jne 2f\\n ret\\n call memory\\n 2: ret",
        "cmp $1, %edi\\n jne 2f\\n ud2\\n nop\\n call memory\\n 2: ret",
        "xor %ecx, %ecx\\n 1: inc %ecx\\n cmp $20, %ecx\\n jne 1b\\n jmp memory",
        f"{_GOING}\\n 1: cmp $1, %edi\\n je 3f\\n inc %esi\\n 2: nop\\n call memory\\n 3: ret",
    ],
    ids=["call", "thread", "thread-xor", "flags", "exchange", "catch", "catch-behind-trap", "loop", "label"],
)
def test_what_is_not_known_any_more_decides_nothing(tmp_path: Path, text: str):
    assert _asks(tmp_path, text)


def test_the_memory_of_a_thread_is_not_the_beginning_of_the_file(tmp_path: Path):
    source = """
        OUTLINE static long older(long n) { return call(22, n, 0, 0); }
        OUTLINE static long run(long n) {
            int several; __asm__("mov %%fs:0x18, %0" : "=r"(several));
            return several ? n : older(n);
        }"""
    assert "pipe" in freestanding(tmp_path, source, "-static-pie", "-fPIE").required


_CATCHING = """
void never(void); void perhaps(void); void personality(void); void catching(long);
OUTLINE void never(void) {{ __builtin_trap(); }}
OUTLINE void perhaps(void) {{ __asm__ volatile(""); }}
OUTLINE void personality(void) {{ __asm__ volatile(""); }}
__asm__(".section .rodata\\ntold: .byte 0xff, 0xff, 1, 4\\n"
    ".uleb128 4f - catching, 5f - 4f, 6f - catching, 0\\n.text\\n.type catching, @function\\n"
    "catching: .cfi_startproc\\n{told}"
    "push %rbx\\n.cfi_adjust_cfa_offset 8\\ncmp $3, %edi\\nje 1f\\n2: mov $2, %ebx\\ncall never\\n"
    "6: cmp $7, %ebx\\njne 3f\\nmov $213, %eax\\nsyscall\\n3: pop %rbx\\nret\\n"
    "1: mov $7, %ebx\\n4: call perhaps\\n5: jmp 2b\\n.cfi_endproc\\n.size catching, . - catching");
OUTLINE static long run(long n) {{ catching(3); return 0; }}
"""


@pytest.mark.parametrize("told", ["", ".cfi_personality 0x1b, personality\\n.cfi_lsda 0x1b, told\\n"])
def test_an_exception_may_be_caught_behind_a_call_that_does_not_return(tmp_path: Path, told: str):
    found = freestanding(tmp_path, _CATCHING.format(told=told))
    assert ("epoll_create" in found.required) is bool(told)
