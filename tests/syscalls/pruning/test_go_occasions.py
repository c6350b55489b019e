"""What each occasion is known by on which Go's library makes some calls, in programs that are assembled here."""

from collections.abc import Mapping
from itertools import pairwise

import pytest
from assembled import DATA, X86
from go_layouts import TABLE, analysed, words

from binsafe.syscalls.tables import numbers

TEXT = DATA + 0x600
_ACCESS, _FINDS = "golang.org/x/sys/unix.Faccessat", "os/exec.findExecutable"


def functions(calls: Mapping[str, tuple[str, ...]], makes: Mapping[str, str]) -> X86:
    """``main.main`` and others, with what each of them calls and the system call that some make."""
    code = X86()
    for name in dict.fromkeys([*calls, *(callee for each in calls.values() for callee in each), *makes]):
        code.label(name)
        if name == "main.main":
            code.mov("rsi", 0)
        for callee in calls.get(name, ()):
            code.call(callee)
        if name in makes:
            code.mov("rax", numbers("x86_64")[makes[name]])
            code.syscall()
        code.ret()
    return code


def is_made(call: str, by: str, *calls: tuple[str, ...], text: bytes = b"", linked: tuple[str, ...] = ()) -> bool:
    """Whether a call counts that a function makes; the first of each of ``calls`` calls the second, and so on."""
    edges: dict[str, tuple[str, ...]] = {"main.main": linked}
    for caller, callee in (pair for each in calls for pair in pairwise(each)):
        edges[caller] = (*edges.get(caller, ()), callee)
    found = analysed(functions(edges, {by: call}), {TEXT: text})
    assert found.complete
    return call in found.required


_FILE, _SPLICE, _PIPE = "os.(*File).spliceToFile", "internal/poll.Splice", "internal/poll.newPipe"


@pytest.mark.parametrize(
    ("made", "calls", "linked"),
    [
        (False, (("main.main", _FILE, _SPLICE, _PIPE),), ()),
        (True, (("main.main", _FILE, _SPLICE, _PIPE), ("main.main", _SPLICE)), ()),
        (True, (("main.main", _FILE, _PIPE),), ()),
        (True, (("main.main", _FILE, _SPLICE, _PIPE),), ("net.(*conn).PollFD",)),
    ],
    ids=["files", "others-splice", "no-splice", "connections"],
)
def test_data_goes_through_a_pipe_between_connections(
    made: bool, calls: tuple[tuple[str, ...], ...], linked: tuple[str, ...]
):
    assert is_made("pipe2", _PIPE, *calls, linked=linked) is made


@pytest.mark.parametrize(
    ("call", "gate", "linked"),
    [
        ("mprotect", "runtime.sysFault", ("runtime.newUserArena", "arena.New")),
        ("mprotect", "runtime.sysFaultOS", ("runtime.newUserArena", "arena.New")),
        ("timer_create", "runtime.setThreadCPUProfiler", ("runtime.SetCPUProfileRate", "runtime.setcpuprofilerate")),
        (
            "pidfd_open",
            "os.checkPidfd",
            (
                "os.(*Process).Kill", "os.(*processHandle).acquire", "os.newDoneProcess", "os.newHandleProcess",
                "os.newPIDProcess", "os.newProcess", "os.findProcess", "os.FindProcess", "os.pidfdFind",
                "os.ensurePidfd", "os.startProcess", "os.StartProcess", "syscall.forkAndExecInChild",
                "syscall.forkExec", "syscall.StartProcess",
            ),
        ),
        ("sendfile", "os.(*File).writeTo", ("net.(*conn).PollFD",)),
    ],
    ids=["arenas", "arenas-since-1.20", "profiling", "processes", "connections"],
)  # fmt: skip
def test_each_function_that_brings_an_occasion_is_known(call: str, gate: str, linked: tuple[str, ...]):
    way = ("main.main", gate, "syscall.one")
    assert not is_made(call, "syscall.one", way)
    assert is_made(call, "syscall.one", way, ("main.main", "syscall.one"))
    for name in linked:
        assert is_made(call, "syscall.one", way, linked=(name,)), name


@pytest.mark.parametrize(
    "text", [b"golang.org/x/sys/unix.Mremap\0", b"golang.org/x/sys/unix.(*mremapMmapper).Mremap\0"]
)
def test_memory_is_moved_where_the_name_of_who_does_it_is_left(text: bytes):
    way = ("main.main", "golang.org/x/sys/unix.mremap")
    assert not is_made("mremap", way[-1], way)
    assert is_made("mremap", way[-1], way, text=text)


@pytest.mark.parametrize("name", ["runtime.clone", "runtime.exitThread"])
def test_a_thread_ends_where_one_is_locked_by_what_is_inlined(name: str):
    way = ("main.main", name)
    assert not is_made("exit", name, way)
    assert is_made("exit", name, way, text=b"runtime.LockOSThread\0")


@pytest.mark.parametrize("caller", ["internal/syscall/unix.Eaccess", _FINDS])
def test_whoever_else_asks_for_access_may_ask_for_more(caller: str):
    way = ("main.main", caller, "syscall.Faccessat")
    assert not is_made("getuid", "syscall.Faccessat", way)
    assert is_made("getuid", "syscall.Faccessat", way, ("main.main", "syscall.Faccessat"))


def test_whoever_has_it_as_a_value_may_ask_for_more():
    code = functions({"main.main": (_FINDS,), _FINDS: ("syscall.Faccessat",)}, {"syscall.Faccessat": "getuid"})
    assert "getuid" not in analysed(code).required
    assert "getuid" in analysed(code, {TEXT: words(code.labels["syscall.Faccessat"])}).required


def asking(*others: str) -> X86:
    """Who asks golang.org/x/sys/unix for access, with no flags; and others, of which nobody knows with which."""
    code = functions({"main.main": (_ACCESS, *others)}, {_ACCESS: "getuid"})
    for name in others:
        code.label(name)
        code.put(b"\x48\x8b\x37")  # mov rsi, [rdi]
        code.call(_ACCESS)
        code.ret()
    return code


def test_flags_are_looked_for_at_each_call():
    later = {TABLE: bytes(0x100)}
    assert "getuid" not in analysed(asking(), later, table=False).required
    assert "getuid" in analysed(asking("main.other"), later, table=False).required


def test_before_1_18_it_is_not_known_where_parameters_are():
    """Its table of functions holds their addresses, and later ones do not."""
    assert "getuid" in analysed(asking()).required


def test_of_two_functions_of_one_name_it_is_not_known_which_is_called():
    """One for each of two conventions."""
    code = asking()
    code.label(_ACCESS + "#")
    code.jump(_ACCESS)
    assert "getuid" in analysed(code, {TABLE: bytes(0x100)}, table=False).required
