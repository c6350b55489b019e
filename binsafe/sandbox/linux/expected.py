"""Files that C libraries and language runtimes look for on their way, and do without where they are not there."""

from typing import Final

from binsafe.paths import is_inside
from binsafe.sandbox.linux.layout import SYSTEM

OF_THE_SYSTEM: Final = (*SYSTEM, "/etc/", "/proc/", "/sys/", "/dev/", "/run/", "/var/lib/", "/var/cache/")
"""Where files lie that are no user's."""

_OWN: Final = (
    "auxv cgroup comm coredump_filter cpuset exe fd limits maps mountinfo mounts oom_score_adj smaps stat statm status "
    "task"
)
_MACHINE: Final = "cgroups cpuinfo filesystems meminfo mounts stat version"
_KERNEL: Final = "cap_last_cap ngroups_max osrelease pid_max random/boot_id random/uuid rtsig-max threads-max"
_LIBRARIES: Final = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
_EXPECTED_FILES: Final = frozenset(
    {
        *("/", "/etc", "/usr", "/dev", "/dev/tty", "/proc/self", "/selinux"),
        *("/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"),  # ttyname(3)
        *("/dev/pts", "/etc/inputrc"),  # the same, and readline
        *(f"/proc/self/{name}" for name in _OWN.split()),
        *(f"/proc/sys/kernel/{name}" for name in _KERNEL.split()),
        *(f"/proc/{name}" for name in _MACHINE.split()),
        *("/proc/self/attr/current", "/proc/version_signature"),
        *("/proc/sys/vm/overcommit_memory", "/proc/sys/vm/max_map_count", "/proc/sys/vm/nr_hugepages"),
        *("/proc/sys/net/core/somaxconn", "/proc/sys/crypto/fips_enabled", "/proc/net/if_inet6", "/proc/driver"),
        *("/etc/mtab", "/etc/hosts.allow", "/etc/hosts.deny", "/proc/self/loginuid"),
        *("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/resolv.conf", "/etc/gai.conf"),
        *("/etc/ssl/openssl.cnf", "/usr/lib/ssl/openssl.cnf", "/proc/sys/fs/pipe-max-size"),
        *(f"{folder}/gconv/gconv-modules{end}" for folder in _LIBRARIES for end in (".cache", "", ".d")),
        *("/etc/mime.types", "/usr/share/mime/globs2"),  # who serves or shows files knows the usual kinds itself
    }
)
_EXPECTED_FOLDERS: Final = (
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    "/sys/devices/system",
    "/etc/selinux",
    "/etc/terminfo",
    "/usr/lib/locale",
    "/usr/share/locale",
    "/run/nscd",
    "/var/run/nscd",
)
"""All by whole names, no prefixes of names, so that a hostile program's own look-ups do not pass for them."""


def is_expected(path: str) -> bool:
    """Whether a plain, absolute path is one of these."""
    return path in _EXPECTED_FILES or is_inside(path, *_EXPECTED_FOLDERS)
