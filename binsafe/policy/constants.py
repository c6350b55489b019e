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
            "SOCK_SEQPACKET": 5,
            "SOCK_NONBLOCK": 0o4000,
            "SOCK_CLOEXEC": 0o2000000,
        },
        "linux/in.h": {"IPPROTO_IP": 0, "IPPROTO_TCP": 6, "IPPROTO_UDP": 17, "IPPROTO_IPV6": 41, "IPPROTO_MPTCP": 262},
        "asm-generic/socket.h": {
            "SOL_SOCKET": 1,
            "SO_REUSEADDR": 2,
            "SO_TYPE": 3,
            "SO_ERROR": 4,
            "SO_SNDBUF": 7,
            "SO_RCVBUF": 8,
            "SO_KEEPALIVE": 9,
            "SO_LINGER": 13,
            "SO_REUSEPORT": 15,
            "SO_PEERCRED": 17,
            "SO_INCOMING_NAPI_ID": 56,
            "SO_RCVTIMEO": 20,
            "SO_SNDTIMEO": 21,
            "SO_ACCEPTCONN": 30,
            "SO_PROTOCOL": 38,
            "SO_DOMAIN": 39,
        },
        "linux/tcp.h": {
            "TCP_NODELAY": 1,
            "TCP_MAXSEG": 2,
            "TCP_CORK": 3,
            "TCP_KEEPIDLE": 4,
            "TCP_KEEPINTVL": 5,
            "TCP_KEEPCNT": 6,
            "TCP_DEFER_ACCEPT": 9,
            "TCP_INFO": 11,
            "TCP_QUICKACK": 12,
            "TCP_CONGESTION": 13,
            "TCP_USER_TIMEOUT": 18,
            "TCP_FASTOPEN": 23,
        },
        "linux/in6.h": {"IPV6_V6ONLY": 26},
        "asm-generic/mman-common.h": {
            "PROT_READ": 0x1,
            "PROT_WRITE": 0x2,
            "PROT_EXEC": 0x4,
            "MAP_ANONYMOUS": 0x20,
            "MADV_NORMAL": 0,
            "MADV_RANDOM": 1,
            "MADV_SEQUENTIAL": 2,
            "MADV_WILLNEED": 3,
            "MADV_DONTNEED": 4,
            "MADV_FREE": 8,
            "MADV_REMOVE": 9,
            "MADV_DONTFORK": 10,
            "MADV_DOFORK": 11,
            "MADV_MERGEABLE": 12,
            "MADV_HUGEPAGE": 14,
            "MADV_NOHUGEPAGE": 15,
            "MADV_DONTDUMP": 16,
            "MADV_DODUMP": 17,
            "MADV_WIPEONFORK": 18,
            "MADV_KEEPONFORK": 19,
            "MADV_COLD": 20,
            "MADV_PAGEOUT": 21,
            "MADV_POPULATE_READ": 22,
            "MADV_POPULATE_WRITE": 23,
            "MADV_DONTNEED_LOCKED": 24,
            "MADV_COLLAPSE": 25,
            "MADV_GUARD_INSTALL": 102,
            "MADV_GUARD_REMOVE": 103,
        },
        "linux/sched.h": {
            "SCHED_OTHER": 0,  # of uapi/linux/sched.h SCHED_NORMAL
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
            "F_GETLK": 5,
            "F_SETLK": 6,
            "F_SETLKW": 7,
            "F_SETOWN": 8,
            "F_OFD_GETLK": 36,
            "F_OFD_SETLK": 37,
            "F_OFD_SETLKW": 38,
            "F_DUPFD_QUERY": 1027,  # this and the next three: linux/fcntl.h
            "F_DUPFD_CLOEXEC": 1030,
            "F_SETPIPE_SZ": 1031,
            "F_GETPIPE_SZ": 1032,
            "O_CREAT": 0o100,
            "O_ASYNC": 0o20000,  # called FASYNC there
            "__O_TMPFILE": 0o20000000,
        },
        "asm-generic/ioctls.h": {
            "TCGETS": 0x5401,
            "TCSBRK": 0x5409,
            "TIOCGPGRP": 0x540F,
            "TIOCSPGRP": 0x5410,
            "TIOCGWINSZ": 0x5413,
            "FIONREAD": 0x541B,
            "FIONBIO": 0x5421,
            "FIONCLEX": 0x5450,
            "FIOCLEX": 0x5451,
            "FIOASYNC": 0x5452,
            "TCGETS2": 0x802C_542A,  # _IOR('T', 0x2A, struct termios2), of 44 bytes
        },
        "linux/fs.h": {"FICLONE": 0x4004_9409, "RENAME_WHITEOUT": 4},  # _IOW(0x94, 9, int)
        "asm-generic/resource.h": {"RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7},
        "linux/shm.h": {"SHM_EXEC": 0o100000},
        "linux/resource.h": {"PRIO_PROCESS": 0},
        "linux/stat.h": {
            "S_IFMT": 0o170000,
            "S_IFREG": 0o100000,
            "S_IFIFO": 0o010000,
            "S_ISUID": 0o4000,
            "S_ISGID": 0o2000,
        },
        "linux/prctl.h": {
            "PR_SET_PDEATHSIG": 1,
            "PR_GET_PDEATHSIG": 2,
            "PR_GET_DUMPABLE": 3,
            "PR_SET_DUMPABLE": 4,
            "PR_GET_KEEPCAPS": 7,
            "PR_SET_NAME": 15,
            "PR_GET_NAME": 16,
            "PR_GET_SECCOMP": 21,
            "PR_CAPBSET_READ": 23,
            "PR_GET_SECUREBITS": 27,
            "PR_SET_TIMERSLACK": 29,
            "PR_SET_CHILD_SUBREAPER": 36,
            "PR_GET_CHILD_SUBREAPER": 37,
            "PR_SET_NO_NEW_PRIVS": 38,
            "PR_GET_NO_NEW_PRIVS": 39,
            "PR_CAP_AMBIENT": 47,
            "PR_CAP_AMBIENT_IS_SET": 1,
            "PR_SET_THP_DISABLE": 41,
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
