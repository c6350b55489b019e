"""What a static program's ``posix_spawn`` does in the child: what the flags ask for that it sets, and no more."""

from pathlib import Path

import pytest
from compiled import build, calls, needs_compiler

from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.machines.x86_64 import X86_64
from binsafe.syscalls.pruning import spawning

pytestmark = needs_compiler

_SPAWNS = """
#include <spawn.h>
#include <stdlib.h>
int main(int n, char **all) {
    posix_spawnattr_t how; pid_t child;
    posix_spawnattr_init(&how); %s
    return system("true") + posix_spawn(&child, "/bin/true", 0, &how, all, 0);
}
"""
_SET = "posix_spawnattr_setflags(&how, %s);"
_FOR = {
    "POSIX_SPAWN_SETSID": {"setsid"},
    "POSIX_SPAWN_SETPGROUP": {"setpgid"},
    "POSIX_SPAWN_RESETIDS": {"setresuid", "setresgid"},
    "POSIX_SPAWN_SETSCHEDPARAM": {"sched_setparam"},
    "POSIX_SPAWN_SETSCHEDULER": {"sched_setscheduler"},
}
_ALL = {call for calls_ in _FOR.values() for call in calls_}


@pytest.mark.parametrize("options", [("-static",), ("-static", "-s"), ("-static-pie", "-s")], ids="".join)
def test_a_program_that_only_runs_commands_changes_nothing(tmp_path: Path, options: tuple[str, ...]):
    source = "#include <stdlib.h>\nint main(int n, char **all) { return system(all[n - 1]); }"
    found = set(calls(build(tmp_path, "program", source, *options)).required)
    assert {"execve", "wait4"} <= found
    assert not found & _ALL


@pytest.mark.parametrize("flag", _FOR)
def test_each_flag_brings_what_is_done_for_it(tmp_path: Path, flag: str):
    source = "#define _GNU_SOURCE\n" + _SPAWNS % (_SET % flag)
    found = set(calls(build(tmp_path, "program", source, "-static", "-s")).required)
    assert found & _ALL == _FOR[flag]


def test_flags_that_are_not_known_bring_all(tmp_path: Path):
    found = calls(build(tmp_path, "program", _SPAWNS % (_SET % "n"), "-static", "-s"))
    assert set(found.required) >= _ALL


@pytest.mark.parametrize(
    ("written", "made"),
    [("movw $6, %w0", {"setpgid"}), ("movb $6, %b0", _ALL)],
    ids=["all-that-counts", "a-part"],
)
def test_flags_are_half_of_what_is_passed(tmp_path: Path, written: str, made: set[str]):
    through = f'long flags = (long) all; __asm__ volatile("{written}" : "+r"(flags)); set(&how, flags);'
    whole = '#include <spawn.h>\nint set(posix_spawnattr_t *, long) __asm__("posix_spawnattr_setflags");'
    found = calls(build(tmp_path, "program", whole + _SPAWNS % through, "-static", "-s"))
    assert set(found.required) & _ALL == made


def test_a_setter_that_is_passed_on_brings_all(tmp_path: Path):
    through = "int (*volatile set)(posix_spawnattr_t *, short) = posix_spawnattr_setflags; set(&how, 0);"
    found = calls(build(tmp_path, "program", _SPAWNS % through, "-static", "-s"))
    assert set(found.required) >= _ALL


_COMMAND = """
#include <stdio.h>
int main(int n, char **all) { FILE *out = popen(all[n - 1], "r"); return out ? pclose(out) : 1; }"""
_ACTED = {"chdir", "fchdir", "close_range", "getpgid"}
_WITH_ACTION = """
#define _GNU_SOURCE
#include <spawn.h>
%s
int main(int n, char **all) {
    posix_spawn_file_actions_t files; pid_t child;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    %s;
    return posix_spawn(&child, "/bin/true", &files, 0, all, 0);
}
"""


@pytest.mark.parametrize("options", [("-static",), ("-static", "-s"), ("-static-pie", "-s")], ids="".join)
def test_a_program_that_only_reads_of_a_command_changes_nothing(tmp_path: Path, options: tuple[str, ...]):
    found = set(calls(build(tmp_path, "program", _COMMAND, *options)).required)
    assert {"execve", "wait4", "dup2"} <= found
    assert not found & (_ALL | _ACTED)


