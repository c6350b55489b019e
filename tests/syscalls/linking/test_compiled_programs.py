"""Small C programs with libraries of their own: what they make is known, because they were written for it."""

from pathlib import Path

import pytest
from compiled import build, calls, library, needs_compiler

_WRAPPER = """
long mine(long unused, long number) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(0) : "rcx", "r11", "memory");
    return result + unused;
}
"""
_OUTER = "long mine(long, long); long outer(long number) { return mine(7, number + 1) + 1; }"


pytestmark = needs_compiler


def test_a_library_of_data_only_leads_to_what_it_points_to(tmp_path: Path):
    library(tmp_path, "target", "int swapoff(const char *); int target(void) { return swapoff(0); }")
    library(tmp_path, "table", "int target(void); int (*const table[3])(void) = {target, target, target};",
            "-nostdlib", "-Wl,--no-as-needed", "-ltarget")  # fmt: skip
    source = "extern int (*const table[])(void); int main(int count, char **all) { return table[count % 3](); }"
    found = calls(build(tmp_path, "program", source, "-ltable", "-ltarget"))
    assert "swapoff" in found.required
    assert found.complete


_SET = """
#define MEMBER(name, body) static int name(void) { return body; } \
    static int (*const in_##name)(void) __attribute__((section("members"), used)) = name;
int swapoff(const char *), acct(const char *), chroot(const char *);
MEMBER(first, swapoff(0)) MEMBER(second, acct(0)) MEMBER(third, chroot(0))
extern int (*const __start_members[])(void), (*const __stop_members[])(void);
#define COUNT (__stop_members - __start_members)
int main(int n, char **all) { for (int i = 0; i < COUNT; i++) if (!all[i]) __start_members[i](); }
"""


@pytest.mark.parametrize("options", [(), ("-s",), ("-static-pie",)], ids="".join)
def test_a_linker_set_is_walked_to_its_end_and_not_to_its_first_symbols(tmp_path: Path, options: tuple[str, ...]):
    found = calls(build(tmp_path, "program", _SET, *options))
    assert {"swapoff", "acct", "chroot"} <= set(found.required)


def test_a_wrapper_in_a_library_is_followed_to_its_callers_in_other_files(tmp_path: Path):
    library(tmp_path, "mine", _WRAPPER)
    library(tmp_path, "outer", _OUTER, "-Wl,--no-as-needed", "-lmine")
    source = "long mine(long, long), outer(long); int main(void) { return mine(0, 167) + outer(167); }"
    found = calls(build(tmp_path, "program", source, "-louter", "-lmine"))
    assert {"swapon", "swapoff"} <= set(found.required)
    assert found.complete


def test_a_number_that_the_caller_in_another_file_computes_is_reported(tmp_path: Path):
    library(tmp_path, "mine", _WRAPPER)
    source = "#include <stdlib.h>\nlong mine(long, long); int main(int n, char **v) { return mine(0, atoi(v[n-1])); }"
    found = calls(build(tmp_path, "program", source, "-lmine"))
    assert not found.complete
    assert any("passed to mine" in place.reason for place in found.unresolved)


def test_the_address_of_a_wrapper_in_another_file_is_reported(tmp_path: Path):
    library(tmp_path, "mine", _WRAPPER)
    source = "long mine(long, long); long (*table[])(long, long) = {mine}; int main(int n) { return table[n](0, n); }"
    found = calls(build(tmp_path, "program", source, "-lmine"))
    assert any("passed to mine" in place.reason for place in found.unresolved)


def test_a_wrapper_whose_address_a_function_returns_is_reported(tmp_path: Path):
    hidden = _WRAPPER.replace("long mine", "__attribute__((noinline)) static long mine")
    source = hidden + "long (*get(void))(long, long) { return mine; }"
    library(tmp_path, "get", source)
    program = build(
        tmp_path, "program", "long (*get(void))(long, long); int main(int n) { return get()(0, n); }", "-lget"
    )
    assert any("whose address is taken" in place.reason for place in calls(program).unresolved)


_MUTEX = """
#include <pthread.h>
int main(void) {
    pthread_mutexattr_t kind; pthread_mutex_t mutex;
    pthread_mutexattr_init(&kind); %s
    pthread_mutex_init(&mutex, &kind);
    return pthread_mutex_lock(&mutex);
}"""
_THREAD = """
#include <pthread.h>
static void *nothing(void *data) { return data; }
int main(void) {
    pthread_t thread; pthread_attr_t kind;
    pthread_attr_init(&kind); %s
    return pthread_create(&thread, &kind, nothing, 0);
}"""


