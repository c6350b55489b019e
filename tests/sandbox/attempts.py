"""What the probe program tries, a table per surface: (what, attempt); and twins that must work.

An attempt is a call by its number and arguments, or a word that the probe knows; a call that this processor's kernel
does not have is left out.
"""

from collections.abc import Mapping

from binsafe.sandbox.linux.backend import native_arch
from binsafe.syscalls import tables

NUMBERS = tables.numbers(native_arch())
WORD = 2**64 - 1


def call(name: str, *arguments: int) -> str:
    return "call=" + ",".join(map(str, (NUMBERS[name], *arguments)))


def calls(given: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """What -> attempt, for the calls that exist here; the first word of what is the call's name."""
    named = {what: (what.split(" ", 1)[0], arguments) for what, arguments in given.items()}
    return {what: call(name, *arguments) for what, (name, arguments) in named.items() if name in NUMBERS}


def flags(call_name: str, beside: int = 0) -> dict[str, str]:
    """One attempt for each kind of namespace."""
    kinds = {"mount": 17, "cgroup": 25, "uts": 26, "ipc": 27, "user": 28, "pid": 29, "net": 30, "time": 7}
    return {f"{call_name} {kind}": call(call_name, 1 << bit | beside) for kind, bit in kinds.items()}


CLONE_VM_THREAD = 0x100 | 0x1_0000

_KERNEL = """
open_tree fsopen fsconfig fsmount fspick move_mount mount mount_setattr umount2 pivot_root chroot swapon swapoff acct
init_module finit_module delete_module kexec_load kexec_file_load iopl ioperm modify_ldt syslog vhangup settimeofday
clock_settime adjtimex clock_adjtime sethostname setdomainname reboot request_key add_key keyctl io_uring_setup
io_uring_enter io_uring_register io_setup io_submit process_vm_readv process_vm_writev process_madvise kcmp ptrace
memfd_secret memfd_create fanotify_init inotify_init1 quotactl quotactl_fd mbind move_pages migrate_pages set_mempolicy
get_mempolicy ustat sysfs bpf perf_event_open userfaultfd open_by_handle_at name_to_handle_at seccomp lookup_dcookie
landlock_create_ruleset landlock_restrict_self vmsplice tee nfsservctl mq_open msgget semget
"""
KERNEL = {
    **flags("unshare"),
    **calls(dict.fromkeys(_KERNEL.split(), ())),
    "a rename that leaves a device": call("renameat2", 0, 0, 0, 0, 4),
}
_PROCESSES = """
fork vfork pidfd_getfd setpgid setns setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid
capset sched_setattr sched_setparam ioprio_set
"""
PROCESSES = {
    **{
        f"a thread in a new {what}": attempt
        for what, attempt in flags("clone", CLONE_VM_THREAD).items()
        if "time" not in what
    },
    "clone as fork": call("clone", 17),
    "clone as vfork": call("clone", 0x4111),
    "clone3": call("clone3", 0, 88),
    "kill": call("kill", 1, 0),
    "pidfd_open": call("pidfd_open", 1),
    "pidfd_send_signal": call("pidfd_send_signal", 0, 9),
    "rt_sigqueueinfo": call("rt_sigqueueinfo", 1, 0),
    "rt_tgsigqueueinfo": call("rt_tgsigqueueinfo", 1, 1, 0),
    "personality": call("personality", 0x0040_0000),
    "execveat": call("execveat", 0, 0, 0, 0, 0x1000),
    "affinity of another": call("sched_setaffinity", 1, 8, 0),
    "scheduling in real time": call("sched_setscheduler", 0, 1, 0),
    **calls(dict.fromkeys(_PROCESSES.split(), ())),
    **{
        f"prctl {name}": call("prctl", option, value)
        for name, option, value in (
            ("SET_PDEATHSIG", 1, 0),
            ("SET_DUMPABLE", 4, 1),
            ("SET_KEEPCAPS", 8, 1),
            ("SET_SECCOMP", 22, 1),
            ("SET_SECUREBITS", 28, 0),
            ("SET_MM", 35, 1),
            ("SET_CHILD_SUBREAPER", 36, 1),
            ("CAP_AMBIENT", 47, 4),
            ("SET_PTRACER", 0x59616D61, WORD),
            ("SET_SYSCALL_USER_DISPATCH", 59, 1),
        )
    },
}
SOCKETS = {
    **{
        f"family {family}": f"socket={family},{kind},0"
        for family in range(46)
        if family not in (2, 10)
        for kind in (1, 3)
    },
    **{
        f"{name}{six}": f"socket={family},{kind},{protocol}"
        for six, family in (("", 2), (" over IPv6", 10))
        for name, kind, protocol in (
            ("UDP", 2, 0),
            ("UDP-Lite", 2, 136),
            ("raw", 3, 255),
            ("ICMP", 2, 1),
            ("ICMPv6", 2, 58),
            ("SCTP", 1, 132),
            ("SCTP packets", 5, 132),
            ("DCCP", 6, 33),
            ("MPTCP", 1, 262),
            ("SMC", 1, 256),
            ("reliable datagrams", 4, 0),
        )
    },
    "socketpair": call("socketpair", 1, 1, 0, 0),
    "connect": call("connect", 0, 0, 16),
    "sendmsg": call("sendmsg", 0, 0, 0),
    "sendmmsg": call("sendmmsg", 0, 0, 1, 0),
    "recvmmsg": call("recvmmsg", 0, 0, 1, 0),
    "sendto with an address": call("sendto", 0, 0, 0, 0, 1, 16),
    "sendto with fast open": call("sendto", 0, 0, 0, 0x2000_0000, 0, 0),
    "recvfrom with an address": call("recvfrom", 0, 0, 0, 0, 1, 1),
}
OPTIONS = {
    name: f"option={level},{option}"
    for name, level, option in (
        ("SO_BROADCAST", 1, 6),
        ("SO_PRIORITY", 1, 12),
        ("SO_BINDTODEVICE", 1, 25),
        ("SO_ATTACH_FILTER", 1, 26),
        ("SO_RCVBUFFORCE", 1, 33),
        ("SO_MARK", 1, 36),
        ("SO_ATTACH_BPF", 1, 50),
        ("SO_ZEROCOPY", 1, 60),
        ("SO_TXTIME", 1, 61),
        ("IP_HDRINCL", 0, 3),
        ("IP_OPTIONS", 0, 4),
        ("IP_FREEBIND", 0, 15),
        ("IP_TRANSPARENT", 0, 19),
        ("IPV6_2292RTHDR", 41, 5),
        ("IPV6_HOPOPTS", 41, 54),
        ("IPV6_RTHDR", 41, 57),
        ("IPV6_RTHDRDSTOPTS", 41, 55),
        ("IPV6_DSTOPTS", 41, 59),
        ("IPV6_TRANSPARENT", 41, 75),
        ("TCP_CONGESTION", 6, 13),
        ("TCP_MD5SIG", 6, 14),
        ("TCP_REPAIR", 6, 19),
        ("TCP_FASTOPEN", 6, 23),
        ("TCP_FASTOPEN_CONNECT", 6, 30),
        ("TCP_ULP", 6, 31),
    )
}
DESCRIPTORS = {
    **{
        f"ioctl {name}": call("ioctl", 0, command, 0)
        for name, command in {
            "TIOCSTI": 0x5412,
            "TIOCSCTTY": 0x540E,
            "TIOCLINUX": 0x541C,
            "TIOCSETD": 0x5423,
            "FIOASYNC": 0x5452,
            "FIOSETOWN": 0x8901,
            "SIOCSPGRP": 0x8902,
            "SIOCGIFNAME": 0x8910,
            "SIOCGIFCONF": 0x8912,
            "SIOCGIFHWADDR": 0x8927,
            "SIOCETHTOOL": 0x8946,
            "SIOCGSKNS": 0x894C,
            "FS_IOC_SETFLAGS": 0x4008_6602,
            "NS_GET_USERNS": 0xB701,
            "TIOCSTI with rubbish above": 0x1_0000_5412,
        }.items()
    },
    **{
        f"fcntl {name}": call("fcntl", 0, command, value)
        for name, command, value in (
            ("F_SETOWN", 8, 1),
            ("F_SETSIG", 10, 9),
            ("F_SETOWN_EX", 15, 0),
            ("F_SETLEASE", 1024, 0),
            ("F_NOTIFY", 1026, 1),
            ("F_ADD_SEALS", 1033, 1),
            ("F_SETFL O_ASYNC", 4, 0o20000),
        )
    },
}
MEMORY = {
    "write and execute": call("mmap", 0, 4096, 7, 0x22, WORD, 0),
    "execute": call("mmap", 0, 4096, 5, 0x22, WORD, 0),
    "become executable": call("mprotect", 0, 4096, 5),
    "become executable with a key": call("pkey_mprotect", 0, 4096, 5, 0),
    "shared segments": call("shmget", 0, 4096, 0o1600),
    "remap_file_pages": call("remap_file_pages", 0, 4096, 0, 0, 0),
    "raise a limit": call("prlimit64", 0, 7, 1, 0),
    "another's limit": call("prlimit64", 1, 7, 0, 0),
    "setrlimit": call("setrlimit", 7, 0),
}
FILES = {
    path: f"read={path}"
    for path in [
        "/etc/shadow",
        "/etc/passwd",
        "/etc/hosts",
        "/root/.ssh/id_rsa",
        "/home",
        "/proc/self/environ",
        "/proc/1/maps",
        "/proc/1/exe",
        "/proc/self/mem",
        "/proc/1/environ",
        "/proc/sys/kernel/hostname",
        "/proc/kcore",
        "/sys/kernel/notes",
        "/dev/mem",
        "/dev/kmsg",
        "/dev/tty",
        "/dev/ptmx",
        "/dev/fuse",
        "/dev/net/tun",
        "/dev/kvm",
        "/run/docker.sock",
        "/var/log/syslog",
        "/usr/bin/true",
        "/lib64/ld-linux-x86-64.so.2",
        "/boot",
    ]
}
SURFACES = {
    "kernel": KERNEL,
    "processes": PROCESSES,
    "sockets": SOCKETS,
    "options": OPTIONS,
    "descriptors": DESCRIPTORS,
    "memory": MEMORY,
}

TWINS = {
    "TCP": "socket=2,1,6",
    "TCP over IPv6": "socket=10,1,0",
    "SO_REUSEADDR": "option=1,2",
    "SO_REUSEPORT": "option=1,15",
    "SO_KEEPALIVE": "option=1,9",
    "TCP_NODELAY": "option=6,1",
    "IPV6_V6ONLY": "option=41,26",
    "memory": call("mmap", 0, 4096, 3, 0x22, WORD, 0),
    "a limit of its own": call("prlimit64", 0, 7, 0, 0),
    "a rename": call("renameat2", 0, 0, 0, 0, 2),
    "its own flags": call("fcntl", 0, 3),
    "bytes that wait": call("ioctl", 0, 0x541B, 0),
    "a thread's name": call("prctl", 15, 0),
    "a signal to its own group": call("kill", 0, 0),
    "its own affinity": call("sched_setaffinity", 0, 8, 0),
    "the usual scheduling": call("sched_setscheduler", 0, 0, 0),
    "time": call("clock_gettime", 1, 0),
    "random numbers": call("getrandom", 0, 0, 0),
    "nothing, written to nowhere": "write=/dev/null",
    "sendto without an address": call("sendto", 0, 0, 0, 0, 0, 0),
}