@pytest.mark.parametrize(
    ("action", "call"),
    [
        ("posix_spawn_file_actions_addchdir_np(&files, all[0])", "chdir"),
        ("posix_spawn_file_actions_addfchdir_np(&files, n)", "fchdir"),
        ("posix_spawn_file_actions_addclosefrom_np(&files, n)", "close_range"),
        ("posix_spawn_file_actions_addtcsetpgrp_np(&files, n)", "getpgid"),
    ],
)
def test_each_action_brings_what_it_does(tmp_path: Path, action: str, call: str):
    found = calls(build(tmp_path, "program", _WITH_ACTION % ("", action), "-static", "-s"))
    assert set(found.required) & _ACTED == {call}


def test_an_action_that_is_added_by_others_is_made(tmp_path: Path):
    adding = """
        struct action { int number; long first, second, third; };
        struct files { int room, used; struct action *all; };
        __attribute__((noipa)) void add(struct files *files, int to) {
            struct action *action = &files->all[files->used];
            action->number = 4; action->first = to; files->used++;
        }"""
    found = calls(build(tmp_path, "program", _WITH_ACTION % (adding, "add((void *) &files, n)"), "-static", "-s"))
    assert set(found.required) & _ACTED == {"fchdir"}


def test_an_action_whose_place_is_the_sum_of_two_registers_is_made(tmp_path: Path):
    adding = """
        void add(void *, int);
        __asm__(".type add, @function\\nadd: .cfi_startproc\\nmovslq 4(%rdi), %rax\\nshl $5, %rax\\n"
            "mov 8(%rdi), %rdx\\nmovl $4, (%rdx, %rax)\\nmov %esi, 8(%rdx, %rax)\\naddl $1, 4(%rdi)\\nret\\n"
            ".cfi_endproc\\n.size add, . - add");"""
    found = calls(build(tmp_path, "program", _WITH_ACTION % (adding, "add(&files, n)"), "-static", "-s"))
    assert set(found.required) & _ACTED == {"fchdir"}


def test_what_looks_like_another_librarys_says_nothing_of_glibcs_actions(tmp_path: Path):
    """The program has the flags of musl's threads, and what musl does for ``dup2`` alone."""
    like_musl = """
        struct action { struct action *next, *before; int number, descriptor, source; };
        __attribute__((noipa)) void add(struct action *action, int from, int to) {
            action->number = 2; action->descriptor = to; action->source = from;
        }
        __attribute__((noipa)) void nothing(void) { }
        __attribute__((noipa)) long thread(long n) {
            long result; nothing();
            __asm__ volatile("syscall" : "=a"(result) : "a"(56L), "D"(0x7d0f00L), "S"(n) : "rcx", "r11", "memory");
            return result;
        }"""
    does = "struct action one; add(&one, n, 1); thread(n); posix_spawn_file_actions_addfchdir_np(&files, n)"
    found = calls(build(tmp_path, "program", _WITH_ACTION % (like_musl, does), "-static", "-s"))
    assert set(found.required) & _ACTED == {"fchdir"}


def test_flags_that_are_set_by_others_bring_all(tmp_path: Path):
    setting = """
        __attribute__((noipa)) void set(short *at, short to) { *at = to; }
        __attribute__((used)) long both(int n, char **all) {
            posix_spawnattr_t how; pid_t child;
            posix_spawnattr_init(&how); set((short *) &how, n);
            return posix_spawn(&child, all[0], 0, &how, all, 0);
        }"""
    found = calls(build(tmp_path, "program", _WITH_ACTION % (setting, "both(n, all)"), "-static", "-s"))
    assert set(found.required) >= _ALL


@pytest.mark.parametrize(
    ("code", "flags"),
    [
        ("8b03 a820 750a", [0x20]),  # mov eax, [rbx]; test al, 0x20; jne
        ("8b03 89c1 f6c120 7504", [0x20]),  # mov ecx, eax; test cl, 0x20
        ("8b03 e800000000 a820 7505", []),  # call
        ("8b03 58 a820 7509", []),  # pop rax
        ("8b03 8d4001 a820 7507", []),  # lea eax, [rax + 1]
    ],
)
def test_a_flag_is_one_only_while_its_register_holds_the_word(code: str, flags: list[int]):
    instructions = Decoder("x86_64", 100).sweep(bytes.fromhex(code).ljust(16, b"\x90") + b"\xc3", 0x1000)
    region = Region(X86_64(), 0x1000, instructions, anchored=True)
    assert [flag for flag, _ in spawning._branches(region)] == flags
