"""Ways to a call that are never taken: assembled, and by glibc's own code in static programs that gcc makes."""

from pathlib import Path

import pytest
from assembled import X86, program
from compiled import bare, build, calls, needs_compiler

from binsafe.formats import elf
from binsafe.formats.structure import find_all
from binsafe.limits import MAX_INSTRUCTIONS
from binsafe.syscalls import analyse
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.machines.x86_64 import X86_64
from binsafe.syscalls.pruning import threads

THREAD_FLAGS = (0x3D0F00).to_bytes(4, "little")
GLIBC = b"GLIBC_TUNABLES\0"
SELF = b"\x64\x48\x8b\x04\x25\x10\x00\x00\x00"  # mov rax, fs:[0x10]
CLEARS_PROTOCOL = b"\x81\xe1\xff\xff\xff\xcf"  # and ecx, 0xcfffffff
HOLDS_THE_SAME_BYTES = b"\x48\xb9\x00\xff\xff\xff\xcf\x00\x00\x00"  # movabs rcx, ...


def made(code: X86, data: bytes = GLIBC, functions: tuple[str, ...] = ()) -> set[str]:
    found = analyse(program(code, functions=functions or tuple(code.labels), data=data))
    assert found is not None
    return set(found.required)


def call(code: X86, number: int) -> None:
    code.mov("rax", number)
    code.syscall()


def ends(*, jumped_over: bool) -> X86:
    """``exit_group`` and ``exit``, to which a jump may lead as well."""
    code = X86()
    code.label("start")
    code.mov("rdi", 0)
    if jumped_over:
        code.put(b"\x85\xff")  # test edi, edi
        code.jump_if_zero("last")
    call(code, 231)
    code.label("last")
    call(code, 60)
    code.ret()
    return code


def test_nothing_runs_behind_the_end_of_the_process():
    assert "exit" not in made(ends(jumped_over=False), b"", ("start",))
    assert "exit" in made(ends(jumped_over=True), b"", ("start",))


def test_what_another_function_makes_behind_the_end_of_the_process_counts():
    assert "exit" in made(ends(jumped_over=False), b"")


@needs_compiler
def test_code_runs_behind_what_ends_the_process_or_does_something_else(tmp_path: Path):
    text = "mov $231,%eax; test %rdi,%rdi; je 1f; mov $39,%eax; 1: syscall; mov $60,%eax; syscall; hlt"
    assert "exit" in calls(bare(tmp_path, text)).required


_HELD = ".data; at: .quad .Lin; .text; mov at(%rip),%rcx"
_PACKED = _HELD.replace("at: ", ".byte 1; at: ")


@needs_compiler
@pytest.mark.parametrize("named", ["lea .Lin(%rip),%rcx", "lea f(%rip),%rbx; lea .Lin-f(%rbx),%rcx", _HELD, _PACKED])
def test_who_comes_by_an_address_does_not_pass_what_stands_before_it(named: str, tmp_path: Path):
    text = (
        f"test %rdi,%rdi; je f; {named}; mov %rcx,-8(%rsp); jmp *-8(%rsp); .p2align 4; "
        ".type f,@function; f: mov $231,%eax; syscall; .Lin: mov $60,%eax; syscall; hlt; .size f,.-f"
    )
    assert "exit" in calls(bare(tmp_path, text)).required


def asks(*, between: bytes = SELF, twice: bool = False, extra: bytes = b"", taken: bool = False) -> X86:
    """A wrapper for ``sched_getparam``, and who calls it once it has read the thread's own descriptor."""
    code = X86()
    code.label("start")
    code.call("caller")
    if twice:
        code.call("wrapper")
    if taken:
        code.lea("wrapper")
        code.put(b"\x57")  # push rdi
    code.ret()
    code.label("caller")
    code.put(between)
    code.call("wrapper")
    code.put(extra)
    code.ret()
    code.label("wrapper")
    call(code, 143)
    code.ret()
    return code


