"""The fifteen traps that tools for this have fallen into, each as programs that were compiled to have it.

Calls that no C library makes (``swapon``, ``swapoff``, ``acct``, ``reboot``, ``chroot``) tell which code was reached.
"""

import sys
from pathlib import Path

import pytest
from compiled import bare, build, calls, freestanding, library, needs_compiler

from binsafe import baselines
from binsafe.intake import Found, Snapshot, find, inspect
from binsafe.policy import Request, derive
from binsafe.renderers import render

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled"),
]


# x86-64 numbers: read 0, write 1, getpid 39, exit 60, chroot 161, acct 163, swapon 167, swapoff 168, reboot 169


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("xor %eax,%eax; syscall", {"read"}),
        ("push $0x7f; pop %rax; add $42,%eax; syscall", {"reboot"}),
        ("mov $163,%r8d; mov %r8,%rax; syscall; mov %r8,%rax; syscall", {"acct"}),
        ("mov $161,%edx; lea 2(%rdx),%eax; syscall", {"acct"}),
        ("mov $167,%eax; mov $168,%ecx; test %rdi,%rdi; cmovne %ecx,%eax; syscall", {"swapon", "swapoff"}),
        ("mov $161,%eax; or $8,%eax; syscall", {"reboot"}),
        ("mov $163,%eax; .byte 0x48; syscall", {"acct"}),
        ("mov $163,%eax; .byte 0x66, 0x2e; syscall", {"acct"}),
        ("mov $163,%ebx; test %rdi,%rdi; je 1f; nop; 1: call 2f; mov %ebx,%eax; syscall; hlt; 2: ret", {"acct"}),
    ],
    ids=["xor", "push, pop", "kept over a call", "lea", "cmov", "or", "REX", "prefixes", "callee-saved"],
)
def test_trap_1_the_number_is_set_in_many_ways(text: str, made: set[str], tmp_path: Path):
    found = calls(bare(tmp_path, f"{text}; hlt"))
    assert found.complete
    assert made == set(found.sites)


def test_trap_1_a_call_destroys_its_result_and_rcx_and_r11(tmp_path: Path):
    found = calls(bare(tmp_path, "mov $39,%eax; mov $163,%ecx; syscall; mov %ecx,%eax; syscall; hlt"))
    assert set(found.sites) == {"getpid"}
    assert not found.complete


def test_trap_2_a_wrapper_whose_alias_is_only_jumped_to(tmp_path: Path):
    """As musl's ``__syscall_cp``: an alias, a tail jump to the C part, and assembler that takes the number from rsi."""
    text = (
        "mov $163,%edi; call cp; mov $167,%edi; call cp; hlt; .skip 32,0xcc; cp: jmp cp_c; .skip 32,0xcc; "
        "cp_c: mov %rdi,%rsi; jmp cp_asm; .skip 32,0xcc; cp_asm: mov %rsi,%rax; syscall; ret"
    )
    path = bare(tmp_path, text, "-s")
    found = calls(path)
    assert set(found.sites) == {"acct", "swapon"}
    assert found.complete


def test_trap_3_go_passes_the_number_in_rax_or_on_the_stack_below_a_frame(tmp_path: Path):
    text = (
        "mov $163,%eax; call six; push %rbp; mov %rsp,%rbp; sub $0x20,%rsp; movq $167,(%rsp); call zero; leave; hlt; "
        "six: syscall; ret; zero: push %rbp; mov %rsp,%rbp; sub $0x20,%rsp; mov 0x30(%rsp),%rax; syscall; leave; ret"
    )
    found = calls(bare(tmp_path, text))
    assert set(found.sites) == {"acct", "swapon"}
    assert found.complete


_SHORT_TAIL = """
#include <sys/swap.h>
__asm__(".globl main\\n.type main,@function\\nmain: .cfi_startproc\\n jmp real\\n .cfi_endproc\\n.size main,.-main\\n");
__attribute__((used)) static int real(void) __asm__("real");
static int real(void) { return swapoff(0); }"""


def test_trap_4_main_is_a_jump_of_two_bytes(tmp_path: Path):
    path = build(tmp_path, "program", _SHORT_TAIL)
    assert b"\xeb" in path.read_bytes()
    assert "swapoff" in calls(path).required


_NEIGHBOURS = """
#include <sys/swap.h>
int plain(void), never(void);
__asm__(
    ".macro function name\\n .type \\\\name,@function\\n \\\\name: .cfi_startproc\\n .endm\\n"
    "function plain\\n .byte 0xb8,0x90,0x76,0x0c,0x90,0xc3\\n .cfi_endproc\\n .size plain,.-plain\\n .balign 16\\n"
    "function never\\n jmp swapoff@plt\\n .cfi_endproc\\n .size never,.-never\\n");
int main(void) { return plain(); }"""
"""``plain`` is ``mov eax, 0x900c7690; ret``: from its third byte on that reads ``jbe never``."""


