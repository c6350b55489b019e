"""What a program inside cannot do even when it is granted all that the shipped baseline can give; and what it can."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attempts import call

from binsafe import baselines
from binsafe.policy.conditions import holds

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


@pytest.fixture
def outside() -> Iterator[tuple[str, int]]:
    """A TCP listener of the host's that no program inside may reach."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[:2]


def test_a_call_that_is_only_named_on_its_way_keeps_its_conditions(sandboxed: Callable):
    """A device node: the cap grants mknodat for plain files, and calls with a path come by the supervisor."""
    attempt = call("mknodat", 0, 0, 0o20666, 0)
    run = sandboxed(attempt)
    assert run.answers()[attempt] == "operation not permitted"
    assert "mknodat" in {violation.syscall for violation in run.violations}


def test_no_option_is_told_for_a_message_that_would_connect(sandboxed: Callable):
    """What was told is a baseline with sendmsg, which this one has."""
    run = sandboxed(call("sendmsg", 0, 0, socket.MSG_FASTOPEN), call("sendmmsg", 0, 0, 0, socket.MSG_FASTOPEN))
    run.answers()
    said = {(each.syscall, each.grant) for each in run.violations if not each.expected}
    assert said == {(name, "none: MSG_FASTOPEN connects without connect") for name in ("sendmsg", "sendmmsg")}


def test_connecting_out_fails_and_is_named(sandboxed: Callable, outside: tuple[str, int]):
    target = "{}:{}".format(*outside)
    run = sandboxed(f"connect={target}", f"udp={target}")
    answers = run.answers()
    assert answers[f"connect={target}"]
    assert answers[f"udp={target}"]
    assert any(v.operation == "connect" and v.object == target for v in run.violations)


def test_no_option_is_told_for_a_connection_that_none_grants(sandboxed: Callable):
    run = sandboxed("connect=127.0.0.1:0")
    run.answers()
    assert {v.grant for v in run.violations if v.operation == "connect"} == {"none: nobody is reached at port 0"}


def test_a_unix_socket_of_the_host_cannot_be_reached(sandboxed: Callable, tmp_path: Path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        assert sandboxed(f"unix={path}", "unix=@abstract").answers()[f"unix={path}"]


@pytest.mark.parametrize("granted", [0, 1])
def test_a_port_that_is_not_granted_cannot_be_bound(sandboxed: Callable, free_port: Callable, granted: int):
    """Nor are Go's probes for IPv6 told of, which no port would help: without any granted, each was."""
    other = free_port()
    run = sandboxed(f"listen=127.0.0.1:{other}", ports=tuple(free_port() for _ in range(granted)))
    assert "operation not permitted" in run.answers()[f"listen=127.0.0.1:{other}"]
    (violation,) = [v for v in run.violations if not v.expected]
    assert (violation.operation, violation.object) == ("bind", f"127.0.0.1:{other}")
    assert violation.grant == f"--ports :{other}"


def test_the_hosts_folders_are_not_there(sandboxed: Callable):
    attempts = [
        f"list={path}" for path in ("/etc/ssh", "/proc/1", "/proc/net", "/sys", "/root", "/home", "/usr", "/var")
    ]
    answers = sandboxed(*attempts).answers()
    assert [attempt for attempt in attempts if "no such file" not in answers[attempt]] == []


def test_nothing_can_be_written_that_is_not_granted(sandboxed: Callable):
    attempts = [f"write={path}" for path in ("/bin/new", "/new", "/dev/new", "/bin/probe", "/scratch/file", "/tmp/x")]
    answers = sandboxed(*attempts).answers()
    assert [attempt for attempt in attempts if not answers[attempt]] == []


@pytest.mark.parametrize("path", ["/bin/sh", "/bin/probe"])
def test_no_second_program_runs_not_even_itself(sandboxed: Callable, path: str):
    run = sandboxed(f"execute={path}", f"spawn={path}")
    answers = run.answers()
    assert answers[f"execute={path}"] == "operation not permitted"
    assert answers[f"spawn={path}"]
    assert any(v.operation == "execute" and v.object == path and v.grant == f"--exec {path}" for v in run.violations)


def test_it_is_nobody_and_alone(sandboxed: Callable):
    answers = sandboxed("uid", "pid", "variables", "open-files", f"kill={os.getpid()}").answers()
    assert answers.pop(f"kill={os.getpid()}") in {"no such process", "operation not permitted"}
    assert set(answers.values()) == {""}


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_no_program_hides_its_memory_from_who_names_its_denials(sandboxed: Callable):
    """One that was not dumpable was denied in silence where an ordinary user had started it, and could bind no port."""
    hides = call("prctl", 4, 0)  # PR_SET_DUMPABLE
    run = sandboxed(hides, "stay")
    assert f'{{"attempt":"{hides}","error":""}}\n'.encode() == run.process.stdout.readline()
    assert os.stat(f"/proc/{run.process.pid}/mem").st_uid != 0
    assert [each for each in run.violations if each.syscall == "prctl"] == []
    for name in baselines.available():
        grants = (grant for group in baselines.load(name).calls for grant in group.grants if grant.object == "prctl")
        assert [grant.reason for grant in grants if holds(grant.when, (4, 0, 0, 0, 0, 0))] == []


def test_a_descriptor_that_the_launcher_had_open_is_closed(sandboxed: Callable):
    leaked = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        assert sandboxed(f"descriptor={leaked + 60}", "open-files").answers()["open-files"] == ""
    finally:
        os.close(leaked)


def test_no_memory_is_writable_and_executable(sandboxed: Callable):
    assert sandboxed("write-exec").answers()["write-exec"] == "operation not permitted"


def test_a_granted_listener_cannot_be_turned_into_a_connection(
    sandboxed: Callable, outside: tuple[str, int], free_port: Callable
):
    port = free_port()
    attempts = (f"listen=127.0.0.1:{port}", "fast-open={}:{}".format(*outside))
    answers = sandboxed(*attempts, ports=(port,)).answers()
    assert answers[attempts[0]] == ""
    assert answers[attempts[1]] == "operation not permitted"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])
def test_a_granted_port_is_reached_from_outside_and_only_on_loopback(
    sandboxed: Callable, host: str, free_port: Callable
):
    port = free_port()
    run = sandboxed(f"listen={host}:{port}", "stay", ports=(port,))
    assert run.process.stdout.readline() == f'{{"attempt":"listen={host}:{port}","error":""}}\n'.encode()
    assert run.process.listening() == {port}
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        assert client.recv(16) == b"hello"
    with open("/proc/net/tcp6") as six, open("/proc/net/tcp") as four:
        rows = [line.split()[1] for line in (*four, *six) if f":{port:04X}" in line and " 0A " in line]
    assert rows in (["0100007F:" + f"{port:04X}"], ["0000000000000000FFFF00000100007F:" + f"{port:04X}"])
    assert [v for v in run.violations if not v.expected] == []
    assert any(v.object == "a multipath TCP socket" for v in run.violations if v.expected)