@pytest.mark.parametrize(
    ("source", "setting", "call"),
    [
        (_MUTEX, "pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_PROTECT);", "sched_get_priority_min"),
        (_THREAD, "pthread_attr_setinheritsched(&kind, PTHREAD_EXPLICIT_SCHED);", "sched_setscheduler"),
    ],
    ids=["mutex", "thread"],
)
def test_the_scheduler_is_asked_only_where_something_was_set(source: str, setting: str, call: str, tmp_path: Path):
    assert call in calls(build(tmp_path, "set", source % setting)).required
    assert call not in calls(build(tmp_path, "plain", source % "")).required


def test_functions_of_the_program_that_nothing_leads_to_do_not_count(tmp_path: Path):
    source = """
        #include <sys/swap.h>
        __attribute__((used)) static int dead(void) { return swapon(0, 0); }
        static int live(void) { return swapoff(0); }
        static int (*const table[])(void) = {live};
        int main(int n) { return table[n - 1](); }"""
    found = set(calls(build(tmp_path, "program", source)).required)
    assert "swapoff" in found
    assert "swapon" not in found


_PLAIN = """
int swapoff(const char *), sync(void), atexit(void (*)(void));
__attribute__((noinline)) int often(int n) { return n == 77 ? swapoff("x") : 0; }
int main(int count, char **all) { (void)all; return often(count) + atexit((void (*)(void))sync); }
"""


@pytest.mark.parametrize("order", ["-fschedule-insns2", "-fno-schedule-insns2"])
def test_the_large_code_model_names_by_distances_from_the_global_offset_table(order: str, tmp_path: Path):
    found = calls(build(tmp_path, "program", _PLAIN, "-mcmodel=large", "-fPIE", "-pie", order))
    assert {"swapoff", "sync"} <= set(found.required)
    assert found.complete


def test_a_wrapper_that_is_called_by_its_distance_is_reported_or_followed(tmp_path: Path):
    source = (
        _WRAPPER.replace("long mine", "__attribute__((noinline, noclone)) long mine")
        + "int main(void) { return mine(1, 168); }"
    )
    found = calls(build(tmp_path, "program", source, "-mcmodel=large", "-fPIE", "-static-pie"))
    assert "swapoff" in found.required or not found.complete


def test_an_import_counts_as_called_where_it_is_not_seen_who_calls_it(tmp_path: Path):
    source = """
    int main(void) {
        int result;
        __asm__("lea 64+_GLOBAL_OFFSET_TABLE_(%%rip), %%rcx; movabs $swapoff@PLTOFF, %%rax; "
                "lea -64(%%rcx,%%rax), %%rax; call *%%rax"
                : "=a"(result) : : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
        return result;
    }
    """
    found = calls(build(tmp_path, "program", source, "-fPIE", "-pie"))
    assert "swapoff" in found.required
    assert not found.complete
    assert "swapoff" in found.unresolved[0].reason


def test_a_stub_that_the_linker_has_no_more_use_for_hides_nothing(tmp_path: Path):
    """``__tls_get_addr`` keeps its stub where the calls of a library's code became moves in the program around it."""
    source = "__thread int here; int *mine(void) { return &here; } int main(int n, char **v) { *mine() = n; return 0; }"
    program = build(tmp_path, "program", source, "-fPIC", "-ftls-model=global-dynamic")
    assert b"__tls_get_addr" in program.read_bytes()
    assert calls(program).complete


_HOLDING = """
#define _GNU_SOURCE
#include <signal.h>
#include <sys/inotify.h>
#include <sys/shm.h>
#include <sys/socket.h>
int EXPORTED(void) { return 0; }
int main(int count, char **words) {
    struct msghdr message = {0};
    return shmget(count, count, count) + sendmsg(count, &message, 0) + inotify_init1(0) + kill(count, count);
}
"""


@pytest.mark.parametrize("name", ["RAND_poll", "selinux_raw_to_trans_context", "_nss_systemd_getpwnam_r"])
def test_a_program_that_holds_a_librarys_code_makes_calls_that_the_library_never_makes(tmp_path: Path, name: str):
    found = calls(build(tmp_path, "program", _HOLDING, "-rdynamic", f"-DEXPORTED={name}"))
    assert {"shmget", "sendmsg", "inotify_init1", "kill"} <= set(found.required)


def test_an_address_that_the_loader_writes_into_code_leads_to_a_function(tmp_path: Path):
    source = """
    int swapoff(const char *);
    int hidden(int n) { return swapoff(0); }
    int main(int n, char **all) { int (*p)(int); __asm__("movabs $hidden, %0" : "=r"(p)); return p(n); }
    """
    found = calls(build(tmp_path, "program", source, "-pie", "-Wl,-z,notext"))
    assert "swapoff" in found.required
    assert found.complete
