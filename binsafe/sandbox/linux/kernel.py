"""The kernel's doors that Python's library lacks, through ctypes: each function is one system call or raises OSError.

Used on both sides of the fence: by the supervisor, and by the stage that turns itself into the sandboxed program (which
is why this module imports nothing but ctypes, os and struct). Constants are those of the kernel's uapi headers.
"""

from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

# linux/sched.h
CLONE_FILES: Final = 0x0000_0400
CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWCGROUP: Final = 0x0200_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000
NAMESPACES: Final = (
    CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
)

HOSTNAME: Final = "sandbox"
"""What the program hears of the host's name."""

INSIDE_ID: Final = 1000
"""The user and the group that the program is inside: ordinary ones, never 0, and no others."""

# linux/mount.h
MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x4_0000
MNT_DETACH: Final = 0x2
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
MOUNT_ATTR_IDMAP: Final = 0x0010_0000
AT_EMPTY_PATH: Final = 0x1000
AT_FDCWD: Final = -100
AT_RECURSIVE: Final = 0x8000
OPEN_TREE_CLONE: Final = 1
MOVE_MOUNT_F_EMPTY_PATH: Final = 4

# asm/signal.h; the same on all processors that we support. Not Python's ``signal``, which loads ``enum``
SIGKILL: Final = 9
SIGPIPE: Final = 13
SIGCHLD: Final = 17
SIGXFSZ: Final = 25

# linux/prctl.h
PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

# linux/seccomp.h
SECCOMP_SET_MODE_FILTER: Final = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER: Final = 1 << 3
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: Final = 1 << 5

# linux/landlock.h
LANDLOCK_CREATE_RULESET_VERSION: Final = 1
LANDLOCK_RULE_PATH_BENEATH: Final = 1

_EPOLL_CTL_ADD: Final = 1
_SIG_DFL: Final = 0
_SIG_BLOCK: Final = 0
_SIG_SETMASK: Final = 2
_SIGNAL_SET: Final = 128
"""Bytes of a C library's ``sigset_t``."""
_LINUX_CAPABILITY_VERSION_3: Final = 0x2008_0522
_MAX_SIGNALS_AND_CAPS: Final = 64

# Calls that Debian 12's libc has no function for; the same numbers on x86-64 and arm64, as all new ones have.
_SYS_OPEN_TREE: Final = 428
_SYS_MOVE_MOUNT: Final = 429
_SYS_PIDFD_GETFD: Final = 438
_SYS_MOUNT_SETATTR: Final = 442
_SYS_LANDLOCK_CREATE_RULESET: Final = 444
_SYS_LANDLOCK_ADD_RULE: Final = 445
_SYS_LANDLOCK_RESTRICT_SELF: Final = 446
# ... and the older ones that differ, by machine.
_BY_MACHINE: Final = {
    "x86_64": {"pivot_root": 155, "seccomp": 317, "capset": 126},
    "aarch64": {"pivot_root": 41, "seccomp": 277, "capset": 91},
}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _syscall(number: int, what: str, *arguments: object) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), what)


def _numbered(name: str, *arguments: object) -> int:
    machine = os.uname().machine
    if machine not in _BY_MACHINE:
        raise OSError(38, f"no system-call numbers for {machine}", name)
    return _syscall(_BY_MACHINE[machine][name], name, *arguments)


def unshare(flags: int) -> None:
    """Leave the namespaces named by CLONE_NEW* flags for new, empty ones."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def sethostname(name: str) -> None:
    """Name the host, as seen in our UTS namespace."""
    _check(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))), "sethostname")


def write_memory(pid: int, address: int, content: bytes) -> None:
    """Write to another process's memory as it may itself (process_vm_writev(2)); never a part."""
    own = ctypes.create_string_buffer(content, len(content))
    size = len(content)
    ours, theirs = (struct.pack("=QQ", where, size) for where in (ctypes.addressof(own), address))
    one, flags = ctypes.c_ulong(1), ctypes.c_ulong(0)
    if _check(_libc.process_vm_writev(ctypes.c_int(pid), ours, one, theirs, one, flags), "process_vm_writev") != size:
        raise OSError(14, os.strerror(14), "process_vm_writev")


def child_signals() -> int:
    """A descriptor that can be read when a child has ended; SIGCHLD does nothing else from here on (signalfd(2))."""
    default_signals(SIGCHLD)
    chosen = (1 << (SIGCHLD - 1)).to_bytes(_SIGNAL_SET, "little")
    _check(_libc.sigprocmask(ctypes.c_int(_SIG_BLOCK), chosen, None), "sigprocmask")
    return _check(_libc.signalfd(ctypes.c_int(-1), chosen, ctypes.c_int(os.O_NONBLOCK | os.O_CLOEXEC)), "signalfd")


def default_signals(*numbers: int) -> None:
    """Let these signals do what they do by default: what is ignored stays so across execve."""
    for number in numbers:
        _libc.signal(ctypes.c_int(number), ctypes.c_void_p(_SIG_DFL))


def unblock_signals() -> None:
    """Let all signals through that were blocked."""
    _check(_libc.sigprocmask(ctypes.c_int(_SIG_SETMASK), bytes(_SIGNAL_SET), None), "sigprocmask")


