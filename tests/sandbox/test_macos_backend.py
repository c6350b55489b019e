"""The macOS backend as far as Linux can show it: the command line, the private copy, the guard of other commands."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from binsafe.errors import NotEnforceable, NotExecutable
from binsafe.intake import Found, Snapshot
from binsafe.model import Denial, Grant, Policy
from binsafe.model.policy import PolicyArtifact
from binsafe.sandbox import Order, guard, launch
from binsafe.sandbox.macos import (
    SandboxExec,
    check_libraries,
    command_line,
    keep_quarantine,
    private_copy,
    scratch_folder,
    terminal_of,
    try_profile,
)
from binsafe.sandbox.macosprocess import Guarded, SeatbeltProcess, working_folder

pytestmark = pytest.mark.once

FORKING = "import os, time; os.fork(); print('up', flush=True); time.sleep(600)"


def order(system: str = "macos") -> Order:
    artifact = PolicyArtifact(name="p", sha256="0" * 64, system=system, arch="arm64")
    policy = Policy(artifact=artifact, baseline="deny_all", grants=())
    return Order(policy=policy, program=-1, stdout=subprocess.PIPE, on_violation=print)


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    started = Guarded([sys.executable, "-c", FORKING], order())
    yield started
    started.end()
    started.popen.wait(10)
    started.popen.stdout.close()


def gone(group: int, seconds: float = 5.0) -> bool:
    """Whether nobody of the process group is left; orphans are reaped a moment after their end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_the_command_is_a_list_that_no_shell_reads():
    command = command_line(Path("/p/profile.sb"), Path("/p/a program"), ["-x", "; rm -rf /"])
    assert command == ["/usr/bin/sandbox-exec", "-f", "/p/profile.sb", "/p/a program", "-x", "; rm -rf /"]


def test_a_scratch_folder_is_a_parameter():
    command = command_line(Path("/p"), Path("/b"), [], scratch=Path("/s"))
    assert command == ["/usr/bin/sandbox-exec", "-D", "SCRATCH=/s", "-f", "/p", "/b"]


def test_scratch_only_where_it_is_granted(tmp_path: Path):
    assert scratch_folder(order().policy, tmp_path) is None
    granted = msgspec.structs.replace(order().policy, grants=(Grant(kind="write", object="scratch", reason="test"),))
    assert scratch_folder(granted, tmp_path) == tmp_path / "scratch"


def test_limits_hold_in_the_guarded_command():
    limits = (("nofile", "64"), ("core", "0"), ("fsize", "4096"), ("nproc", "7"))
    grants = tuple(Grant(kind="limit", object=name, access=value, reason="test") for name, value in limits)
    asked = msgspec.structs.replace(order(), policy=msgspec.structs.replace(order().policy, grants=grants))
    code = "import resource as r; print(*(r.getrlimit(n) for n in (r.RLIMIT_NOFILE, r.RLIMIT_CORE, r.RLIMIT_FSIZE)))"
    code += "; print(r.getrlimit(r.RLIMIT_NPROC) == (7, 7))"
    started = Guarded([sys.executable, "-B", "-c", code], asked)  # no bytecode, of which the limit would leave a part
    assert started.popen.stdout.read() == b"(64, 64) (0, 0) (4096, 4096)\nFalse\n"
    assert started.popen.wait(10) == 0
    started.end()
    started.popen.stdout.close()


XATTR_LIKE = """#!/bin/sh
case $1 in
  -p) cat "$3.$2" ;;
  -w) printf %s "$3" > "$4.$2" ;;
  *) test -e "$1" && for mark in "$1".*; do test -e "$mark" && echo "${mark#"$1".}"; done; test -e "$1" ;;
esac
"""


def test_the_quarantine_mark_goes_with_the_copy(tmp_path: Path):
    tool, original, copy = tmp_path / "xattr", tmp_path / "original", tmp_path / "copy"
    tool.write_text(XATTR_LIKE)
    tool.chmod(0o755)
    copy.touch(mode=0o500)
    with pytest.raises(NotEnforceable, match="quarantine"):  # what has gone says nothing of what it had
        keep_quarantine(str(original), copy, tool=str(tool))
    original.touch()
    assert not keep_quarantine(None, copy, tool=str(tool))
    assert not keep_quarantine(str(original), copy, tool=str(tool))
    (tmp_path / "original.com.apple.quarantine").write_text("0083;5f;Safari;")
    assert keep_quarantine(str(original), copy, tool=str(tool))
    assert (tmp_path / "copy.com.apple.quarantine").read_text() == "0083;5f;Safari;"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o500
    tool.write_text(XATTR_LIKE.replace("printf", "false; exit 1; printf"))
    with pytest.raises(NotEnforceable, match="quarantine"):
        keep_quarantine(str(original), copy, tool=str(tool))


def test_a_program_of_another_system_is_refused():
    with pytest.raises(NotExecutable):
        launch(order("windows"))


def test_the_copy_that_runs_is_the_inspected_one_and_nobody_may_change_it(tmp_path: Path):
    path = tmp_path / "original"
    path.write_bytes(b"inspected")
    with Snapshot.take(Found("p", path)) as snapshot:
        path.write_bytes(b"something else")
        copy = private_copy(snapshot.descriptor, tmp_path / "copy")
        assert copy.read_bytes() == b"inspected"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o500
        with pytest.raises(FileExistsError):
            private_copy(snapshot.descriptor, copy)


def test_the_group_ends_with_the_lifeline(guarded: Guarded):
    assert guarded.popen.stdout.readline() == b"up\n"
    assert not gone(guarded.pid, 0.1)
    guarded.end()
    assert guarded.popen.wait(5) == 128 + signal.SIGKILL
    assert gone(guarded.pid)