def test_priorities_are_left_alone_where_no_mutex_asks_for_it():
    assert "sched_getparam" not in made(asks())
    assert "sched_getparam" not in made(asks(extra=HOLDS_THE_SAME_BYTES))


@pytest.mark.parametrize(
    ("code", "data", "why"),
    [
        (asks(), b"", "not glibc"),
        (asks(extra=CLEARS_PROTOCOL), GLIBC, "a protocol is set"),
        (asks(extra=b"\xeb\x04\xff\xff\xff\xcf"), GLIBC, "what a jump leads over may set a protocol"),
        (asks(between=b"\x90"), GLIBC, "the caller is not glibc's"),
        (asks(twice=True), GLIBC, "another calls it, too"),
        (asks(taken=True), GLIBC, "its address is taken"),
        (asks(between=b"\x85\xff\x74\x09" + SELF), GLIBC, "on one way the descriptor is not read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_priorities_are_changed_after(code: X86, data: bytes, why: str):
    assert "sched_getparam" in made(code, data), why


@needs_compiler
@pytest.mark.parametrize("options", [("-s",), ()], ids=["stripped", "named"])
def test_a_static_program_without_threads_has_none_of_their_calls(tmp_path: Path, options: tuple[str, ...]):
    found = calls(build(tmp_path, "program", '#include <stdio.h>\nint main() { puts("a"); }', "-static", *options))
    assert {"write", "exit_group"} <= set(found.required)
    assert not {"exit", "sched_yield", "setitimer", "sched_getparam", "sched_get_priority_max"} & set(found.required)


_LOCKS = """
#include <pthread.h>
int main(void) {
    pthread_mutexattr_t how; pthread_mutex_t mutex;
    pthread_mutexattr_init(&how); pthread_mutexattr_setprotocol(&how, %s);
    pthread_mutex_init(&mutex, &how); return pthread_mutex_lock(&mutex);
}
"""
_INITIALISES = """
#include <pthread.h>
int main(int n, char **all) {
    pthread_mutexattr_t how; pthread_mutex_t mutex;
    pthread_mutexattr_init(&how); pthread_mutexattr_settype(&how, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &how); pthread_mutex_lock(&mutex);
    return %s;
}
"""
_THREADS = """
#include <pthread.h>
static void *run(void *data) { return data; }
int main(void) {
    pthread_t one; pthread_attr_t how; struct sched_param priority = {0};
    pthread_attr_init(&how); %s
    pthread_create(&one, &how, run, &priority); pthread_exit(0);
}
"""


@needs_compiler
def test_a_mutex_that_raises_priorities_keeps_the_calls_for_it(tmp_path: Path):
    found = set(calls(build(tmp_path, "program", _LOCKS % "PTHREAD_PRIO_PROTECT", "-static", "-s")).required)
    assert found >= {"sched_getparam", "sched_getscheduler", "sched_setscheduler", "sched_get_priority_max"}


@needs_compiler
@pytest.mark.parametrize(
    ("does", "is_made"),
    [
        ("0", False),
        ("sched_get_priority_max(n)", True),
        ("(n & 0x30000000) == 0x20000000 ? sched_get_priority_max(1) : 0", True),
    ],
    ids=["nobody", "itself", "itself-for-bits"],
)
def test_a_mutex_with_attributes_raises_no_priorities(tmp_path: Path, does: str, is_made: bool):
    found = set(calls(build(tmp_path, "program", _INITIALISES % does, "-static", "-s", "-O1")).required)
    assert ("sched_get_priority_max" in found) is is_made


@needs_compiler
@pytest.mark.parametrize(
    ("number", "first", "makes_threads"),
    [
        (39, "given", False),
        (435, "given", True),
        (56, "given", True),
        (56, "0x3d0f00L", True),
        (56, "0x11L", False),
    ],
    ids=["other", "clone3", "clone-with-unknown-flags", "clone-of-a-thread", "clone-of-a-process"],
)
def test_a_program_that_makes_threads_itself_has_their_calls(
    tmp_path: Path, number: int, first: str, makes_threads: bool
):
    """The flags that say whether it is a thread ``clone3`` reads from memory."""
    source = f"""
    int main(void) {{
        unsigned long given[11] = {{0x3d0f00}};
        long result;
        __asm__ volatile("syscall" : "=a"(result) : "a"({number}L), "D"({first}), "S"(88L) : "rcx", "r11", "memory");
        return result;
    }}
    """
    found = calls(build(tmp_path, "program", source, "-static", "-s"))
    assert {"exit", "sched_yield"} & set(found.required) == ({"exit", "sched_yield"} if makes_threads else set())


@needs_compiler
def test_a_thread_asks_for_a_priority_only_if_its_attributes_can(tmp_path: Path):
    wanted = {"sched_getparam", "sched_getscheduler", "sched_setscheduler"}
    setting = "pthread_attr_setinheritsched(&how, PTHREAD_EXPLICIT_SCHED);"
    without = set(calls(build(tmp_path, "without", _THREADS % "", "-static")).required)
    assert not (wanted | {"sched_setaffinity"}) & without
    assert {"exit", "sched_yield"} <= without
    assert wanted <= set(calls(build(tmp_path, "with", _THREADS % setting, "-static")).required)
    assert wanted <= set(calls(build(tmp_path, "stripped", _THREADS % setting, "-static", "-s")).required)


_ASKS = """
    long result = 0;
    if (getuid()) result = syscall(SYS_clone, 0x3d0f00, 0);
    __asm__ volatile("syscall" : "=a"(result) : "a"(144L), "D"(0L), "S"(0L) : "rcx", "r11", "memory");
"""


@needs_compiler
@pytest.mark.parametrize(
    ("does", "asked"),
    [
        ("", set()),
        ("syscall(SYS_sched_setscheduler, 0, 0, &priority);", {"sched_setscheduler"}),
        (_ASKS, {"sched_setscheduler"}),
        ("sched_getparam(0, &priority);", {"sched_getparam"}),
    ],
    ids=["nobody", "by-number", "beside-flags", "by-name"],
)
def test_a_thread_without_names_asks_for_no_priority(tmp_path: Path, does: str, asked: set[str]):
    source = "#define _GNU_SOURCE\n#include <sys/syscall.h>\n#include <unistd.h>\n" + _THREADS % does
    found = set(calls(build(tmp_path, "program", source, "-static", "-s")).required)
    assert found & {"sched_getparam", "sched_getscheduler", "sched_setscheduler", "sched_setaffinity"} == asked


_PROCESSORS = """
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
static cpu_set_t some; static sigset_t none;
static void *run(void *data) { return data; }
%s
int main(int n, char **all) {
    pthread_t one; pthread_attr_t how;
    pthread_attr_init(&how); %s;
    return pthread_create(&one, &how, run, all);
}
"""


_LAST = """
__attribute__((noipa)) int last(pthread_attr_t *how) { return pthread_attr_setaffinity_np(how, sizeof some, &some); }
"""


_LIKE_A_COPY = """
extern int __pthread_attr_setsigmask_internal(pthread_attr_t *, const sigset_t *);
pthread_attr_setaffinity_np(&how, n, &some); __pthread_attr_setsigmask_internal(&how, &none)
"""


@needs_compiler
@pytest.mark.parametrize(
    ("does", "may_be"),
    [
        ("pthread_attr_setsigmask_np(&how, &none)", False),
        ("pthread_attr_setaffinity_np(&how, n, &some)", True),
        ("pthread_attr_setaffinity_np(&how, n, &some); pthread_attr_setsigmask_np(&how, &none)", True),
        (_LIKE_A_COPY, True),
        ("last(&how)", True),
        ("pthread_getattr_np(one, &how)", True),
        ('__asm__ volatile("" :: "r"(pthread_attr_setaffinity_np))', True),
    ],
    ids=["mask", "processors", "both", "like-a-copy", "last", "of-a-thread", "by-pointer"],
)
def test_threads_run_anywhere_unless_an_attribute_says_where(tmp_path: Path, does: str, may_be: bool):
    source = _PROCESSORS % (_LAST if "last" in does else "", does)
    slice_ = elf.read(memoryview(build(tmp_path, "program", source, "-static", "-s").read_bytes())).slices[0]
    whole = Program(slice_, X86_64(), Decoder("x86_64", MAX_INSTRUCTIONS))
    creating = threads.creating_anywhere(whole)
    starts = [code.address + at for code in whole.code.ranges for at in find_all(code.data, THREAD_FLAGS)]
    places = [Place(region, 0) for start in starts if (region := whole.region(start)) is not None]
    assert places
    assert any(map(creating, places)) is not may_be


_ACCESS = """
#include <unistd.h>
#include <fcntl.h>
int main(void) { return faccessat(AT_FDCWD, "a", W_OK, AT_EACCESS)%s; }
"""


@needs_compiler
def test_glibc_looks_at_identities_only_without_faccessat2(tmp_path: Path):
    identities = {"geteuid", "getegid", "getgroups", "getgid"}
    found = set(calls(build(tmp_path, "asks", _ACCESS % "", "-static", "-s")).required)
    assert "faccessat2" in found
    assert not identities & found
    assert identities - {"getgroups"} <= set(
        calls(build(tmp_path, "knows", _ACCESS % " + geteuid() + getegid() + getgid()", "-static", "-s")).required
    )


def limits(error: int, *, first: int = 302) -> X86:
    """``prlimit64``, and ``getrlimit`` where ``errno`` is a certain one afterwards."""
    code = X86()
    code.label("start")
    call(code, first)
    code.call("place_of_errno")
    code.put(b"\x83\x38" + bytes([error]))  # cmp dword ptr [rax], error
    code.put(b"\x75\x07")  # jne over the seven bytes that follow
    call(code, 97)
    code.ret()
    code.label("place_of_errno")
    code.lea("start")
    code.ret()
    return code


def test_limits_are_asked_for_in_the_older_way_only_where_the_newer_is_not_known():
    assert "getrlimit" not in made(limits(38), b"")
    assert "getrlimit" in made(limits(22), b"")
    assert "getrlimit" in made(limits(38, first=39), b"")


@needs_compiler
def test_what_a_caller_compares_says_nothing_of_the_newer_way(tmp_path: Path):
    text = "cmp $38,%edi; call f; hlt; f: mov $302,%eax; syscall; mov $97,%eax; syscall; ret"
    assert "getrlimit" in calls(bare(tmp_path, f"{text}; .type f,@function; .size f,.-f")).required


_OF_ITS_OWN = """
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
extern int *__errno_location(void);
static volatile int left = 2;
int main(void) {
    char some[16]; struct pollfd one = {0, POLLIN, 0}; struct rlimit limit;
    syscall(SYS_getrandom, some, 16, 0);
    syscall(SYS_faccessat2, AT_FDCWD, "/", R_OK, 0);
    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit);
    __asm__ volatile("lock decl %0" : "+m"(left));
    if (getuid() + getgid() == 1) syscall(SYS_exit, ppoll(&one, 1, 0, 0));
    return syscall(SYS_acct, 0) && *__errno_location() == 38 && syscall(SYS_getrlimit, RLIMIT_NOFILE, &limit);
}
"""


@needs_compiler
def test_what_a_program_does_like_its_c_library_is_not_taken_for_that(tmp_path: Path):
    """It asks the kernel itself for what glibc asks for before it does what it never does."""
    found = calls(build(tmp_path, "program", _OF_ITS_OWN, "-static", "-s"))
    assert {"ppoll", "getuid", "getgid", "exit", "getrlimit"} <= set(found.required)