def pause() -> None:
    """Wait for a signal."""
    _libc.pause()


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a file system, or change a mount as mount(2) says."""
    _check(
        _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode()),
        f"mount {target}",
    )


def mount_setattr(target: str, attributes: int) -> None:
    """Set MOUNT_ATTR_* flags on a mount and all below it, keeping those that are locked (Linux 5.12)."""
    attr = struct.pack("=4Q", attributes, 0, 0, 0)
    _syscall(
        _SYS_MOUNT_SETATTR,
        f"mount_setattr {target}",
        ctypes.c_int(AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(AT_RECURSIVE),
        attr,
        ctypes.c_size_t(len(attr)),
    )


def map_ids(tree: int, namespace: int) -> None:
    """Let a detached mount show its owners as a user namespace maps them (Linux 5.12)."""
    attr = struct.pack("=4Q", MOUNT_ATTR_IDMAP, 0, 0, namespace)
    _syscall(
        _SYS_MOUNT_SETATTR,
        "mount_setattr",
        ctypes.c_int(tree),
        b"",
        ctypes.c_uint(AT_EMPTY_PATH),
        attr,
        ctypes.c_size_t(len(attr)),
    )


def open_tree(path: str) -> int:
    """A detached copy of the mounts at and below ``path`` (Linux 5.2), to be placed when ``path`` is out of sight."""
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC
    return _syscall(
        _SYS_OPEN_TREE, f"open_tree {path}", ctypes.c_int(AT_FDCWD), os.fsencode(path), ctypes.c_uint(flags)
    )


def move_mount(tree: int, target: str) -> None:
    """Place what :func:`open_tree` took."""
    _syscall(
        _SYS_MOVE_MOUNT,
        f"move_mount {target}",
        ctypes.c_int(tree),
        b"",
        ctypes.c_int(AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH),
    )


def pivot_root_here() -> None:
    """Make the current folder the root and let go of the old one (the ``pivot_root(".", ".")`` form)."""
    _numbered("pivot_root", b".", b".")
    _check(_libc.umount2(b".", ctypes.c_int(MNT_DETACH)), "umount2")
    os.chdir("/")


def prctl(option: int, argument: int = 0) -> int:
    """Set one attribute of this process that takes one argument as prctl(2) says."""
    zero = ctypes.c_ulong(0)
    result = _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), zero, zero, zero)
    return _check(result, f"prctl {option}")


def drop_bounding_set() -> None:
    """Empty the bounding set of this thread, as far as it may (it needs CAP_SETPCAP)."""
    for capability in range(_MAX_SIGNALS_AND_CAPS):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # EINVAL: past the last capability that this kernel knows


def drop_capabilities() -> None:
    """Empty all five capability sets of this thread, the bounding set first."""
    drop_bounding_set()
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    _numbered("capset", header, bytes(24))


def seccomp_install(program: bytes) -> int:
    """Install a classic BPF filter on this thread and return the descriptor its notifications are read from.

    A caught signal must not restart a call that waits for its answer (Go preempts with SIGURG), hence WAIT_KILLABLE
    (Linux 5.19). Not SPEC_ALLOW: since 5.16 a filter slows speculation down only where the administrator wants it so.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
    return _numbered("seccomp", ctypes.c_uint(SECCOMP_SET_MODE_FILTER), ctypes.c_uint(flags), fprog)


def epoll_add(epoll: int, descriptor: int, events: int, data: int) -> None:
    """epoll_ctl(EPOLL_CTL_ADD) with data of the caller's choice, which Python's own does not offer."""
    packing = "=IQ" if os.uname().machine == "x86_64" else "=I4xQ"  # packed on x86-64 alone (linux/eventpoll.h)
    event = struct.pack(packing, events, data)
    result = _libc.epoll_ctl(ctypes.c_int(epoll), ctypes.c_int(_EPOLL_CTL_ADD), ctypes.c_int(descriptor), event)
    _check(result, "epoll_ctl")


def pidfd_getfd(pidfd: int, descriptor: int) -> int:
    """A duplicate of another process's descriptor; needs the right to trace it."""
    return _syscall(_SYS_PIDFD_GETFD, "pidfd_getfd", ctypes.c_int(pidfd), ctypes.c_int(descriptor), ctypes.c_uint(0))


def landlock_abi() -> int:
    """The version of Landlock that this kernel offers; 0 where it offers none."""
    try:
        return _syscall(
            _SYS_LANDLOCK_CREATE_RULESET,
            "landlock_create_ruleset",
            None,
            ctypes.c_size_t(0),
            ctypes.c_uint(LANDLOCK_CREATE_RULESET_VERSION),
        )
    except OSError:
        return 0


def landlock_restrict(handled: Iterable[int], rules: Iterable[tuple[str, int]]) -> None:
    """Confine this thread: ``handled`` are the masks (fs, net, scoped) of the kernel's ABI, ``rules`` (path, rights).

    The attribute is passed at the length that the given masks have: an older kernel refuses fields it does not know.
    """
    attr = b"".join(struct.pack("=Q", mask) for mask in handled)
    ruleset = _syscall(
        _SYS_LANDLOCK_CREATE_RULESET,
        "landlock_create_ruleset",
        attr,
        ctypes.c_size_t(len(attr)),
        ctypes.c_uint(0),
    )
    try:
        for path, rights in rules:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = struct.pack("=Qi", rights, descriptor)
                _syscall(
                    _SYS_LANDLOCK_ADD_RULE,
                    f"landlock_add_rule {path}",
                    ctypes.c_int(ruleset),
                    ctypes.c_int(LANDLOCK_RULE_PATH_BENEATH),
                    rule,
                    ctypes.c_uint(0),
                )
            finally:
                os.close(descriptor)
        _syscall(_SYS_LANDLOCK_RESTRICT_SELF, "landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)
