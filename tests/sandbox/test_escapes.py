"""What a program inside cannot do even when it is granted all that the shipped baseline can give; and what it can."""

import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from binsafe.syscalls import tables

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

ARCH = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
UNGRANTED_CALLS = {
    "ptrace": "0,0,0,0",
    "mount": "0,0,0,0,0",
    "unshare": f"{0x1000_0000}",
    "setns": "0,0",
    "bpf": "0,0,0",
    "io_uring_setup": "1,0",
    "keyctl": "0,0",
    "add_key": "0,0,0,0,0",
    "memfd_create": "0,0",
    "userfaultfd": "0",
    "perf_event_open": "0,0,0,0,0",
    "process_vm_readv": "1,0,0,0,0,0",
    "pidfd_open": "1,0",
    "pidfd_getfd": "0,0,0",
    "open_by_handle_at": "0,0,0",
    "name_to_handle_at": "0,0,0,0,0",
    "seccomp": "1,0,0",
    "chroot": "0",
    "pivot_root": "0,0",
    "init_module": "0,0,0",
    "kexec_load": "0,0,0,0",
    "personality": f"{0x0040_0000}",
    "sendmsg": "0,0,0",
    "sendmmsg": "0,0,0,0",
    "socketpair": "1,1,0,0",
    "setuid": "0",
    "capset": "0,0",
    "quotactl": "0,0,0,0",
    "sethostname": "0,0",
    "reboot": "0,0,0,0",
    "process_vm_writev": "1,0,0,0,0,0",
    "process_madvise": "0,0,0,0,0",
    "kcmp": "1,1,0,0,0",
    "pidfd_send_signal": "0,9,0,0",
    "request_key": "0,0,0,0",
    "memfd_secret": "0",
    "io_uring_enter": "0,0,0,0,0,0",
    "io_uring_register": "0,0,0,0",
    "fanotify_init": "0,0",
    "inotify_init1": "0",
    "finit_module": "0,0,0",
    "delete_module": "0,0",
    "kexec_file_load": "0,0,0,0,0",
    "umount2": "0,0",
    "move_mount": "0,0,0,0,0",
    "open_tree": "0,0,0",
    "fsopen": "0,0",
    "fsconfig": "0,0,0,0,0",
    "fsmount": "0,0,0",
    "fspick": "0,0,0",
    "mount_setattr": "0,0,0,0,0",
    "swapon": "0,0",
    "swapoff": "0",
    "acct": "0",
    "syslog": "3,0,0",
    "settimeofday": "0,0",
    "clock_settime": "0,0",
    "adjtimex": "0",
    "clock_adjtime": "0,0",
    "setdomainname": "0,0",
    "setgid": "0",
    "setresuid": "0,0,0",
    "setresgid": "0,0,0",
    "setgroups": "0,0",
    "setfsuid": "0",
    "vhangup": "",
    "lookup_dcookie": "0,0,0",
    "nfsservctl": "0,0,0",
    "mbind": "0,0,0,0,0,0",
    "migrate_pages": "0,0,0,0",
    "move_pages": "0,0,0,0,0,0",
    "set_mempolicy": "0,0,0",
    "get_mempolicy": "0,0,0,0,0",
    "shmget": "0,4096,950",
    "semget": "0,1,950",
    "msgget": "0,950",
    "mq_open": "0,0,0,0",
    "landlock_create_ruleset": "0,0,1",
    "landlock_restrict_self": "0,0",
    "setrlimit": "7,0",
    "sched_setscheduler": "0,0,0",
    "ioprio_set": "1,0,0",
    "quotactl_fd": "0,0,0,0",
    "io_setup": "1,0",
    "io_submit": "0,0,0",
    "vmsplice": "1,0,0,0",
    "tee": "0,1,0,0",
    "remap_file_pages": "0,0,0,0,0",
    "fork": "",
    "vfork": "",
    "kill": "-1,0",
    "iopl": "3",
    "ioperm": "0,1,1",
    "modify_ldt": "0,0,0",
    "execveat": "0,0,0,0,0",
    "fork_by_clone": "",
    "clone_into_new_user_namespace": "",
}
CLONE_NEWUSER, CLONE_VM_THREAD, SIGCHLD = 0x1000_0000, 0x100 | 0x1_0000, 17


