"""The same attempts where there are no namespaces, and what only that backend must do by itself."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import test_battery
import test_escapes
import test_process
from attempts import TWINS, call, calls
from widest import widest_policy

from binsafe import kernel
from binsafe.errors import NotEnforceable
from binsafe.intake import Found, Snapshot
from binsafe.kernel.rights import LATEST
from binsafe.model import Grant, Policy
from binsafe.model.policy import PolicyArtifact, PolicyFile
from binsafe.policy.conditions import holds
from binsafe.renderers import unshared
from binsafe.sandbox import Order, launch
from binsafe.sandbox.linux.fallback import Landlock

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
    pytest.mark.skipif(kernel.landlock_abi() == 0, reason="this kernel has no Landlock"),
]

test_refused = test_battery.test_refused
test_what_is_refused_is_reported_by_name = test_battery.test_what_is_refused_is_reported_by_name
test_a_look_at_others_is_named = test_battery.test_a_look_at_others_is_named
test_the_other_calling_convention_ends_the_program = test_battery.test_the_other_calling_convention_ends_the_program
test_connecting_out_fails_and_is_named = test_escapes.test_connecting_out_fails_and_is_named
test_a_unix_socket_of_the_host_cannot_be_reached = test_escapes.test_a_unix_socket_of_the_host_cannot_be_reached
test_a_port_that_is_not_granted_cannot_be_bound = test_escapes.test_a_port_that_is_not_granted_cannot_be_bound
test_nothing_can_be_written_that_is_not_granted = test_escapes.test_nothing_can_be_written_that_is_not_granted
test_no_second_program_runs_not_even_itself = test_escapes.test_no_second_program_runs_not_even_itself
test_a_descriptor_is_closed = test_escapes.test_a_descriptor_that_the_launcher_had_open_is_closed
test_no_memory_is_writable_and_executable = test_escapes.test_no_memory_is_writable_and_executable
test_a_granted_listener = test_escapes.test_a_granted_listener_cannot_be_turned_into_a_connection
test_a_granted_port_is_reached = test_escapes.test_a_granted_port_is_reached_from_outside_and_only_on_loopback
test_a_granted_folder = test_process.test_a_granted_folder_can_be_written_and_read_and_not_executed_from
test_a_program_that_ignores_sigterm = test_process.test_a_program_that_ignores_sigterm_is_stopped_in_the_time_given
test_starts_and_stops_leave_nothing_behind = test_process.test_starts_and_stops_leave_nothing_behind
test_the_exit_status_is_the_programs_own = test_process.test_the_exit_status_is_the_programs_own
outside = test_escapes.outside
shared_folder = test_process.shared_folder


@pytest.fixture
def backend() -> str:
    return "landlock"


def test_the_twins_work(sandboxed: Callable):
    """But for one: its scheduling is not granted to a process that could name others of the host."""
    answers = sandboxed(*TWINS.values()).answers()
    refused = {what for what, attempt in TWINS.items() if answers[attempt] in test_battery.REFUSALS}
    assert refused == {"the usual scheduling"}


test_files_that_are_not_there = test_battery.test_files_that_are_not_there


def test_a_folder_above_what_is_granted_is_there_and_cannot_be_listed(sandboxed: Callable):
    run = sandboxed("list=/dev")
    assert run.answers()["list=/dev"].endswith("permission denied")
    assert ("/dev", "--read /dev") in {(v.object, v.grant) for v in run.violations}


@pytest.mark.parametrize("kind", ["read", "write"])
def test_with_a_granted_folder_what_is_denied_is_named_all_the_same(sandboxed: Callable, folder: Path, kind: str):
    run = sandboxed(
        "read=/etc/shadow", "write=/etc/new", grants=(Grant(kind=kind, object=str(folder), reason="asked"),)
    )
    assert all(run.answers().values())
    assert {(v.operation, v.object) for v in run.violations} >= {("read", "/etc/shadow"), ("write", "/etc/new")}


def test_it_is_nobody_and_knows_nothing(sandboxed: Callable):
    answers = sandboxed("uid", "variables", "open-files", f"kill={os.getpid()}", "kill=-1").answers()
    assert answers.pop(f"kill={os.getpid()}") == answers.pop("kill=-1") == "operation not permitted"
    assert set(answers.values()) == {""}


@pytest.mark.parametrize(
    "names",
    [
        "chmod fchmodat chown lchown fchownat utimensat",
        "fchmod fchown fsetxattr shmget",
        "getxattr lgetxattr listxattr llistxattr",
    ],
)
def test_what_landlock_does_not_cover_is_not_granted(sandboxed: Callable, names: str):
    """By path, and by a descriptor that is open for reading alone; nor what is only to be read beside a file."""
    attempts = calls(dict.fromkeys(names.split(), (0, 0, 0, 0)))
    grants = tuple(Grant(kind="syscall", object=name, reason="asked for") for name in attempts)
    answers = sandboxed(*attempts.values(), grants=grants).answers().values()
    assert set(answers) <= {*test_battery.REFUSALS, "operation not supported"}


def test_a_signal_goes_to_its_own_threads_alone(sandboxed: Callable):
    """With the right to tgkill, which Go's runtime needs to preempt."""
    attempts = call("tgkill", os.getpid(), os.getpid(), 0), call("tkill", os.getpid(), 0)
    assert set(sandboxed(*attempts).answers().values()) <= test_battery.REFUSALS