def test_trap_4_bytes_that_look_like_a_short_jump_are_none(tmp_path: Path):
    assert "swapoff" not in calls(build(tmp_path, "program", _NEIGHBOURS)).required


def test_trap_5_constants_in_executable_memory_are_no_calls_and_allow_nothing(tmp_path: Path):
    """One segment for code and constants, as lld makes it of Rust with musl; without a section table nothing tells."""
    constants = ".byte 0x0f,0x05,0x48,0x0f,0x05,0x90,0x0f,0x05; .quad 0x050f050f050f050f"
    text = f"mov $163,%eax; syscall; hlt; .section .rodata; {constants}; .text"
    path = bare(tmp_path, text, "-Wl,-N", "-Wl,-z,noseparate-code")
    data = bytearray(path.read_bytes())
    assert set(calls(path).sites) == {"acct"}
    data[0x28:0x30] = bytes(8)  # e_shoff: no section table
    data[0x3C:0x40] = bytes(4)
    path.write_bytes(data)
    assert {"acct"} <= set(calls(path).sites) <= {"acct", "read"}
    assert len(calls(path).required) < 20


def test_trap_6_a_static_program_without_unwind_tables(tmp_path: Path):
    """Functions are reached through a table, through an address in an instruction, and by plain calls."""
    source = """
        OUTLINE static long by_table(long n) { return call(163, n, 0, 0); }
        OUTLINE static long by_address(long n) { return call(167, n, 0, 0); }
        OUTLINE static long by_call(long n) { return call(168, n, 0, 0); }
        long (*const table[])(long) = {by_table, 0};
        long (*volatile taken)(long);
        void run(long n) { taken = by_address; table[n & 1](taken(by_call(n))); }"""
    options = ("-fno-asynchronous-unwind-tables", "-fno-pie", "-no-pie", "-s")
    assert {"acct", "swapon", "swapoff"} <= set(freestanding(tmp_path, source, *options).required)


def test_trap_7_a_table_goes_on_behind_numbers_and_behind_where_code_looks_into_it(tmp_path: Path):
    source = """
        #include <sys/swap.h>
        #include <unistd.h>
        struct entry { long kind; const char *name; int (*run)(void); };
        static int one(void) { return swapon("x", 0); }
        static int two(void) { return swapoff("x"); }
        static int three(void) { return acct("x"); }
        static struct entry table[] = {{1, "a", one}, {2, "b", two}, {3, "c", three}, {4, 0, 0}};
        int main(int n, char **v) {
            if (table[1].kind == n) return table[1].name[0];
            for (struct entry *at = table; at->name; at++) if (at->kind == n) return at->run();
            return 0;
        }"""
    for options in ((), ("-O0",), ("-fno-pie", "-no-pie")):
        assert {"swapon", "swapoff", "acct"} <= set(calls(build(tmp_path, "program", source, *options)).required)


_LINKED = """
    #include <sys/swap.h>
    #include <stdio.h>
    extern int number;
    int outside(void);
    int (*volatile pointer)(const char *) = swapoff;
    int main(int n, char **v) { fputs("x", stdout); return n > 1 ? swapoff(v[1]) : outside() + number; }"""


@pytest.mark.parametrize(
    "options",
    [("-fno-plt",), ("-fcf-protection", "-Wl,-z,ibtplt"), ("-Wl,-z,now",), ("-Wl,-z,lazy",), ("-fno-pie", "-no-pie")],
    ids=["no plt", "plt.sec", "plt.got", "plt", "copies"],
)
def test_trap_8_each_way_to_link_a_call(options: tuple[str, ...], tmp_path: Path):
    library(tmp_path, "outside", '#include <unistd.h>\nint number = 3; int outside(void) { return acct("x"); }')
    found = calls(build(tmp_path, "program", _LINKED, "-loutside", *options))
    assert {"swapoff", "acct"} <= set(found.required)
    assert "swapon" not in found.required
    assert found.complete


def test_trap_9_the_loader_and_resolvers_run_before_main(tmp_path: Path):
    source = """
        #include <sys/syscall.h>
        static int plain(void) { return 1; }
        static void *choose(void) {
            long result;
            __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_acct), "D"(0) : "rcx", "r11", "memory");
            return plain;
        }
        int chosen(void) __attribute__((ifunc("choose")));
        int main(void) { return chosen(); }"""
    found = set(calls(build(tmp_path, "program", source)).required)
    assert {"acct", "openat", "mmap", "pread64", "mprotect", "exit_group"} <= found