def test_the_group_ends_with_a_supervisor_that_is_killed():
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_macos_backend import FORKING, Guarded, order
started = Guarded([sys.executable, "-c", FORKING], order())
started.popen.stdout.readline()
print(started.pid, flush=True)
import time; time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as supervisor:
        pid = int(supervisor.stdout.readline())
        assert not gone(pid, 0.1)
        supervisor.kill()
    assert gone(pid)


def test_stop_is_a_term_and_then_the_end(guarded: Guarded, tmp_path: Path):
    folder = tmp_path / "private"
    folder.mkdir()
    process = SeatbeltProcess(guarded, folder, (1,))
    guarded.popen.stdout.readline()
    assert process.wait(0.05) is None
    assert process.listening() == frozenset()
    assert process.stop(grace=2) in {128 + signal.SIGTERM, 128 + signal.SIGKILL}
    assert gone(guarded.pid)
    assert not folder.exists()


def test_the_status_is_the_commands_own():
    started = Guarded([sys.executable, "-c", "raise SystemExit(7)"], order())
    assert started.popen.wait(10) == 7
    started.end()
    started.popen.stdout.close()


def test_the_guard_reports_a_signal_as_a_shell_does():
    lifeline, write_end = os.pipe()
    pid = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
    os.kill(pid, signal.SIGTERM)
    assert guard.wait(pid, lifeline) == -signal.SIGTERM
    os.close(lifeline)
    os.close(write_end)


def test_a_guard_that_starts_nothing_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "__file__", os.devnull)  # an empty script: it ends and has told no process id
    with pytest.raises(NotEnforceable) as raised:
        Guarded([sys.executable], msgspec.structs.replace(order(), stdout=None))
    assert "ulimit" in raised.value.hint


def test_a_guard_whose_supervisor_died_first_ends_the_command():
    lifeline, held = os.pipe()
    report, told = os.pipe()
    os.close(held)
    os.close(report)
    command = [sys.executable, guard.__file__, str(lifeline), str(told), "", "/bin/sleep", "600"]
    with subprocess.Popen(command, pass_fds=(lifeline, told)) as started:
        os.close(lifeline)
        os.close(told)
        assert started.wait(10) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_program_does_not_outlive_its_guard(guarded: Guarded, tmp_path: Path, number: int):
    process = SeatbeltProcess(guarded, tmp_path / "private", ())
    assert guarded.popen.stdout.readline() == b"up\n"
    os.kill(guarded.popen.pid, number)
    assert process.wait(10) == 128 + number
    assert gone(guarded.pid)


TRIED = {
    "65": 'echo "sandbox-exec: unbound variable: bogus" >&2; exit 65',
    "nested": 'echo "sandbox-exec: sandbox_apply: Operation not permitted" >&2; exit 71',
    "open": "exit 0",
}


@pytest.mark.parametrize(("name", "words"), [("65", "bogus"), ("nested", "sandbox_apply"), ("open", "does not hold")])
def test_a_profile_that_is_not_taken_or_does_not_hold_starts_nothing(name: str, words: str):
    """What sandbox-exec says in these cases, as published logs show it."""
    with pytest.raises(NotEnforceable, match=words):
        try_profile(["/bin/sh", "-c", TRIED[name]])


def test_a_tool_that_does_not_answer_starts_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("binsafe.sandbox.macos.TRIAL_SECONDS", 0.2)
    with pytest.raises(NotEnforceable, match="did not answer within"):
        try_profile(["/bin/sleep", "60"])


def test_a_profile_that_refuses_another_program_is_what_is_wanted():
    said = "sandbox-exec: execvp() of '/usr/bin/true' failed: Operation not permitted"
    try_profile(["/bin/sh", "-c", f'echo "{said}" >&2; exit 71'])
    try_profile(["/bin/sh", "-c", "exit 0"], may_start=True)


def test_the_terminal_among_the_streams():
    master, slave = os.openpty()
    with open(os.devnull, "rb") as null:
        assert terminal_of(None, subprocess.PIPE, subprocess.DEVNULL, null.fileno()) is None
        assert terminal_of(null.fileno(), slave) == os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_it_runs_where_we_are_if_that_is_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    here = str(tmp_path.resolve())
    for granted, folder in ((here, f"{here}/deep"), (f"{here}/deep", f"{here}/deep"), (f"{here}/de", "/"), ("/x", "/")):
        grants = (
            Grant(kind="read", object=granted, reason="test"),
            Grant(kind="write", object="scratch", reason="test"),
        )
        policy = msgspec.structs.replace(order().policy, grants=grants)
        assert working_folder(policy) == folder
        started = Guarded(["/bin/pwd"], msgspec.structs.replace(order(), policy=policy))
        assert started.popen.stdout.read().decode().strip() == folder
        started.end()
        started.popen.wait(10)
        started.popen.stdout.close()


def test_a_library_that_is_looked_for_beside_the_copy_is_refused():
    denied = (Denial(capability="load @rpath/libx.dylib", reason="test"),)
    check_libraries(order().policy)
    with pytest.raises(NotEnforceable, match=r"@rpath/libx\.dylib, which is looked for beside it") as refused:
        check_libraries(msgspec.structs.replace(order().policy, denied=denied))
    assert "--for macos" in refused.value.hint


@pytest.mark.skipif(sys.platform == "darwin", reason="sandbox-exec is there")
def test_without_the_tool_nothing_starts():
    with pytest.raises(NotEnforceable, match="is not there"):
        SandboxExec().launch(order())
