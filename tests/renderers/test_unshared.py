"""What is left of a policy where the host's namespaces are shared: call by call, what may be asked and what may not."""

import fcntl
import os
import signal
import socket
import termios

import pytest

from binsafe.kernel.rights import LATEST
from binsafe.model import Condition, Grant, Policy
from binsafe.model.policy import PolicyArtifact
from binsafe.policy.conditions import holds
from binsafe.renderers import unshared
from binsafe.renderers.narrowing import OWN_PROCESS

CLONE_THREAD, THREAD_FLAGS = 0x1_0000, 0x3D_0F00
MSG_FASTOPEN, IPPROTO_MPTCP = 0x2000_0000, 262
O_ASYNC, O_PATH = 0o20000, 0o10000000
F_SETOWN, F_SETSIG, F_NOTIFY = 8, 10, 1026
FIOASYNC, FIONBIO, FIOSETOWN, TIOCSTI = 0x5452, 0x5421, 0x8901, 0x5412
PR_SET_NAME, PR_GET_NO_NEW_PRIVS, PR_SET_VMA, PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 15, 39, 0x5356_4D41, 1, 36
CLOCKS = ("clock_gettime", "clock_getres", "clock_nanosleep", "timer_create")
OF_ANOTHER_PROCESS = -(7 << 3) - 6 & 0xFFFF_FFFF
"""A clock id that stands for the processor time of process 6 (posix-timers)."""


def policy_of(*grants: Grant) -> Policy:
    artifact = PolicyArtifact(name="x", sha256="0" * 64, system="linux", arch="x86_64")
    return Policy(artifact=artifact, baseline="x", grants=grants)


def call(name: str, *when: Condition) -> Grant:
    return Grant(kind="syscall", object=name, reason="test", when=when)


def may(name: str, *arguments: int, abi: int = LATEST) -> bool:
    whole = (*arguments, *[0] * (6 - len(arguments)))
    return any(holds(grant.when, whole) for grant in unshared.tighten(policy_of(call(name)), abi).grants)


ALLOWED = [
    ("read", ()),
    ("clone", (THREAD_FLAGS,)),
    ("tgkill", (OWN_PROCESS, 7, signal.SIGURG)),
    ("sched_setaffinity", (0,)),
    ("prlimit64", (0, 7)),
    *((name, (1,)) for name in CLOCKS),
    *(("prctl", (option,)) for option in (PR_SET_NAME, PR_GET_NO_NEW_PRIVS, PR_SET_VMA)),
    ("socket", (socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 6)),
    ("socket", (socket.AF_INET6, socket.SOCK_STREAM, 0)),
    ("sendto", (3, 4096, 10, socket.MSG_NOSIGNAL, 0)),
    ("sendmsg", (3, 4096, socket.MSG_NOSIGNAL)),
    ("fcntl", (0, 3)),
    ("fcntl", (0, 4, os.O_NONBLOCK)),
    ("ioctl", (0, FIONBIO)),
    ("ioctl", (0, 0x5401)),
    ("open", (4096, os.O_RDONLY | os.O_CLOEXEC)),
    ("openat", (0, 4096, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)),
    ("truncate", (4096,)),
    ("tkill", (7,)),
    ("listen", (3,)),
]
DENIED = [
    *((name, ()) for name in ("fork", "kill", "shmget", "fchmod", "utimensat", "setxattr", "inotify_add_watch")),
    *((name, ()) for name in ("setpriority", "mq_open", "sendmmsg", "openat2", "pidfd_send_signal")),
    ("clone", (signal.SIGCHLD,)),
    ("clone", (THREAD_FLAGS & ~CLONE_THREAD,)),
    ("tgkill", (1, 1, signal.SIGKILL)),
    ("sched_setaffinity", (1,)),
    ("prlimit64", (1, 7)),
    *((name, (OF_ANOTHER_PROCESS,)) for name in CLOCKS),
    *(("prctl", (option,)) for option in (PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER)),
    ("socket", (socket.AF_UNIX, socket.SOCK_STREAM)),
    ("socket", (socket.AF_INET, socket.SOCK_DGRAM)),
    ("socket", (socket.AF_INET, socket.SOCK_RAW)),
    ("socket", (socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)),
    ("sendto", (3, 4096, 10, MSG_FASTOPEN, 0)),
    ("sendto", (3, 4096, 10, 0, 4096)),
    ("sendmsg", (3, 4096, MSG_FASTOPEN)),
    ("fcntl", (0, 4, O_ASYNC)),
    *(("fcntl", (0, command)) for command in (F_SETOWN, F_SETSIG, F_NOTIFY)),
    *(("ioctl", (0, command)) for command in (FIOASYNC, FIOSETOWN, TIOCSTI, termios.TIOCSWINSZ)),
    ("open", (4096, O_PATH)),
    ("openat", (0, 4096, O_PATH | os.O_CLOEXEC)),
    ("openat", (0, 4096, 3)),
]