def test_a_socket_that_was_never_bound_cannot_listen(sandboxed: Callable, free_port: Callable):
    """Without a network namespace the kernel would give it a port of the host's, on every address."""
    run = sandboxed("unbound", ports=(free_port(),))
    assert run.answers() == {"unbound": "operation not permitted"}
    [refused] = [v for v in run.violations if v.operation == "listen"]
    assert (refused.object, refused.grant) == (
        "a socket that was not bound",
        "none: a port is granted by its number, which bind names",
    )


def test_a_port_that_the_kernel_chooses_is_listened_on(sandboxed: Callable):
    attempt = "listen=127.0.0.1:0"
    assert sandboxed(attempt, ports=(0,)).answers()[attempt] == ""


def test_the_kernel_says_that_it_is_confined(sandboxed: Callable):
    pid = sandboxed("stay").process.pid
    shown = test_process.status(pid)
    assert (shown["Seccomp"], shown["NoNewPrivs"], shown["Threads"] != "0") == ("2", "1", True)
    held = {shown[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    assert held | ({shown["CapBnd"]} if os.geteuid() == 0 else set()) == {"0" * 16}
    assert all(int(number) != 0 for number in shown["Uid"].split())
    assert Path(f"/proc/{pid}/coredump_filter").read_text() == "00000000\n"
    assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_the_supervisor(probe: Path, number: int):
    here = str(Path(__file__).parent)
    script = test_process.SUPERVISOR.replace("on_violation=[].append)", 'on_violation=[].append), backend="landlock"')
    command = [sys.executable, "-c", script, here, str(Path(here).parents[1]), str(probe)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as supervisor:
        pid = int(supervisor.stdout.readline())
        members = [member for member in test_process.family(pid) if member != supervisor.pid]
        assert len(members) >= 2
        supervisor.send_signal(number)
        supervisor.wait(10)
    assert all(test_process.gone(member) for member in members)


def test_the_program_ends_when_the_one_that_watches_it_is_killed(sandboxed: Callable):
    pid = sandboxed("stay").process.pid
    os.kill(int(test_process.status(pid)["PPid"]), signal.SIGKILL)
    assert test_process.gone(pid)


@pytest.mark.parametrize(
    "change",
    [
        {"interpreter": "/lib64/ld-linux-x86-64.so.2"},
        {"files": (PolicyFile(opened_as="/x", path="/x", sha256="0" * 64),)},
    ],
)
def test_what_runs_with_other_files_is_refused(probe: Path, change: dict):
    with Snapshot.take(Found("probe", probe)) as snapshot:
        policy = widest_policy(snapshot)
        policy = msgspec.structs.replace(policy, artifact=msgspec.structs.replace(policy.artifact, **change))
        order = Order(policy=policy, program=snapshot.descriptor, on_violation=[].append)
        with pytest.raises(NotEnforceable, match="mount namespace"):
            launch(order, backend="landlock")


def test_a_folder_that_may_only_be_read_is_refused_below_one_that_may_be_written(probe: Path, tmp_path: Path):
    """Landlock would let it be written, which no mount prevents here."""
    (tmp_path / "kept").mkdir()
    kinds = {"write": tmp_path, "read": tmp_path / "kept"}
    grants = tuple(Grant(kind=kind, object=str(path), reason="test") for kind, path in kinds.items())
    with Snapshot.take(Found("probe", probe)) as snapshot:
        order = Order(policy=widest_policy(snapshot, grants=grants), program=snapshot.descriptor, on_violation=print)
        with pytest.raises(NotEnforceable, match="only a mount takes that back"):
            launch(order, backend="landlock")


def test_a_grant_that_cannot_be_given_is_refused_or_told(probe: Path):
    grant = Grant(kind="write", object="/var/cache/x", access="scratch", reason="test")
    told = []
    with Snapshot.take(Found("probe", probe)) as snapshot:
        order = Order(
            policy=widest_policy(snapshot, grants=(grant,)),
            program=snapshot.descriptor,
            arguments=["uid"],
            stdout=subprocess.DEVNULL,
            on_violation=[].append,
        )
        with pytest.raises(NotEnforceable, match="no private /var/cache/x"):
            launch(order, backend="landlock")
        process = launch(msgspec.structs.replace(order, accept_gap=told.append), backend="landlock")
        assert process.wait(10) == 0
    assert [gap.id for gap in told] == ["scratch"]


REFUSING = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'


def test_it_is_chosen_where_namespaces_are_refused_and_that_is_said(probe: Path, free_port: Callable):
    port = free_port()
    command = [
        "run",
        "--ports",
        f":{port}",
        "--yes",
        str(probe),
        f"listen=127.0.0.1:{port}",
        "read=/etc/passwd",
        "stay",
    ]
    entry = [sys.executable, "-c", "from binsafe.cli import main; raise SystemExit(main())"]
    with subprocess.Popen(
        ["unshare", "-U", "-r", "sh", "-c", REFUSING, "sh", *entry, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
    ) as run:
        try:
            assert b'"error":""' in (first := run.stdout.readline()), first + run.stderr.read()
            assert b"no such file" in run.stdout.readline()
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                assert client.recv(16) == b"hello"
        finally:
            run.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            run.kill()
        said = run.stderr.read().decode()
        assert "namespaces are refused here" in said
        assert [gap.reason for gap in Landlock.leaves_open if f"left open: {gap.reason}" not in said] == []


@pytest.mark.parametrize("abi", [1, 2, 3, 6])
def test_less_of_landlock_never_means_more_of_anything(probe: Path, abi: int):
    with Snapshot.take(Found("probe", probe)) as snapshot:
        policy = widest_policy(snapshot)
    names = {grant.object for grant in unshared.tighten(policy, abi).of("syscall")}
    assert not names & unshared.DROPPED
    assert ("tkill" in names) == (abi >= 6)
    opening = [grant.when for grant in unshared.tighten(policy, abi).of("syscall") if grant.object == "openat"]
    assert all(not holds(when, (0, 0, flags, 0, 0, 0)) for when in opening for flags in (os.O_PATH, 3))
    assert any(holds(when, (0, 0, os.O_TRUNC, 0, 0, 0)) for when in opening) == (abi >= 3)


def test_no_baseline_can_grant_a_process_or_another_kind_of_socket():
    grants = tuple(
        Grant(kind="syscall", object=name, reason="test")
        for name in ("clone", "tgkill", "socket", "fcntl", "ioctl", "sendto")
    )
    artifact = PolicyArtifact(name="x", sha256="0" * 64, system="linux", arch="x86_64")
    policy = unshared.tighten(Policy(artifact=artifact, baseline="x", grants=grants), LATEST)
    assert len(policy.grants) > len(grants)
    assert all(grant.when for grant in policy.grants)