@pytest.fixture
def outside() -> Iterator[tuple[str, int]]:
    """A TCP listener of the host's that no program inside may reach."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[:2]


def call(name: str, arguments: str) -> str:
    if name == "fork_by_clone":
        return f"call={tables.numbers(ARCH)['clone']},{SIGCHLD},0,0,0,0"
    if name == "clone_into_new_user_namespace":
        return f"call={tables.numbers(ARCH)['clone']},{CLONE_NEWUSER | CLONE_VM_THREAD},0,0,0,0"
    return f"call={tables.numbers(ARCH)[name]},{arguments}"


@pytest.mark.parametrize("name", [name for name in UNGRANTED_CALLS if name in tables.numbers(ARCH) or "clone" in name])
def test_a_call_that_no_baseline_grants_never_reaches_the_kernel(sandboxed: Callable, name: str):
    attempt = call(name, UNGRANTED_CALLS[name])
    run = sandboxed(attempt)
    assert run.answers()[attempt] in {"function not implemented", "operation not permitted"}
    denied = {"fork_by_clone": "clone", "clone_into_new_user_namespace": "clone"}.get(name, name)
    assert denied in {violation.syscall for violation in run.violations}, "a refusal must be reported"


def test_a_call_that_is_only_named_on_its_way_keeps_its_conditions(sandboxed: Callable):
    """A device node: the cap grants mknodat for plain files, and calls with a path come by the supervisor."""
    attempt = call("mknodat", f"0,0,{0o20666},0")
    run = sandboxed(attempt)
    assert run.answers()[attempt] == "operation not permitted"
    assert "mknodat" in {violation.syscall for violation in run.violations}


def test_connecting_out_fails_and_is_named(sandboxed: Callable, outside: tuple[str, int]):
    target = "{}:{}".format(*outside)
    run = sandboxed(f"connect={target}", f"udp={target}")
    answers = run.answers()
    assert answers[f"connect={target}"]
    assert answers[f"udp={target}"]
    assert any(v.operation == "connect" and v.object == target for v in run.violations)


def test_a_unix_socket_of_the_host_cannot_be_reached(sandboxed: Callable, tmp_path: Path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        assert sandboxed(f"unix={path}", "unix=@abstract").answers()[f"unix={path}"]


def test_a_port_that_is_not_granted_cannot_be_bound(sandboxed: Callable, free_port: Callable):
    granted, other = free_port(), free_port()
    run = sandboxed(f"listen=127.0.0.1:{other}", ports=(granted,))
    assert "operation not permitted" in run.answers()[f"listen=127.0.0.1:{other}"]
    (violation,) = [v for v in run.violations if not v.expected]
    assert (violation.operation, violation.object) == ("bind", f"127.0.0.1:{other}")
    assert violation.grant == f"--ports :{other}"


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/status", "/proc/1/environ", "/sys", "/root", "/home"])
def test_the_hosts_files_are_not_there(sandboxed: Callable, path: str):
    answers = sandboxed(f"read={path}", f"list={path}").answers()
    assert "no such file" in answers[f"read={path}"]
    assert "no such file" in answers[f"list={path}"]


@pytest.mark.parametrize("path", ["/bin/new", "/new", "/dev/new", "/bin/probe", "/scratch/file", "/tmp/x"])
def test_nothing_can_be_written_that_is_not_granted(sandboxed: Callable, path: str):
    assert sandboxed(f"write={path}").answers()[f"write={path}"]


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


def test_a_descriptor_that_the_launcher_had_open_is_closed(sandboxed: Callable):
    leaked = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        assert sandboxed(f"descriptor={leaked + 60}", "open-files").answers()["open-files"] == ""
    finally:
        os.close(leaked)


def test_no_memory_is_writable_and_executable(sandboxed: Callable):
    assert sandboxed("write-exec").answers()["write-exec"] == "operation not permitted"


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "udp": "2,2,0",
        "raw": "2,3,1",
        "icmp": "2,2,1",
        "mptcp": "2,1,262",
        "unix": "1,1,0",
        "netlink": "16,3,0",
        "packet": "17,3,0",
        "vsock": "40,1,0",
        "alg": "38,5,0",
    }.items(),
)
def test_sockets_other_than_plain_tcp_are_refused(sandboxed: Callable, name: str, value: str):
    assert sandboxed(f"socket={value}").answers()[f"socket={value}"], name


@pytest.mark.parametrize(
    ("name", "value"),
    {"IPV6_RTHDR": "41,57", "SO_BINDTODEVICE": "1,25", "SO_ATTACH_FILTER": "1,26", "TCP_FASTOPEN": "6,30"}.items(),
)
def test_socket_options_that_lead_out_are_refused(sandboxed: Callable, name: str, value: str):
    assert sandboxed(f"option={value}").answers()[f"option={value}"] == "operation not permitted", name


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
