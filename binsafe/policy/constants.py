"""Kernel constants by name, each under the kernel header it comes from: the words that a condition may use.

Only constants that have one value on x86-64 and arm64 stand here (headers of no architecture, ``asm-generic`` ones, and
``asm/prctl.h``, which only x86 has): a policy must mean the same on both.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HEADERS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "linux/socket.h": {
            "AF_UNIX": 1,
            "AF_INET": 2,
            "AF_INET6": 10,
            "MSG_OOB": 0x1,
            "MSG_ERRQUEUE": 0x2000,
            "MSG_FASTOPEN": 0x2000_0000,
        },
        "linux/net.h": {
            "SOCK_STREAM": 1,
            "SOCK_DGRAM": 2,
            "SOCK_RAW": 3,
            "SOCK_NONBLOCK": 0o4000,
            "SOCK_CLOEXEC": 0o2000000,
        },
        "linux/in.h": {"IPPROTO_IP": 0, "IPPROTO_TCP": 6, "IPPROTO_UDP": 17, "IPPROTO_IPV6": 41, "IPPROTO_MPTCP": 262},
        "asm-generic/socket.h": {
            "SOL_SOCKET": 1,
            "SO_REUSEADDR": 2,
            "SO_TYPE": 3,
            "SO_ERROR": 4,
            "SO_KEEPALIVE": 9,
            "SO_REUSEPORT": 15,
        },
        "linux/tcp.h": {"TCP_NODELAY": 1, "TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6},
        "linux/in6.h": {"IPV6_V6ONLY": 26},
        "asm-generic/mman-common.h": {"PROT_READ": 0x1, "PROT_WRITE": 0x2, "PROT_EXEC": 0x4, "MAP_ANONYMOUS": 0x20},
        "linux/sched.h": {
            "CLONE_VM": 0x0000_0100,
            "CLONE_THREAD": 0x0001_0000,
            "CLONE_NEWNS": 0x0002_0000,
            "CLONE_NEWCGROUP": 0x0200_0000,
            "CLONE_NEWUTS": 0x0400_0000,
            "CLONE_NEWIPC": 0x0800_0000,
            "CLONE_NEWUSER": 0x1000_0000,
            "CLONE_NEWPID": 0x2000_0000,
            "CLONE_NEWNET": 0x4000_0000,
        },
        "asm-generic/fcntl.h": {
            "F_DUPFD": 0,
            "F_GETFD": 1,
            "F_SETFD": 2,
            "F_GETFL": 3,
            "F_SETFL": 4,
            "F_DUPFD_CLOEXEC": 1030,  # linux/fcntl.h
            "O_ASYNC": 0o20000,  # called FASYNC there
        },
        "asm-generic/ioctls.h": {
            "TCGETS": 0x5401,
            "TIOCGWINSZ": 0x5413,
            "FIONREAD": 0x541B,
            "FIONBIO": 0x5421,
            "FIOCLEX": 0x5451,
        },
        "linux/prctl.h": {
            "PR_SET_NAME": 15,
            "PR_GET_NAME": 16,
            "PR_SET_VMA": 0x5356_4D41,
            "PR_SET_VMA_ANON_NAME": 0,
        },
        "asm/prctl.h": {
            "ARCH_SET_FS": 0x1002,
            "ARCH_GET_FS": 0x1003,
            "ARCH_CET_STATUS": 0x3001,  # asked by glibc before 2.39; current kernels answer EINVAL
            "ARCH_SHSTK_STATUS": 0x5005,
        },
    }
)

CONSTANTS: Final[Mapping[str, int]] = MappingProxyType(
    {name: value for constants in HEADERS.values() for name, value in constants.items()}
)
"""All of them: name -> value."""
