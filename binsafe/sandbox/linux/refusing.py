"""What a call that is not granted ends with: the error that programs, or their C library, take for an answer."""

import errno
import socket
from collections.abc import Mapping, Sequence
from typing import Final

from binsafe import kernel
from binsafe.sandbox.linux import inside

_IPPROTO_MPTCP: Final = 262
_IOCTLS: Final[Mapping[int, tuple[str, int]]] = {
    0x4004_9409: ("FICLONE", errno.EOPNOTSUPP),  # cp's way to share blocks; it copies where that fails
    0xC020_660B: ("FS_IOC_FIEMAP", errno.EOPNOTSUPP),  # where a file's blocks are (man, by gdbm)
    0x8004_5430: ("TIOCGPTN", errno.ENOTTY),  # libuv asks which end of a terminal it has: the end that is no master
    0x5603: ("VT_GETSTATE", errno.ENOTTY),  # nano asks whether it is on the console itself, which no terminal here is
}
_PR_SET_THP_DISABLE: Final = 41
"""linux/prctl.h: Ruby would have no large pages, and starts with them where the kernel is an older one."""

_SOCKETS: Final[Mapping[tuple[int, int, int], tuple[str, int]]] = {
    # How glibc asks for the name service cache daemon before it reads /etc/passwd.
    (socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0): (
        "the name service cache",
        errno.EACCES,
    ),
    # How syslog(3) and Go's packages reach the system's log; without it, they say nothing and go on.
    **{
        (socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | more, 0): ("the system's log", errno.EPERM)
        for more in (0, socket.SOCK_NONBLOCK)
    },
}
_ADDRESS_PROBES: Final[Mapping[tuple[int, int, int], str]] = {
    (socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0): "AF_INET SOCK_DGRAM",
    (socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0): "AF_INET6 SOCK_DGRAM",
    (socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0): "AF_NETLINK SOCK_RAW",
}
"""How getaddrinfo(3) finds out which of its answers could be reached; without it they keep their order."""

_FALLBACKS: Final = frozenset(
    {
        *("clone3", "close_range", "copy_file_range", "epoll_pwait2", "faccessat2", "openat2", "rseq", "splice"),
        *("statx", "get_mempolicy"),
    }
)
"""Newer ways to do what an older call does, and how libnuma asks whether there are several memories: libraries try
them first, and take no (ENOSYS) for an answer."""

_OWN_IDS: Final = frozenset({inside.INSIDE_ID, 0xFFFF_FFFF})
"""Who the program is, and "as it is" (setresuid(2))."""

_SETTING_IDS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("setuid", "setgid"), 1),
    **dict.fromkeys(("setreuid", "setregid"), 2),
    **dict.fromkeys(("setresuid", "setresgid"), 3),
}
"""Call -> how many arguments it has. make and busybox become who they are before they start anything."""

_DENIED_WITH: Final[Mapping[str, int]] = {
    **dict.fromkeys(("bind", "connect", "execve", "execveat", "socket", "listen", "ptrace", "kill"), errno.EPERM),
    **dict.fromkeys((*_SETTING_IDS, "setgroups", "chroot", "sethostname", "ioprio_set"), errno.EPERM),
    **dict.fromkeys(("sched_setscheduler", "sched_setparam"), errno.EPERM),
    **dict.fromkeys(("listxattr", "llistxattr", "flistxattr", "getxattr", "lgetxattr", "fgetxattr"), errno.EOPNOTSUPP),
}
"""Calls that a program must see refused, and those for which each needs a privilege, who then goes on without (ngircd
ends where setgid does not exist). Attributes no file system has to have: Python then copies files without, and programs
of PyInstaller, which ask for their own capabilities, start."""


def usual(name: str, arguments: Sequence[int], *, resolves: bool) -> tuple[str, int] | None:
    """What ordinary programs ask for on their way, in words, and the error with which they do without; None for others.

    ``resolves`` says that the program may well ask getaddrinfo(3).
    """
    if name == "ioctl":
        return _IOCTLS.get(arguments[1])
    if name == "prctl":
        return ("PR_SET_THP_DISABLE", errno.EINVAL) if arguments[0] == _PR_SET_THP_DISABLE else None
    if name != "socket":
        return None
    family, kind, protocol = arguments[:3]
    if protocol == _IPPROTO_MPTCP:
        # Go 1.24 and later asks for it first, on each listener; this answer makes it ask once and take TCP.
        return "a multipath TCP socket", errno.EINVAL
    probe = _ADDRESS_PROBES.get((family, kind, protocol)) if resolves else None
    return (probe, errno.EPERM) if probe is not None else _SOCKETS.get((family, kind, protocol))


def changes_nothing(name: str, arguments: Sequence[int]) -> bool:
    """Whether a call makes the program what it is already, as far as those inside can tell."""
    if name == "prctl":
        # Of what is not dumpable an ordinary user can read no memory, and so name no file that it is denied. Nobody
        # inside can trace it, and it leaves no core dumps, whatever it is.
        return tuple(arguments[:2]) == (kernel.PR_SET_DUMPABLE, 0)
    return name in _SETTING_IDS and _OWN_IDS.issuperset(arguments[: _SETTING_IDS[name]])


def denied_with(name: str, *, known: bool) -> tuple[int, bool]:
    """The error for a call, and whether libraries expect it; ``known`` says that the policy grants some forms of it.

    A call that is not known does not exist here (ENOSYS), so that a C library falls back to an older one (glibc tries
    clone3 and then clone only after ENOSYS).
    """
    number = _DENIED_WITH.get(name, errno.EPERM if known else errno.ENOSYS)
    return number, number == errno.ENOSYS and name in _FALLBACKS
