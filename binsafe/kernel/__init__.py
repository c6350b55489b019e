"""The kernel's doors that Python's library lacks, through ctypes: each function is one system call or raises OSError.

Used by whoever gives something up: the process that parses untrusted bytes, the stage that turns itself into the
sandboxed program, and the supervisor outside of it. On the way of every start, so that what is loaded here imports
nothing but ctypes, os and struct.

calls        how a call is made                     privileges   attributes and capabilities
namespaces   leaving them                           seccomp      installing a filter
mounts       the tree of files                      landlock     restricting oneself
signals      waiting for them                       others       memory, descriptors and files of others

What the calls are handed: `bpf` assembles filters, `filters` makes one of what is decided about each system call, and
`rights` knows what each version of Landlock can deny. They are loaded by whoever needs them.
"""

from binsafe.kernel.landlock import landlock_abi, landlock_restrict
from binsafe.kernel.mounts import (
    AT_RECURSIVE,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    map_ids,
    mount,
    mount_setattr,
    move_mount,
    open_tree,
    pivot_root_here,
)
from binsafe.kernel.namespaces import (
    CLONE_FILES,
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    NAMESPACES,
    sethostname,
    unshare,
)
from binsafe.kernel.others import epoll_add, is_there, pidfd_getfd, write_memory
from binsafe.kernel.privileges import (
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    drop_bounding_set,
    drop_capabilities,
    prctl,
)
from binsafe.kernel.seccomp import seccomp_confine, seccomp_install
from binsafe.kernel.signals import (
    SIGCHLD,
    SIGKILL,
    SIGPIPE,
    SIGXFSZ,
    child_signals,
    control,
    default_signals,
    pause,
    unblock_signals,
)

__all__ = [
    "AT_RECURSIVE",
    "CLONE_FILES",
    "CLONE_NEWCGROUP",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "MOUNT_ATTR_NODEV",
    "MOUNT_ATTR_NOEXEC",
    "MOUNT_ATTR_NOSUID",
    "MOUNT_ATTR_RDONLY",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_PRIVATE",
    "MS_RDONLY",
    "MS_REC",
    "MS_REMOUNT",
    "NAMESPACES",
    "PR_SET_DUMPABLE",
    "PR_SET_NO_NEW_PRIVS",
    "PR_SET_PDEATHSIG",
    "SIGCHLD",
    "SIGKILL",
    "SIGPIPE",
    "SIGXFSZ",
    "child_signals",
    "control",
    "default_signals",
    "drop_bounding_set",
    "drop_capabilities",
    "epoll_add",
    "is_there",
    "landlock_abi",
    "landlock_restrict",
    "map_ids",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pause",
    "pidfd_getfd",
    "pivot_root_here",
    "prctl",
    "seccomp_confine",
    "seccomp_install",
    "sethostname",
    "unblock_signals",
    "unshare",
    "write_memory",
]
