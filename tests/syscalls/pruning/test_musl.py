"""What musl does for attributes of threads and mutexes: as much as the program sets."""

import shutil
import subprocess
from pathlib import Path

import pytest
from compiled import calls, freestanding, needs_compiler

_THREADS = """
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
static pthread_mutex_t lock;
static void *run(void *n) { pthread_mutex_lock(&lock); return n; }
int main(int n, char **all) {
    pthread_attr_t how; pthread_mutexattr_t kind; pthread_t thread;
    pthread_attr_init(&how); pthread_attr_setstacksize(&how, 1 << 20);
    pthread_mutexattr_init(&kind); pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    %s;
    pthread_mutex_init(&lock, &kind);
    return pthread_create(&thread, &how, run, all) || pthread_join(thread, 0);
}
"""
_BOTH = {"sched_setscheduler", "set_robust_list"}


def _threads(folder: Path, does: str, *options: str) -> set[str]:
    program = folder / "program"
    command = ["musl-gcc", "-D_GNU_SOURCE", "-O2", "-static", "-s", *options, "-x", "c", "-", "-o", str(program)]
    subprocess.run(command, input=_THREADS % does, text=True, check=True)
    found = set(calls(program).required)
    assert {"clone", "futex"} <= found
    return found & _BOTH


@pytest.mark.skipif(shutil.which("musl-gcc") is None, reason="no musl here")
@pytest.mark.parametrize("options", [(), ("-static-pie", "-fPIE")], ids=["static", "pie"])
@pytest.mark.parametrize(
    ("does", "expected"),
    [
        ("", set()),
        ("pthread_attr_setinheritsched(&how, n)", {"sched_setscheduler"}),
        ("pthread_mutexattr_setpshared(&kind, n)", {"set_robust_list"}),
        ("pthread_mutexattr_setrobust(&kind, n)", set()),
        ("syscall(SYS_sched_setscheduler, n, n, all)", {"sched_setscheduler"}),
        ("syscall(SYS_set_robust_list, all, n)", {"set_robust_list"}),
    ],
    ids=["none", "scheduling", "shared", "robust", "own-scheduling", "own-list"],
)
def test_each_attribute_brings_what_is_done_for_it(
    tmp_path: Path, does: str, expected: set[str], options: tuple[str, ...]
):
    assert _threads(tmp_path, does, *options) == expected


_CREATES = """
OUTLINE void nothing(void) { }
OUTLINE long clone(long flags, long n) { return call(56, flags, n, 0); }
OUTLINE static long run(long n) { %s if (clone(0x7d0f00, n) > 0) return call(144, n, 0, 0); return n; }
__attribute__((used)) OUTLINE long set(char *object, int value) { %s return 0; }
"""
_SETS = "if (value %s) return 22; *(int *) (object + 28) = value;"


@needs_compiler
@pytest.mark.parametrize(
    ("is_made", "calls_", "sets"),
    [
        (False, "nothing();", ""),
        (False, "nothing();", "*(int *) (object + 28) = value;"),
        (True, "", ""),
        (True, "nothing();", _SETS % "& ~5"),
        (True, "nothing();", _SETS % "> 1u"),
        (True, "nothing();", 'for (int i = 0; i < value; i++) __asm__ volatile(""); ' + _SETS % "> 1u"),
    ],
    ids=["without", "something-else", "compiled-as-one", "by-bits", "by-comparison", "not-at-the-beginning"],
)
def test_what_may_set_the_attribute_brings_the_call(tmp_path: Path, is_made: bool, calls_: str, sets: str):
    found = freestanding(tmp_path, _CREATES % (calls_, sets))
    assert ("sched_setscheduler" in found.required) is is_made


@needs_compiler
def test_what_makes_no_thread_like_musl_makes_the_call(tmp_path: Path):
    source = (_CREATES % ("nothing();", "")).replace("0x7d0f00", "0x3d0f00")
    assert "sched_setscheduler" in freestanding(tmp_path, source).required


_ITSELF = """
OUTLINE void nothing(void) { }
OUTLINE long clone(long flags, long n) { return call(56, flags, n, 0); }
OUTLINE long make(long number, long n) { return call(number, n, 0, 0); }
OUTLINE static long run(long n) { nothing(); if (clone(0x7d0f00, n) > 0) { %s } return make(39, n); }
__attribute__((used)) OUTLINE long last(long n) { if (*(long *) (n + 144) == 0) call(%d, n, 0, 0); return n; }
"""
_LISTS = "*(long *) (n + %d) = -28; call(273, n, 0, 0);"


@needs_compiler
@pytest.mark.parametrize(
    ("made", "does", "at_last"),
    [
        (set[str](), "call(144, n, 0, 0);", 39),
        ({"sched_setscheduler"}, "make(144, n);", 39),
        (set[str](), _LISTS % 144, 273),
        ({"set_robust_list"}, (_LISTS % 144).replace("call(273, n, 0, 0)", "make(273, n)"), 39),
        ({"set_robust_list"}, _LISTS % 136, 273),
        ({"set_robust_list"}, "call(273, n, 0, 0);", 39),
    ],
    ids=["scheduling", "by-a-function", "both-lists", "list-by-a-function", "another-list", "no-list"],
)
def test_calls_that_only_stand_near_what_musl_does_are_made(tmp_path: Path, made: set[str], does: str, at_last: int):
    found = freestanding(tmp_path, _ITSELF % (does, at_last))
    assert found.complete
    assert _BOTH & set(found.required) == made
