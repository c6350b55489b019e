"""Policy -> the policy for a program that shares the host's namespaces: what they alone would hold is taken away.

Without a mount namespace Landlock decides about files, and it knows nothing of owners, modes, times and attributes;
without a pid namespace a signal finds every process of the user; without an ipc namespace there are the host's queues;
without an empty network namespace a socket that was not grafted must not get anywhere. Each call that needs one of them
is dropped, or its grant gets conditions on top of its own, so that nothing here ever grants more.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from binsafe.model import Condition, Policy
from binsafe.renderers.narrowing import FCNTL, OWN_PROCESS, Tests, narrow

_INT: Final = 0xFFFF_FFFF

_PROCESSES: Final = "fork vfork kill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_send_signal setpgid"
_PRIORITIES: Final = "setpriority sched_setscheduler sched_setattr sched_setparam ioprio_set"
_QUEUES: Final = (
    "shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl "
    "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr"
)
_ATTRIBUTES: Final = (
    "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat setxattr lsetxattr "
    "fsetxattr removexattr lremovexattr fremovexattr setxattrat removexattrat file_setattr"
)
"""Those on a descriptor as well: one that is open for reading is enough for them."""
_LABELS: Final = "getxattr lgetxattr listxattr llistxattr getxattrat listxattrat file_getattr"
"""What is written beside files, of any that the user may read: of one that is open already its own call remains."""
_WATCHING: Final = "inotify_init inotify_init1 inotify_add_watch fanotify_init fanotify_mark"

DROPPED: Final = frozenset(
    f"{_PROCESSES} {_PRIORITIES} {_QUEUES} {_ATTRIBUTES} {_LABELS} {_WATCHING} sendmmsg openat2".split()
)
"""Calls that nobody can be granted here; openat2 has its flags in memory, where no filter reads."""

_TRUNCATES: Final = 3
_SCOPES: Final = 6
"""The versions of Landlock that learned of truncation and of signals (`binsafe.kernel.rights`)."""

DROPPED_BELOW: Final[Mapping[str, int]] = MappingProxyType({"truncate": _TRUNCATES, "tkill": _SCOPES})
"""Call -> the Landlock version from which it can be granted; before, nothing tells its harmless uses from others."""

_CLONE_THREAD: Final = 0x1_0000
_MSG_FASTOPEN: Final = 0x2000_0000
_SOCKET_FLAGS: Final = 0x8_0800
_IOCTL: Final = (0x5401, 0x802C_542A, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x4004_9409)
"""TCGETS, TCGETS2, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, FICLONE (asm-generic/ioctls.h)."""

_PRCTL: Final = (3, 4, 7, 15, 16, 21, 23, 27, 29, 37, 39, 47, 0x5356_4D41)
"""PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_GET_KEEPCAPS, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ,
PR_GET_SECUREBITS, PR_SET_TIMERSLACK, PR_GET_CHILD_SUBREAPER, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_SET_VMA
(linux/prctl.h). Not PR_SET_PDEATHSIG: the signal with which it ends together with us is one."""

_PLAIN_CLOCK: Final[tuple[Tests, ...]] = ((Condition(argument=0, mask=_INT & ~0xF, values=(0,)),),)
"""None of another process's time: those clocks are numbered by its id (clock_getcpuclockid(3))."""

_NARROWED: Final[Mapping[str, tuple[Tests, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(("clock_gettime", "clock_getres", "clock_nanosleep", "timer_create"), _PLAIN_CLOCK),
        "clone": ((Condition(argument=0, mask=_CLONE_THREAD, values=(_CLONE_THREAD,)),),),
        "tgkill": ((Condition(argument=0, mask=_INT, values=(OWN_PROCESS,)),),),
        "sched_setaffinity": ((Condition(argument=0, values=(0,)),),),
        "prlimit64": ((Condition(argument=0, values=(0,)),),),
        "socket": (
            (
                Condition(argument=0, values=(2, 10)),
                Condition(argument=1, mask=_INT & ~_SOCKET_FLAGS, values=(1,)),
                Condition(argument=2, values=(0, 6)),
            ),
        ),
        "sendto": ((Condition(argument=3, mask=_MSG_FASTOPEN, values=(0,)), Condition(argument=4, values=(0,))),),
        "sendmsg": ((Condition(argument=2, mask=_MSG_FASTOPEN, values=(0,)),),),
        "fcntl": FCNTL,
        "prctl": ((Condition(argument=0, values=_PRCTL),),),
        "ioctl": ((Condition(argument=1, values=_IOCTL),),),
    }
)
"""Call -> alternatives, one of which must hold on top of what the grant itself asks."""

_OPEN: Final = 0o10000003
"""O_ACCMODE with O_PATH: a file that is open as no more than its path, or for neither reading nor writing (mode 3), was
none of Landlock's business."""
_O_TRUNC: Final = 0o1000
_OPENING: Final = (0, 1, 2)
_OPENING_BELOW: Final = (*_OPENING, 1 | _O_TRUNC, 2 | _O_TRUNC)
"""The same below that version: truncation without writing is refused as well, which Landlock does not see there."""


def _opening(abi: int) -> dict[str, tuple[Tests, ...]]:
    mask, values = (_OPEN, _OPENING) if abi >= _TRUNCATES else (_OPEN | _O_TRUNC, _OPENING_BELOW)
    return {
        name: ((Condition(argument=place, mask=mask, values=values),),) for name, place in (("open", 1), ("openat", 2))
    }


def tighten(policy: Policy, abi: int) -> Policy:
    """The policy that can be held without namespaces where Landlock has version ``abi``; it never grants more.

    ``listen`` is granted whole or not at all: whoever runs the program must answer it, as `bind`, because a socket that
    listens without having been bound gets a port of the host's.
    """
    kept = tuple(
        msgspec.structs.replace(grant, when=()) if grant.kind == "syscall" and grant.object == "listen" else grant
        for grant in policy.grants
        if grant.kind != "syscall" or (grant.object not in DROPPED and abi >= DROPPED_BELOW.get(grant.object, 0))
    )
    return narrow(msgspec.structs.replace(policy, grants=kept), {**_NARROWED, **_opening(abi)})
