"""The state of a program inside as the kernel shows it, and its end however that comes."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from attempts import call
from widest import widest_policy

from binsafe import baselines
from binsafe.errors import NotEnforceable
from binsafe.intake import Found, Snapshot, inspect
from binsafe.model import Grant
from binsafe.policy import Request, derive
from binsafe.sandbox import Order, launch

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

SUPERVISOR = """
import sys, subprocess, time
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from widest import widest_policy
from binsafe.intake import Found, Snapshot
from binsafe.sandbox import Order, launch
with Snapshot.take(Found("probe", Path(sys.argv[3]))) as snapshot:
    policy = widest_policy(snapshot)
    process = launch(Order(policy=policy, program=snapshot.descriptor, arguments=["stay"], on_violation=[].append))
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that everybody may write, below folders that everybody may enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o777)
        yield Path(name)


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def gone(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if status(pid)["State"].startswith("Z"):
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def family(pid: int) -> list[int]:
    """The program, its init and its middle process: what must end together."""
    found = [pid]
    while (parent := int(status(found[-1])["PPid"])) not in (0, 1, os.getpid()):
        found.append(parent)
    return found


def test_the_kernel_says_that_it_is_confined(sandboxed: Callable):
    pid = sandboxed("stay").process.pid
    shown = status(pid)
    assert shown["Seccomp"] == "2"
    assert shown["NoNewPrivs"] == "1"
    assert {shown[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) >= 500, "where memory runs out it goes first"
    assert all(int(number) != 0 for number in shown["Uid"].split())
    assert Path(f"/proc/{pid}/coredump_filter").read_text() == "00000000\n"
    for namespace in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
        assert os.readlink(f"/proc/{pid}/ns/{namespace}") != os.readlink(f"/proc/self/ns/{namespace}")
    assert Path(f"/proc/{pid}/net/route").read_text() == ""
    devices = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    core = next(line for line in limits if line.startswith("Max core file size"))
    none = "0" if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 else "1"  # 0 would not stop one that is piped
    assert core.split()[4:6] == [none, none]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_the_supervisor(probe: Path, number: int):
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", SUPERVISOR, here, str(Path(here).parents[1]), str(probe)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as supervisor:
        pid = int(supervisor.stdout.readline())
        members = [member for member in family(pid) if member != supervisor.pid]
        assert len(members) >= 3
        supervisor.send_signal(number)
        supervisor.wait(10)
    assert all(gone(member) for member in members if member != os.getpid())


def test_a_program_that_ignores_sigterm_is_stopped_in_the_time_given(sandboxed: Callable):
    run = sandboxed("uid", "stay")
    run.process.stdout.readline()  # from before that on it ignores the signal
    before = time.monotonic()
    assert run.process.stop(grace=0.3) == 128 + signal.SIGKILL
    assert 0.3 <= time.monotonic() - before < 3


@pytest.mark.skipif(shutil.which("dash") is None, reason="needs Debian's shell")
def test_what_is_ended_is_answered_until_it_has_ended():
    """It went on for a moment with nobody to answer its calls, which then did not exist: so it said, at its end."""
    busy = 'trap "" TERM; for each in 1 2 3 4; do (while :; do : < /dev/null; done) & done; echo up; wait'
    with Snapshot.take(Found("dash", Path(shutil.which("dash")).resolve())) as snapshot:
        report = inspect(snapshot, syscalls=False)
        order = Order(
            policy=derive(report, baselines.load("cli_tool"), Request()),
            program=snapshot.descriptor,
            path=snapshot.artifact.path,
            arguments=("-c", busy),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            on_violation=print,
        )
        for _ in range(12):  # without the rule, one in two said so
            with tempfile.TemporaryFile() as said:
                process = launch(msgspec.structs.replace(order, stderr=said.fileno()))
                with process.stdout as out:
                    assert out.readline() == b"up\n"
                    process.stop(grace=0)
                said.seek(0)
                assert said.read() == b""


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_the_programs_calls_are_its_own_although_the_status_pipe_is_open(
    sandboxed: Callable, free_port: Callable, monkeypatch: pytest.MonkeyPatch
):
    """Its parent inside closes the pipe when it comes to it, which on a busy machine is long after the execve.

    Until the pipe's end the supervisor took each call for the launcher's, and let it go on.
    """
    made = os.pipe2

    def held_open(flags: int) -> tuple[int, int]:
        ends = made(flags)
        if sys._getframe(1).f_code.co_filename.endswith("starting.py"):
            threading.Timer(2.0, os.close, (os.dup(ends[1]),)).start()
        return ends

    monkeypatch.setattr(os, "pipe2", held_open)
    run = sandboxed(call("shmget", 0, 4096, 0o1600), f"connect=127.0.0.1:{free_port()}")
    segment, connection = run.answers().values()
    assert segment == "function not implemented"
    assert connection.endswith("operation not permitted")


def test_starts_and_stops_leave_nothing_behind(sandboxed: Callable):
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    sandboxed("uid").answers()
    before = held()
    for _ in range(10):
        run = sandboxed("uid")
        run.answers()
        run.process.stdout.close()
    deadline = time.monotonic() + 5
    while held() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert held() <= before


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_folder_is_no_standard_stream(probe: Path, stream: str, tmp_path: Path):
    """With openat(0, "..") it would be a way to all of the host's files where there is no Landlock."""
    folder = os.open(tmp_path, os.O_RDONLY)
    with Snapshot.take(Found("probe", probe)) as snapshot:
        order = Order(
            policy=widest_policy(snapshot),
            program=snapshot.descriptor,
            on_violation=[].append,
            **{stream: folder},
        )
        with pytest.raises(NotEnforceable, match="folder"):
            launch(order)
    os.close(folder)


def test_the_exit_status_is_the_programs_own(sandboxed: Callable):
    run = sandboxed("no-such-attempt")
    run.process.stdout.read()
    assert run.process.wait(10) == 2


def test_what_was_inspected_is_what_runs(probe: Path, tmp_path: Path):
    from widest import widest_policy

    from binsafe.intake import Found, Snapshot
    from binsafe.sandbox import Order, launch

    path = tmp_path / "probe"
    path.write_bytes(probe.read_bytes())
    with Snapshot.take(Found("probe", path)) as snapshot:
        path.write_bytes(b"\x7fELF something else")  # after the inspection, before the start
        order = Order(
            policy=widest_policy(snapshot),
            program=snapshot.descriptor,
            arguments=["uid"],
            stdout=subprocess.PIPE,
            on_violation=print,
        )
        process = launch(order)
    assert json.loads(process.stdout.read()) == {"attempt": "uid", "error": ""}
    assert process.wait(10) == 0
    process.stdout.close()
    with pytest.raises(OSError, match="Operation not permitted"), Snapshot.take(Found("probe", probe)) as sealed:
        os.write(sealed.descriptor, b"x")


def test_a_granted_folder_can_be_written_and_read_and_not_executed_from(sandboxed: Callable, shared_folder: Path):
    grant = Grant(kind="write", object=str(shared_folder), reason="test")
    attempts = (f"write={shared_folder}/new", f"read={shared_folder}/new", f"execute={shared_folder}/new")
    wrote, read, executed = sandboxed(*attempts, grants=(grant,)).answers().values()
    assert (wrote, read) == ("", "")
    assert executed == "operation not permitted"
    assert (shared_folder / "new").read_bytes() == b"x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only what root starts becomes another user")
def test_what_it_writes_into_a_private_folder_of_roots_is_its_owners(sandboxed: Callable, shared_folder: Path):
    shared_folder.chmod(0o700)
    grant = Grant(kind="write", object=str(shared_folder), reason="test")
    assert sandboxed(f"write={shared_folder}/new", grants=(grant,)).answers() == {f"write={shared_folder}/new": ""}
    status = (shared_folder / "new").stat()
    assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    assert shared_folder.stat().st_uid == os.geteuid()


def test_a_flood_of_denials_is_counted_not_printed(sandboxed: Callable):
    ports = [f"listen=127.0.0.1:{port}" for port in range(20000, 20400)]
    run = sandboxed(*ports, ports=(19999,))
    assert all(run.answers().values())
    assert len(run.violations) <= 210
    assert run.process.unreported >= 190
