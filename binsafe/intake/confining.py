"""What a process irrevocably gives up before it reads untrusted bytes (Linux).

A parser that is taken over by a crafted file can compute and answer. It can open no file, make no socket, start no
process and touch no other one: nothing of that is on the list of calls that seccomp lets through, and Landlock refuses
files, TCP, abstract sockets and signals once more, behind another door of the kernel. What a parser reads is in its
memory already. Only of a bundle it opens files: below the folder that it was given, and for reading.

Calls that are not listed are answered as by a kernel that lacks them, so that a C library of tomorrow gets along. Those
that no parser makes end the process: who tries has been taken over, and the report says so.
"""

import contextlib
import os
import sys
from functools import cache
from types import MappingProxyType
from typing import Final

from binsafe import kernel
from binsafe.kernel.filters import ENOSYS, RET_ALLOW, RET_ERRNO, RET_KILL_PROCESS, Outcome, Refusal, compile_decided
from binsafe.kernel.rights import ABI_RIGHTS, LATEST, Fs
from binsafe.model import Condition, Gap
from binsafe.syscalls import tables

_PROCESSORS: Final = MappingProxyType({"x86_64": "x86_64", "aarch64": "arm64"})
"""``uname -m`` -> the name in our tables."""

_EACCES: Final = 13
_PROT_EXEC: Final = 4
_AT_MOST_READ: Final = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | getattr(os, "O_TMPFILE", 0) & ~os.O_DIRECTORY
"""Flags of open(2) that are not set by who only reads."""
_F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 1, 2, 3, 1030

_COMPUTES: Final = (
    *("read", "readv", "pread64", "write", "writev", "lseek", "close", "recvfrom", "recvmsg", "sendto"),
    *("munmap", "mremap", "madvise", "brk", "futex", "sched_yield", "getrandom"),
    *("clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getrusage", "getpid", "gettid"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "exit", "exit_group"),
)
"""On descriptors that are open already, on its own memory, and the time."""

_CODE: Final[dict[str, Outcome]] = {
    name: ((Condition(argument=2, mask=_PROT_EXEC, values=(0,)),),) for name in ("mmap", "mprotect")
}
"""Memory, but no new code in it."""

_MAPS: Final[dict[str, Outcome]] = {
    "fcntl": ((Condition(argument=1, mask=0xFFFF_FFFF, values=(_F_DUPFD_CLOEXEC,)),),),
}
"""Another descriptor of an open file: Python has one of its own for each file that it maps."""

_READS: Final = ("fstat", "newfstatat", "getdents64", "readlinkat")
_OPENS: Final[dict[str, Outcome]] = {
    "openat": ((Condition(argument=2, mask=_AT_MOST_READ, values=(0,)),),),
    "fcntl": ((Condition(argument=1, mask=0xFFFF_FFFF, values=(_F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC)),),),
}
"""For a bundle's folder, too."""

_CRIMES: Final = (
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"),
    *("execve", "execveat", "fork", "vfork", "clone", "kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"),
    *("pidfd_open", "pidfd_getfd", "pidfd_send_signal", "ptrace", "process_vm_readv", "process_vm_writev"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_create", "memfd_secret", "bpf"),
    *("perf_event_open", "userfaultfd", "add_key", "keyctl", "request_key", "mount", "umount2", "pivot_root", "chroot"),
    *("unshare", "setns", "setuid", "setgid", "setresuid", "setresgid", "capset", "init_module", "finit_module"),
    *("unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "link", "linkat", "symlink"),
    *("symlinkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "truncate", "creat", "mknod"),
)
"""What no parser and no C library below one does."""

_REFUSAL: Final = Refusal(unlisted=RET_ERRNO | ENOSYS, unmet=RET_ERRNO | _EACCES)

SECCOMP: Final = Gap(
    id="seccomp",
    reason="no filter of system calls: a parser that is taken over can make sockets and start programs",
    fix="a kernel with CONFIG_SECCOMP_FILTER, on x86-64 or arm64, in a container that allows seccomp",
)
LANDLOCK: Final = Gap(
    id="landlock",
    reason="no Landlock: a bundle's parser that is taken over can read other files",
    fix="a kernel of 5.13 or later with 'landlock' in its list of LSMs",
)
SYSTEM: Final = Gap(id="system", reason=f"parsers are confined on Linux only; this is {sys.platform}")


def confine(folder: int | None = None) -> tuple[Gap, ...]:
    """Confine this process, of one thread, for good; ``folder`` is a descriptor below which it may read files.

    Returns what this system does not offer: an inspection goes on without it, and says so.
    """
    if sys.platform != "linux":
        return (SYSTEM,)
    gaps = []
    prepare(is_folder=folder is not None)  # reads a file
    # Where somebody's filter refuses this, the kernel refuses an ordinary user the rest.
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if not _landlock(folder):
        gaps.append(LANDLOCK)
    if not _seccomp(is_folder=folder is not None):
        gaps.append(SECCOMP)
    return tuple(gaps)


def prepare(*, is_folder: bool) -> None:
    """Make what `confine` needs, so that a process that is forked from this one has it."""
    if sys.platform == "linux":
        _filter(is_folder=is_folder)


def _landlock(folder: int | None) -> bool:
    rights = ABI_RIGHTS.get(min(kernel.landlock_abi(), LATEST))
    if rights is None:
        return False
    below = [] if folder is None else [(f"/proc/self/fd/{folder}", int(Fs.READ_FILE | Fs.READ_DIR))]
    try:
        kernel.landlock_restrict(rights.masks, below)
    except OSError:  # as `_seccomp`
        return False
    return True


def _seccomp(*, is_folder: bool) -> bool:
    program = _filter(is_folder=is_folder)
    if program is None:
        return False
    try:
        kernel.seccomp_confine(program)
    except OSError:  # not built in, or somebody's filter refuses ours
        return False
    return True


@cache
def _filter(*, is_folder: bool) -> bytes | None:
    """The filter for this processor; None where we have no numbers of its calls."""
    arch = _PROCESSORS.get(os.uname().machine) if sys.maxsize > 1 << 32 else None
    if arch is None:
        return None
    known = tables.numbers(arch)
    decided: dict[str, Outcome] = dict.fromkeys(_CRIMES, RET_KILL_PROCESS)
    decided |= dict.fromkeys(("open", "openat", "openat2"), RET_ERRNO | _EACCES)
    decided |= {**dict.fromkeys(_COMPUTES, RET_ALLOW), **_CODE, **_MAPS}
    if is_folder:
        decided |= {**dict.fromkeys(_READS, RET_ALLOW), **_OPENS}
    return compile_decided({name: outcome for name, outcome in decided.items() if name in known}, arch, _REFUSAL)
