"""What musl's ``posix_spawn`` does in the child: ``fchdir`` where the program asks for it, and for nothing else."""

import shutil
import subprocess
from pathlib import Path

import pytest
from compiled import calls

pytestmark = pytest.mark.skipif(shutil.which("musl-gcc") is None, reason="no musl here")

_SPAWNS = """
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
%s
int main(int n, char **all) {
    posix_spawn_file_actions_t files; pid_t child;
    posix_spawn_file_actions_init(&files);
    %s;
    %s;
    return posix_spawn(&child, "/bin/true", &files, 0, all, 0);
}
"""
_THREAD = "pthread_create((pthread_t *) all, 0, (void *(*)(void *)) main, all)"
_DUP2 = "posix_spawn_file_actions_adddup2(&files, n, 2)"
_ADDS = """
struct action { struct action *next, *before; int number, descriptor, source, how, mode; };
__attribute__((noipa)) void add(posix_spawn_file_actions_t *files, int to) {
    struct action *action = malloc(sizeof *action);
    if (!action) abort();
    action->number = 5; action->descriptor = to;
    if ((action->next = files->__actions)) action->next->before = action;
    action->before = 0; files->__actions = action;
}
"""


def _made(folder: Path, does: str, functions: str = "", *options: str, thread: str = _THREAD) -> set[str]:
    program = folder / "program"
    command = ["musl-gcc", "-D_GNU_SOURCE", "-O2", "-static", "-s", *options, "-x", "c", "-", "-o", str(program)]
    subprocess.run(command, input=_SPAWNS % (functions, thread, does), text=True, check=True)
    found = set(calls(program).required)
    assert {"clone", "execve"} <= found
    return found & {"fchdir", "dup2"}


@pytest.mark.parametrize("options", [(), ("-static-pie", "-fPIE")], ids=["static", "pie"])
def test_a_program_that_only_redirects_goes_nowhere(tmp_path: Path, options: tuple[str, ...]):
    assert _made(tmp_path, _DUP2, "", *options) == {"dup2"}


@pytest.mark.parametrize(
    ("does", "functions"),
    [
        ("posix_spawn_file_actions_addfchdir_np(&files, n)", ""),
        ("add(&files, n)", _ADDS),
        ("fchdir(n)", ""),
    ],
    ids=["library", "itself", "without-a-child"],
)
def test_who_goes_elsewhere_makes_the_call(tmp_path: Path, does: str, functions: str):
    assert "fchdir" in _made(tmp_path, f"{_DUP2}; {does}", functions)


def test_where_no_action_is_seen_to_be_added_all_are_made(tmp_path: Path):
    assert "fchdir" in _made(tmp_path, "files.__actions = (void *) all")


def test_where_the_library_may_be_one_with_the_program_all_are_made(tmp_path: Path):
    assert _made(tmp_path, _DUP2, thread="") == {"fchdir", "dup2"}
