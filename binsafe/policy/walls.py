"""System calls that no baseline and no policy file can grant, because granting one undoes the sandbox itself.

Bind grafting hands the program a socket of the host's network namespace. Whatever turns such a socket into a way out,
or moves work past the filter, is a wall and not a choice. Each stands here with what it would open.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_RING = "submits work that the filter never sees, network connections included"
_MOUNTS = "changes what the program can see of the file system"
_NAMESPACES = "enters or makes namespaces, where new privileges wait"
_MODULES = "changes the running kernel"
_TRACING = "reads or changes another process"
_KEYS = "reaches the kernel's key store, which no namespace separates"
_EXEC = "runs another program: the supervisor lets the launcher's own first one through, and no more"

WALLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "connect": "connects to an address that lies in memory: only the supervisor may do that, for a connect grant",
        "clone3": "takes its flags from memory, where a filter cannot read them; programs fall back to clone on ENOSYS",
        "execve": _EXEC,
        "execveat": _EXEC,
        "io_uring_setup": _RING,
        "io_uring_enter": _RING,
        "io_uring_register": _RING,
        "ptrace": _TRACING,
        "process_vm_readv": _TRACING,
        "process_vm_writev": _TRACING,
        "process_madvise": _TRACING,
        "kcmp": _TRACING,
        "pidfd_getfd": "takes descriptors out of another process",
        "bpf": "loads programs into the kernel",
        "perf_event_open": "watches the kernel and other processes",
        "userfaultfd": "lets a program hold the kernel inside a copy, the usual first step of kernel exploits",
        "seccomp": "would add a filter of the program's own, and with it a second listener",
        "memfd_create": "makes a file that no path rule covers",
        "memfd_secret": "makes memory that nobody can inspect",
        "setns": _NAMESPACES,
        "unshare": _NAMESPACES,
        "mount": _MOUNTS,
        "umount2": _MOUNTS,
        "pivot_root": _MOUNTS,
        "chroot": _MOUNTS,
        "move_mount": _MOUNTS,
        "open_tree": _MOUNTS,
        "open_tree_attr": _MOUNTS,
        "mount_setattr": _MOUNTS,
        "fsopen": _MOUNTS,
        "fsconfig": _MOUNTS,
        "fsmount": _MOUNTS,
        "fspick": _MOUNTS,
        "name_to_handle_at": "names files by handle, past their paths",
        "open_by_handle_at": "opens files by handle, past their paths",
        "keyctl": _KEYS,
        "add_key": _KEYS,
        "request_key": _KEYS,
        "init_module": _MODULES,
        "finit_module": _MODULES,
        "delete_module": _MODULES,
        "kexec_load": _MODULES,
        "kexec_file_load": _MODULES,
        "reboot": _MODULES,
        "swapon": _MODULES,
        "swapoff": _MODULES,
        "acct": _MODULES,
        "iopl": _MODULES,
        "ioperm": _MODULES,
        "modify_ldt": "builds memory segments that exploits of the kernel are made of",
        "personality": "turns READ_IMPLIES_EXEC on, which makes every readable page executable",
        "vhangup": "hangs up the user's terminal",
    }
)
"""Call -> what it would open. The kernel calls that only need to be left out of a baseline are not listed."""

NEEDS_CONDITION: Final = frozenset(
    {
        "clone",
        "fcntl",
        "getsockopt",
        "ioctl",
        "mknod",
        "mknodat",
        "prctl",
        "prlimit64",
        "sendmmsg",
        "sendmsg",
        "sendto",
        "setsockopt",
        "socket",
        "socketpair",
    }
)
"""Calls that stand for many and, granted whole, reach past the sandbox: a grant must test their arguments."""

ALWAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "exit": "every thread must be able to end",
        "exit_group": "every program must be able to end",
        "rt_sigreturn": "the way back from a signal handler; the kernel sets it up, no program is found to call it",
        "restart_syscall": "the kernel itself resumes an interrupted call with it",
    }
)
"""Calls that every Linux program is granted."""

SUPERVISED: Final = frozenset({"bind", "execve", "execveat"})
"""Calls that the filter always hands to the supervisor: it reads their arguments and decides."""