@pytest.mark.parametrize(("name", "arguments"), ALLOWED)
def test_what_harms_nobody_outside_is_left(name: str, arguments: tuple[int, ...]):
    assert may(name, *arguments)


@pytest.mark.parametrize(("name", "arguments"), DENIED)
def test_what_only_a_namespace_would_hold_is_taken_away(name: str, arguments: tuple[int, ...]):
    assert not may(name, *arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "since"),
    [
        ("truncate", (4096,), 3),
        ("tkill", (7,), 6),
        ("open", (4096, os.O_RDONLY | os.O_TRUNC), 3),
        ("openat", (0, 4096, os.O_RDWR | os.O_TRUNC), 1),
        ("openat", (0, 4096, os.O_WRONLY | os.O_TRUNC), 1),
    ],
)
def test_older_kernels_ask_landlock_less(name: str, arguments: tuple[int, ...], since: int):
    assert [may(name, *arguments, abi=abi) for abi in range(1, 7)] == [abi >= since for abi in range(1, 7)]


def test_what_a_grant_asks_itself_is_asked_as_well():
    mine = Condition(argument=0, values=(socket.AF_INET,))
    (grant,) = unshared.tighten(policy_of(call("socket", mine)), LATEST).grants
    assert holds(grant.when, (socket.AF_INET, socket.SOCK_STREAM, 0, 0, 0, 0))
    assert not holds(grant.when, (socket.AF_INET6, socket.SOCK_STREAM, 0, 0, 0, 0))
    never = Condition(argument=0, values=(socket.AF_UNIX,))
    assert unshared.tighten(policy_of(call("socket", never)), LATEST).grants == ()


def test_listening_is_granted_whole_and_what_is_no_call_stays_as_it_is():
    file, limited = Grant(kind="read", object="/a", reason="r"), Condition(argument=1, values=(1,))
    kept = unshared.tighten(policy_of(file, call("listen", limited)), LATEST).grants
    assert kept == (file, call("listen"))


def test_commands_are_let_through_by_name():
    """By the headers that Python was built with; those that it does not know by number (linux/fcntl.h, linux/fs.h)."""
    descriptors = {"F_DUPFD", "F_DUPFD_CLOEXEC", "F_GETFD", "F_SETFD", "F_GETFL", "F_SETFL"}
    locks = {"F_GETLK", "F_SETLK", "F_SETLKW", "F_OFD_GETLK", "F_OFD_SETLK", "F_OFD_SETLKW"}
    pipes = {"F_GETPIPE_SZ", "F_SETPIPE_SZ"}
    dup_query = 1027
    expected = {getattr(fcntl, name) for name in descriptors | locks | pipes} | {dup_query}
    assert {command for command in range(4096) if may("fcntl", 0, command)} == expected
    known = {name: value for name, value in vars(termios).items() if name.startswith(("TC", "TIO", "FIO"))}
    let_through = {name for name, value in known.items() if isinstance(value, int) and may("ioctl", 0, value)}
    terminals = {"TCGETS", "TIOCGPGRP", "TIOCGWINSZ", "FIONREAD", "FIONBIO", "FIONCLEX", "FIOCLEX"}
    others = {name for name in let_through if known[name] > 0xFF} - terminals
    assert terminals <= let_through
    assert {known[name] for name in others} <= {known[name] for name in terminals}, "other names of the same"
    ficlone, tcgets2 = 0x4004_9409, 0x802C_542A
    assert may("ioctl", 0, ficlone)
    assert may("ioctl", 0, tcgets2)
