"""Go programs as Go's own linker makes them: what runtime and library do on occasions only, or if asked to."""

import os
from pathlib import Path

import compiled
import msgspec
import pytest

from bandit_runner.flakyservers.build import cache_folder, find_go
from binsafe.formats import parse
from binsafe.syscalls import analyse

STARTS = """
import ("os/exec"; "syscall")
%s
func main() { command := exec.Command("true"); %s; command.Run(); _ = syscall.Getpid() }
"""
ASKS = """
import ("os"; "golang.org/x/sys/unix")
%s
func main() { println(unix.Access(os.Args[0]), %s) }
"""
COPIES = 'import ("io"; "os")\n%s\nfunc main() { io.Copy(os.Stdout, os.Stdin) }'
CONNECTION = """type connection struct{}

//go:noinline
func (connection) PollFD() { println(1) }
func init() { connection{}.PollFD() }
"""
"""A method that bears the name of one of net's: it is taken for that."""
MAPS = 'import "golang.org/x/sys/unix"\nfunc main() { %s }'
UNIX = """package unix

import "syscall"

type mapperType struct{ remap func(uintptr) uintptr }

var mapper = &mapperType{mremap}

//go:noinline
func mremap(at uintptr) uintptr { result, _, _ := syscall.Syscall(syscall.SYS_MREMAP, at, 0, 0); return result }

//go:noinline
func (m *mapperType) get() bool { return m.remap == nil }

func Map() bool { return mapper.get() }
func Mremap() uintptr { return mapper.remap(1) }

//go:noinline
func call(number uintptr) int { result, _, _ := syscall.Syscall(number, 0, 0, 0); return int(result) }
func Getegid() int { return call(syscall.SYS_GETEGID) }

//go:noinline
func Faccessat(folder int, path string, mode uint32, flags int) int {
    if flags == 0 {
        return call(syscall.SYS_FACCESSAT)
    }
    return Getegid() + folder + len(path)
}
func Access(path string) int { return Faccessat(-100, path, 1, 0) }
"""
"""In the shape of the real one, and with its name: a call through a field that all who map have; what flags decide."""
PROGRAMS = {
    "nothing": "func main() { println(1) }",
    "starts": STARTS % ("", ""),
    "attributes": STARTS % ("", "command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}"),
    "filled": STARTS % ("var all syscall.SysProcAttr", "all.Setsid = true; command.SysProcAttr = &all"),
    "variable": STARTS % ("var all = &syscall.SysProcAttr{Setsid: true}", "command.SysProcAttr = all"),
    "part": STARTS
    % (
        "type all struct { name string; inner syscall.SysProcAttr }",
        "some := new(all); some.inner.Setsid = true; command.SysProcAttr = &some.inner",
    ),
    "array": STARTS % ("var all [3]struct{ a, b int; c syscall.SysProcAttr }", "command.SysProcAttr = &all[1].c"),
    "stack": """
import "syscall"
func main() { syscall.ForkExec("/bin/true", nil, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Chroot: "/"}}) }
""",
    "profiles": 'import ("os"; "runtime/pprof")\nfunc main() { pprof.StartCPUProfile(os.Stdout) }',
    "finds": 'import "os"\nfunc main() { one, _ := os.FindProcess(1); one.Signal(os.Interrupt) }',
    "asks": 'import "syscall"\nfunc main() { println(syscall.Faccessat(0, "a", 2, 0x200) == nil) }',
    "locks": 'import "runtime"\nfunc main() { go func() { runtime.LockOSThread() }(); select {} }',
    "signals": 'import ("os"; "os/signal")\nfunc main() { all := make(chan os.Signal, 1); signal.Notify(all); <-all }',
    "maps": MAPS % "unix.Map()",
    "remaps": MAPS % "unix.Map(); unix.Mremap()",
    "access": ASKS % ("", "unix.Access(os.Args[1])"),
    "value": ASKS % ("var ask = unix.Faccessat\nfunc Ask() { ask = nil }", "ask(0, os.Args[1], 1, 0)"),
    "flags": ASKS % ("", "unix.Faccessat(0, os.Args[1], 1, 1 << 32)"),
    "files": COPIES % "",
    "connection": COPIES % CONNECTION,
    "time": 'import "syscall"\nfunc main() { var now syscall.Timeval; syscall.Gettimeofday(&now) }',
}
OF_ATTRIBUTES = {"capset", "chroot", "clone3", "mount", "ptrace", "setgid", "setgroups", "setsid", "setuid", "unshare"}
OF_PROFILING = {"timer_create", "timer_settime", "timer_delete"}
OF_PROCESSES = {"pidfd_open", "pidfd_send_signal", "waitid", "wait4"}
OF_COPIES = {"pipe2", "sendfile", "splice"}
OF_ACCESS = {"faccessat", "getegid", "geteuid", "getgroups"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The calls of each program."""
    go = find_go(os.environ, cache_folder())
    folder = tmp_path_factory.mktemp("go")
    needs = "require golang.org/x/sys v0.0.0\nreplace golang.org/x/sys => ./sys\n"
    (folder / "go.mod").write_text(f"module example\n{needs}")
    (folder / "sys/unix").mkdir(parents=True)
    (folder / "sys/go.mod").write_text("module golang.org/x/sys\n")
    (folder / "sys/unix/unix.go").write_text(UNIX)
    for name, source in PROGRAMS.items():
        (folder / name).mkdir()
        (folder / name / "main.go").write_text("package main\n" + source)
    go.run("build", "-ldflags=-s -w", "-o", f"{folder}/built/", "./...", cwd=folder, target="linux/amd64")
    return {name: calls(folder / "built" / name) for name in PROGRAMS}


def calls(program: Path) -> set[str]:
    found = analyse(parse(memoryview(program.read_bytes())).slices[0])
    assert found is not None
    return set(found.required)


def test_a_program_that_starts_others_gives_them_no_attributes(made: dict[str, set[str]]):
    assert {"clone", "execve", "chdir", "wait4", "pidfd_open"} <= made["starts"]
    assert not OF_ATTRIBUTES & made["starts"]


@pytest.mark.parametrize("name", ["attributes", "filled", "variable", "part", "array", "stack"])
def test_attributes_are_found_wherever_they_are_made(made: dict[str, set[str]], name: str):
    assert made[name] >= OF_ATTRIBUTES


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        (OF_PROFILING, "profiles"),
        (OF_PROCESSES, "finds"),
        (OF_ACCESS, "asks"),
        ({"gettimeofday"}, "time"),
        ({"exit"}, "locks"),
        ({"faccessat", "getegid"}, "value"),
        ({"faccessat", "getegid"}, "flags"),
        ({"copy_file_range"} | OF_COPIES, "connection"),
    ],
)
def test_an_occasion_is_seen(made: dict[str, set[str]], expected: set[str], name: str):
    assert not made["nothing"] & expected
    assert made[name] >= expected


def test_the_thread_that_waits_for_signals_never_ends(made: dict[str, set[str]]):
    assert "exit" not in made["signals"]


def test_who_looks_for_programs_asks_only_for_the_right_to_execute(made: dict[str, set[str]]):
    assert "faccessat2" in made["starts"]
    assert not made["starts"] & OF_ACCESS


def test_who_asks_for_access_without_flags_asks_for_nothing_else(made: dict[str, set[str]]):
    assert "faccessat" in made["access"]
    assert "getegid" not in made["access"]


def test_files_are_copied_to_files_without_a_pipe(made: dict[str, set[str]]):
    assert "copy_file_range" in made["files"]
    assert not made["files"] & OF_COPIES


def test_the_runtime_needs_neither_mincore_nor_protection(made: dict[str, set[str]]):
    assert not made["nothing"] & {"mincore", "mprotect"}


HIDDEN = """
package main
import "syscall"
type one struct{}
func (one) Hidden() { syscall.Syscall(syscall.SYS_SWAPOFF, 0, 0, 0) }
var all = []interface{}{one{}}
func main() {
    for _, each := range all {
        if hidden, is := each.(interface{ Hidden() }); is {
            hidden.Hidden()
        }
    }
}
"""


def test_of_a_program_that_starts_others_every_number_is_told(tmp_path: Path):
    (tmp_path / "go.mod").write_text("module example\n")
    (tmp_path / "main.go").write_text("package main\n" + PROGRAMS["starts"])
    go = find_go(os.environ, cache_folder())
    go.run("build", "-o", f"{tmp_path}/program", ".", cwd=tmp_path, target="linux/amd64")
    assert compiled.calls(tmp_path / "program").complete


@compiled.needs_compiler
def test_of_a_program_that_brings_a_c_library_every_number_is_told(tmp_path: Path):
    """glibc's threads read theirs from an object on the stack of the one that changes its identity."""
    (tmp_path / "go.mod").write_text("module example\n")
    (tmp_path / "main.go").write_text(
        'package main\n// #define _GNU_SOURCE\n// #include <unistd.h>\nimport "C"\nfunc main() { C.setregid(1, 2) }\n'
    )
    go = find_go(os.environ, cache_folder())
    with_c = msgspec.structs.replace(go, environment=go.environment | {"CGO_ENABLED": "1"})
    static = "-ldflags=-linkmode=external -extldflags=-static"
    with_c.run("build", static, "-o", f"{tmp_path}/program", ".", cwd=tmp_path, target="linux/amd64")
    found = compiled.calls(tmp_path / "program")
    assert "setregid" in found.required
    assert found.complete


def test_methods_count_that_a_type_names_by_their_distance_from_the_first_function(tmp_path: Path):
    (tmp_path / "go.mod").write_text("module example\n")
    (tmp_path / "main.go").write_text(HIDDEN)
    go = find_go(os.environ, cache_folder())
    go.run("build", "-buildmode=pie", "-o", f"{tmp_path}/program", ".", cwd=tmp_path, target="linux/amd64")
    assert "swapoff" in compiled.calls(tmp_path / "program").required


def test_what_is_kept_for_a_function_that_nobody_links_is_not_called(made: dict[str, set[str]]):
    assert "mremap" not in made["maps"]
    assert "mremap" in made["remaps"]