@pytest.mark.each_user
def test_trap_10_what_is_loaded_at_run_time_is_named_and_can_be_given(tmp_path: Path):
    module = library(tmp_path, "module", "#include <sys/swap.h>\nint start(void) { return swapoff(0); }")
    source = """
        #include <dlfcn.h>
        #include <pwd.h>
        int main(int n, char **v) {
            int (*start)(void) = (int (*)(void)) dlsym(dlopen(v[1], RTLD_NOW), "start");
            return getpwnam("x") ? 1 : start();
        }"""
    path = build(tmp_path, "program", source)
    alone, given = calls(path), calls(path, (module,))
    assert not alone.complete
    assert any(name.startswith("dlopen") for name in alone.open_set)
    assert "swapoff" not in alone.required
    assert "swapoff" in given.required
    with Snapshot.take(Found("program", path)) as snapshot:
        loaded = [each.name for each in inspect(snapshot).slices[0].resolved if each.needed_by == "dlopen"]
    assert any(name.startswith("libnss_") for name in loaded) or not Path("/etc/nsswitch.conf").exists()


def test_trap_11_numbers_that_go_through_memory(tmp_path: Path):
    """The C library's own way to tell all threads is known; another program's is reported, and allows nothing."""
    source = """
        #define _GNU_SOURCE
        #include <pthread.h>
        #include <unistd.h>
        static void *nothing(void *data) { return data; }
        int main(void) { pthread_t t; return pthread_create(&t, 0, nothing, 0) + setuid(1) + setresgid(1, 1, 1); }"""
    found = calls(build(tmp_path, "threads", source))
    assert {"setuid", "setresgid"} <= set(found.required)
    assert found.complete
    unknown = "struct order { long number; } volatile order; void run(long n) { call(order.number, n, n, n); }"
    reported = freestanding(tmp_path, unknown)
    assert not reported.complete
    assert "memory" in reported.unresolved[0].reason
    assert len(reported.required) < 20


def test_trap_12_calls_that_are_never_in_the_code(tmp_path: Path):
    """The kernel's own; and those that the vDSO falls back to, of which the C library makes none itself."""
    assert {"restart_syscall", "rt_sigreturn"} <= set(calls(bare(tmp_path, "mov $60,%eax; syscall")).required)
    source = """
        #include <time.h>
        #include <sys/time.h>
        struct timeval day;
        struct timespec now;
        int main(void) { return gettimeofday(&day, 0) + clock_gettime(1, &now) + time(0); }"""
    assert {"clock_gettime", "gettimeofday", "time"} <= set(calls(build(tmp_path, "clock", source)).required)


def test_trap_13_a_library_makes_calls_through_syscall(tmp_path: Path):
    inner = "#include <unistd.h>\n#include <sys/syscall.h>\nint inner(void) { return syscall(SYS_open, 0, 0); }"
    library(tmp_path, "inner", inner)
    library(tmp_path, "outer", "int inner(void); int outer(void) { return inner() + 1; }", "-linner")
    found = calls(build(tmp_path, "program", "int outer(void); int main(void) { return outer(); }", "-louter"))
    assert "open" in found.required
    assert found.complete


@pytest.mark.each_user
def test_trap_14_a_link_leads_to_the_bytes_and_keeps_its_name(tmp_path: Path):
    path = build(tmp_path, "many", "#include <unistd.h>\nint main(void) { return acct(0); }")
    (tmp_path / "check-dump").symlink_to("many")
    found = find(str(tmp_path / "check-dump"))
    assert found.path == path.resolve()
    with Snapshot.take(found) as snapshot:
        report = inspect(snapshot)
        policy = derive(report, baselines.load("cli_tool"), Request())
    assert Path(policy.artifact.name).name == "check-dump"
    assert report.slices[0].syscalls is not None
    assert "acct" in report.slices[0].syscalls.required


_FORK = "#include <unistd.h>\nint main(void) { return fork(); }"
_THREAD = """
    #include <pthread.h>
    static void *nothing(void *data) { return data; }
    int main(void) { pthread_t thread; return pthread_create(&thread, 0, nothing, 0); }"""


@pytest.mark.each_user
def test_trap_15_clone3_by_what_is_reached_and_refused_as_a_kernel_without_it_does(tmp_path: Path):
    path = build(tmp_path, "fork", _FORK)
    forks, threads = calls(path), calls(build(tmp_path, "thread", _THREAD))
    assert "clone" in forks.required
    assert "clone3" not in forks.required
    assert {"clone", "clone3"} <= set(threads.required)
    assert [fact.values for fact in forks.arguments["clone"]] == [(0x120_0011,)]  # no CLONE_NEW*, and a child that ends
    with Snapshot.take(Found("fork", path)) as snapshot:
        policy = derive(inspect(snapshot), baselines.load("cli_tool"), Request())
    filter_ = render(policy, "seccomp", binary=str(path)).text
    assert '"clone3"' not in filter_
    assert '"defaultErrnoRet": 38' in filter_  # ENOSYS: the C library goes on with clone
