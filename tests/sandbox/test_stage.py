"""The stage: it starts before there is a plan, loads next to nothing, and leaves nothing when there is none."""

import errno
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from widest import widest_policy

from binsafe.errors import MechanismRefused, NotEnforceable
from binsafe.intake import Found, Snapshot
from binsafe.model import Policy
from binsafe.model.policy import PolicyArtifact
from binsafe.sandbox import Order, launch, prepare
from binsafe.sandbox.linux import messages
from binsafe.sandbox.linux.explain import Failure, explain, failure_in
from binsafe.sandbox.linux.layout import READ
from binsafe.sandbox.linux.starting import Stage, _take_listener
from binsafe.sandbox.linux.streams import Streams

POLICY = Policy(
    artifact=PolicyArtifact(name="x", sha256="0" * 64, system="linux", arch="x86_64"), baseline="", grants=()
)
PACKAGES = Path(__file__).parents[2]
DEAR = {"collections", "contextlib", "enum", "functools", "importlib", "json", "re", "signal", "socket", "typing"}
"""Modules that would cost each start milliseconds; `os` and `ctypes` must be."""


def test_nothing_dear_is_loaded():
    code = "import sys; sys.path.append(sys.argv[1]); import binsafe.sandbox.linux.stage; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, PACKAGES], capture_output=True, text=True, check=True, timeout=30
    )
    assert "binsafe.sandbox.linux.becoming" in said.stdout.split()
    assert not DEAR.intersection(said.stdout.split())


def test_without_a_plan_it_is_ended():
    with Stage() as stage:  # left without `supervise`, as when a policy is refused
        process = Path(f"/proc/{stage.pid}")
        assert process.exists()
    assert not process.exists()


def test_a_key_on_the_terminal_does_not_reach_it():
    with Stage() as stage:
        assert os.getsid(stage.pid) == stage.pid


@pytest.mark.parametrize(("name", "value"), [("stdin", subprocess.PIPE), ("stderr", subprocess.PIPE), ("stdin", -9)])
def test_streams_that_nobody_could_use_are_refused(name: str, value: int):
    order = Order(policy=POLICY, program=-1, on_violation=print, **{name: value})
    with pytest.raises(ValueError, match="only standard output can be a pipe"):
        Streams(order)


