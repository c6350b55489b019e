"""The real kernel takes our filters and plans, and refuses what they refuse."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from made_policies import grant, make_policy, whole_cap

from binsafe.kernel.rights import FILE_RIGHTS, LATEST
from binsafe.renderers import landlock
from binsafe.renderers.seccomp import compile_filter
from binsafe.syscalls import tables

pytestmark = [
    pytest.mark.each_user,
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="seccomp and Landlock are Linux's"),
]

ARCH = {"x86_64": "x86_64", "aarch64": "arm64"}.get(os.uname().machine, "unknown")
PROBES = {
    "a TCP socket": ("socket", [2, 1, 6], 0),
    "its number": ("getpid", [], 0),
    "memory": ("mmap", [0, 4096, 3, 0x22, 2**64 - 1, 0], 0),
    "executable memory": ("mmap", [0, 4096, 7, 0x22, 2**64 - 1, 0], errno.ENOSYS),
    "a unix socket": ("socket", [1, 1, 0], errno.ENOSYS),
    "a UDP socket": ("socket", [2, 2, 0], errno.ENOSYS),
    "MPTCP": ("socket", [2, 1, 262], errno.ENOSYS),
    "connecting": ("connect", [3, 0, 0], errno.ENOSYS),
    "another process": ("clone", [signal.SIGCHLD, 0, 0, 0, 0], errno.ENOSYS),
    "clone3": ("clone3", [0, 0], errno.ENOSYS),
    "namespaces": ("unshare", [0x1000_0000], errno.ENOSYS),
    "tracing": ("ptrace", [0, 0, 0, 0], errno.ENOSYS),
    "io_uring": ("io_uring_setup", [1, 0], errno.ENOSYS),
    "a limit of its own": ("prlimit64", [0, 7, 0, 0], 0),
    "a parent's limit": ("prlimit64", [os.getpid(), 7, 0, 0], errno.ENOSYS),
    "a routing header": ("setsockopt", [3, 41, 57, 0, 0], errno.ENOSYS),
    "a kernel's keys": ("keyctl", [0, 2**64 - 3, 0], errno.ENOSYS),
}


def under_filter(calls: list[tuple[int, list[int]]]):
    program = compile_filter(whole_cap(ARCH), ARCH)
    script = Path(__file__).with_name("under_filter.py")
    number = tables.numbers(ARCH)["seccomp"]
    command = [sys.executable, "-I", "-S", str(script), program.hex(), str(number), json.dumps(calls)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_refused_call_has_its_errno_and_a_granted_one_works():
    numbers = tables.numbers(ARCH)
    done = under_filter([(numbers[name], arguments) for name, arguments, _ in PROBES.values()])
    assert done.returncode == 0, done.stderr
    assert dict(zip(PROBES, json.loads(done.stdout), strict=True)) == {
        what: wanted for what, (_, _, wanted) in PROBES.items()
    }


@pytest.mark.skipif(ARCH != "x86_64", reason="x32 is x86-64's")
def test_an_x32_call_kills():
    assert under_filter([(0x4000_0000 | 39, [])]).returncode == -signal.SIGSYS


CONFINED = """
import json, os, sys
from binsafe import kernel
handled, rules, paths = json.loads(sys.argv[1])
kernel.prctl(38, 1)
kernel.landlock_restrict(tuple(handled), rules)
def attempt(path, flags):
    try:
        os.close(os.open(path, flags))
    except OSError as problem:
        return problem.errno
    return 0
print(json.dumps([attempt(path, flags) for path, flags in paths]))
"""


@pytest.mark.parametrize("abi", range(1, LATEST + 1))
def test_each_plan_up_to_this_kernels_is_accepted_and_holds(tmp_path: Path, abi: int):
    from binsafe import kernel

    if abi > kernel.landlock_abi():
        pytest.skip(f"this kernel's Landlock is of version {kernel.landlock_abi()}")
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("in/file", "secret"):
        (tmp_path / name).write_text("x")
    policy = make_policy(
        grant("read", f"{tmp_path}/in"), grant("write", f"{tmp_path}/out"), grant("write", "/dev/null")
    )
    plan = landlock.plan(policy, abi)
    rules = [
        (rule.object, int(rule.rights if Path(rule.object).is_dir() else rule.rights & FILE_RIGHTS))
        for rule in plan.rules
    ]
    create = os.O_WRONLY | os.O_CREAT
    attempts = {
        f"{tmp_path}/in/file": (os.O_RDONLY, 0),
        f"{tmp_path}/in/new": (create, errno.EACCES),
        f"{tmp_path}/out/new": (create, 0),
        f"{tmp_path}/secret": (os.O_RDONLY, errno.EACCES),
        "/dev/null": (os.O_WRONLY, 0),
        "/etc/passwd": (os.O_RDONLY, errno.EACCES),
        "/bin": (os.O_RDONLY | os.O_DIRECTORY, errno.EACCES),
    }
    argument = json.dumps([plan.handled, rules, [(path, flags) for path, (flags, _) in attempts.items()]])
    done = subprocess.run([sys.executable, "-c", CONFINED, argument], capture_output=True, text=True, check=True)
    assert dict(zip(attempts, json.loads(done.stdout), strict=True)) == {
        path: wanted for path, (_, wanted) in attempts.items()
    }