def test_standard_error_may_go_where_output_goes():
    order = Order(policy=POLICY, program=-1, on_violation=print, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with Streams(order) as streams:
        assert streams.pipe is not None
        _, stdout, stderr = streams.descriptors
        assert stdout == stderr
        os.write(stderr, b"said")
    with streams.pipe:
        assert streams.pipe.read() == b"said"  # to its end: our copy of the program's end is closed


def test_it_ends_with_a_supervisor_that_is_killed_before_there_is_a_plan():
    code = (
        "import os, signal\nfrom binsafe.sandbox.linux.starting import Stage\n"
        "stage = Stage()\nprint(stage.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=PACKAGES, timeout=30, check=False)
    try:
        left = os.pidfd_open(int(said.stdout))
    except ProcessLookupError:
        return
    with open(left, "rb", buffering=0):
        assert select.select([left], [], [], 10)[0], "it is still there"


def test_a_launcher_that_ignores_its_children_gets_the_exit_status(tmp_path: Path):
    """An ignored SIGCHLD is inherited, and with it nobody could wait for the program."""
    command = [sys.executable, "-m", "binsafe", "run", "--", "/bin/false"]
    ended = subprocess.run(
        command,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        capture_output=True,
        cwd=PACKAGES,
        timeout=60,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert ended.returncode == 1, ended.stderr


@pytest.mark.parametrize("detail", ["[Errno 1] no: 'mount'", "with \0 inside", "\udcff", ""])
def test_a_failure_arrives_as_it_was(detail: str):
    told = failure_in(messages.encode("failed", "mounts", 13, detail))
    assert told is not None
    assert told[:2] == ("mounts", 13)
    assert told.detail == detail.replace("\udcff", "\\xff")


def test_more_processes_than_may_be_are_no_fault_of_ours():
    """Where root starts it, the limit is that of the user that root becomes."""
    command = [sys.executable, "-m", "binsafe", "run", "/bin/true"]
    done = subprocess.run(["prlimit", "--nproc=1", *command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125
    assert "ulimit -u" in done.stderr


FILTERED = """
import os, sys
from binsafe import kernel
from binsafe.kernel.filters import RET_ALLOW, RET_ERRNO, Refusal, compile_decided
from binsafe.sandbox.linux.backend import native_arch
refused = {sys.argv[1]: RET_ERRNO | int(sys.argv[2])}
filter = compile_decided(refused, native_arch(), Refusal(unlisted=RET_ALLOW, unmet=RET_ALLOW))
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
kernel.seccomp_confine(filter)
os.execv(sys.executable, [sys.executable, "-m", "binsafe", *sys.argv[3:]])
"""


def filtered(name: str, number: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Our command, where a call ends with that error."""
    command = [sys.executable, "-c", FILTERED, name, str(number), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
@pytest.mark.parametrize("name", ["capset", "signalfd4", "seccomp", "memfd_create", "socketpair"])
def test_a_filter_around_us_that_refuses_a_step_is_no_bug_of_ours(name: str, number: int):
    """It was said to be one, an old kernel, or an output that cannot be written."""
    done = filtered(name, number, "run", "/bin/true")
    assert done.returncode == 125
    assert "container's profile" in done.stderr or "in a container: a profile" in done.stderr


@pytest.mark.parametrize("name", ["memfd_create", "socketpair", "pipe2", "setsid"])
def test_the_doctor_tells_of_such_a_filter(name: str):
    done = filtered(name, errno.EPERM, "doctor")
    assert (done.returncode, done.stderr) == (125, "")
    assert "fix: a filter of system calls in force (a container's profile)" in done.stdout
    assert "default       none" in done.stdout


@pytest.mark.parametrize("name", ["prctl", "landlock_restrict_self"])
def test_a_parser_that_such_a_filter_hinders_says_what_it_lacks_and_blames_no_file(name: str):
    """It was said that the file may have been made to break parsers. What prctl would do has been done here before."""
    done = filtered(name, errno.EPERM, "inspect", "/bin/true")
    assert done.returncode == 0, done.stderr
    assert ("no Landlock: " in done.stdout) == (name != "prctl")


@pytest.mark.parametrize("refused", [True, False])
def test_root_that_may_not_mount_is_told_from_a_file_system_that_maps_no_ids(refused: bool):
    error = explain(Failure("granted folders", errno.EPERM if refused else errno.EINVAL, "open_tree"))
    assert isinstance(error, MechanismRefused) == refused
    assert ("CAP_SYS_ADMIN" in error.hint) == refused


WHY = messages.encode("failed", "seccomp", errno.EBUSY, "busy")


@pytest.mark.parametrize(
    ("said", "last"), [(WHY, messages.encode("armed", 3)), (WHY, messages.encode("exit", 1, 0)), (b"", WHY)]
)
def test_why_a_process_ended_is_told_however_late_it_is_looked_for(said: bytes, last: bytes):
    """Before its listener was taken over, where init said first that it ended, and where it never came so far."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    status, failing = os.pipe()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    with ours, theirs:
        if (child := os.fork()) == 0:
            os.write(failing, said)
            theirs.send(last)
            os._exit(0)
        os.close(failing)
        os.waitpid(child, 0)
        with pytest.raises(NotEnforceable, match="seccomp: busy") as refused:
            _take_listener(ours, status)
    os.close(status)
    assert "start it outside" in refused.value.hint


@pytest.mark.parametrize(
    "message", [b"", b"exit\x000", b"failed", b"failed\0x\0y\0z", b"\xff\0\0\0", b"failed\0a\0\xb2\0b"]
)
def test_what_is_no_failure_is_none(message: bytes):
    assert failure_in(message) is None
    assert Failure().step == "stage"


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_what_was_prepared_is_what_becomes_the_program(probe: Path, backend: str):
    prepared = prepare()
    assert isinstance(prepared, Stage)
    with Snapshot.take(Found("probe", probe)) as snapshot:
        order = Order(
            policy=widest_policy(snapshot, ()),
            program=snapshot.descriptor,
            arguments=["uid"],
            stdout=subprocess.DEVNULL,
            on_violation=print,
            prepared=prepared,
            accept_gap=print,
        )
        process = launch(order, backend=backend)
        assert process.wait(10) == 0
    prepared.close()  # it was the program's, and is gone: nothing is ended twice
    assert not Path(f"/proc/{prepared.pid}").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root maps ids and mounts")
@pytest.mark.parametrize(("mode", "attributes", "given"), [(0o755, 0, False), (0o777, 0, True), (0o755, READ, True)])
def test_a_folder_whose_owner_cannot_be_mapped_is_given_where_everybody_may_use_it(
    tmp_path: Path, mode: int, attributes: int, given: bool
):
    """ramfs knows no id-mapped mounts."""
    code = (
        "import os, subprocess, sys; from binsafe import kernel; from binsafe.sandbox.linux.idmaps import open_trees; "
        "path, mode, attributes = sys.argv[1], *map(int, sys.argv[2:]); kernel.unshare(kernel.CLONE_NEWNS); "
        "kernel.mount('', '/', '', kernel.MS_REC | kernel.MS_PRIVATE); kernel.mount('x', path, 'ramfs', 0); "
        "os.chmod(path, mode); open_trees({'mounts': [(path, attributes)]}, 61184)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(mode), str(attributes)]
    done = subprocess.run(command, cwd=PACKAGES, capture_output=True, text=True, check=False)
    assert (done.returncode, "OSError" in done.stderr) == ((0, False) if given else (1, True)), done.stderr
