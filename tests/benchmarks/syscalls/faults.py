"""What can go wrong for a program: calls that fail, signals that come, surroundings that are not as usual.

Left out is what the analysis says that it takes for never happening: a kernel that does not know what Linux 5.13 does,
nscd where it is not there, files that are immutable for who wants to execute them, and the loader's profiler
(``LD_PROFILE``), which goes on without its timer.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tracing import Strace

from binsafe.syscalls.pruning.fallbacks import ALWAYS_KNOWN

_Drawn = TypeVar("_Drawn")

_GENERAL = ("ENOSYS", "EPERM", "EINTR", "EINVAL", "ENOMEM", "EAGAIN", "ENOENT", "EIO")
_FITTING: Mapping[str, str] = {
    "accept": "EMFILE ECONNABORTED ENFILE",
    "access": "ENOENT EACCES",
    "bind": "EADDRINUSE EACCES EADDRNOTAVAIL",
    "chdir": "ENOENT EACCES",
    "chown": "EROFS EOPNOTSUPP",
    "clone": "EAGAIN ENOMEM",
    "close": "EBADF EIO",
    "connect": "ECONNREFUSED ETIMEDOUT EADDRNOTAVAIL ENETUNREACH",
    "copy_file_range": "EXDEV EOPNOTSUPP",
    "dup": "EMFILE EBADF",
    "epoll": "ENOSPC EMFILE",
    "fallocate": "EOPNOTSUPP ENOSPC",
    "fcntl": "EBADF EACCES",
    "fork": "EAGAIN ENOMEM",
    "futex": "ETIMEDOUT",
    "getcwd": "ENOENT ERANGE",
    "inotify": "ENOSPC EMFILE",
    "ioctl": "ENOTTY EOPNOTSUPP",
    "kill": "ESRCH",
    "link": "EXDEV EEXIST EMLINK",
    "lock": "EAGAIN EOPNOTSUPP",
    "lseek": "ESPIPE",
    "mkdir": "EEXIST ENOSPC",
    "mmap": "ENOMEM ENODEV EACCES",
    "open": "EMFILE ENOENT EACCES ENOSPC ELOOP EROFS ENXIO",
    "pipe": "EMFILE ENFILE",
    "read": "EIO EAGAIN EISDIR",
    "recv": "ECONNRESET EAGAIN",
    "rename": "EXDEV ENOTEMPTY EEXIST",
    "send": "EPIPE ECONNRESET ENOBUFS EMSGSIZE",
    "sendfile": "EINVAL EOVERFLOW",
    "socket": "EMFILE EAFNOSUPPORT EACCES EPROTONOSUPPORT",
    "sockopt": "ENOPROTOOPT EOPNOTSUPP",
    "stat": "ENOENT EACCES EOVERFLOW",
    "sync": "EIO EROFS",
    "utime": "EROFS EACCES",
    "wait": "ECHILD",
    "write": "ENOSPC EPIPE EAGAIN EDQUOT EFBIG",
    "xattr": "EOPNOTSUPP ENODATA ERANGE",
}
"""Part of a call's name -> errors that fit it, before the general ones."""
_NEVER: Mapping[str, str] = {"faccessat2": "EPERM", "getrandom": "EAGAIN ENOENT EINVAL EIO ENOMEM EPERM"}
"""Call -> errors that it does not end with, as the analysis knows; those that kernels always know not with ENOSYS."""
_ANSWERS: Mapping[str, tuple[int, ...]] = {
    "access": (0,), "capget": (0,), "copy_file_range": (0, 1), "epoll_pwait": (0,), "epoll_wait": (0,),
    "faccessat2": (0,), "fcntl": (0, 2), "fstatfs": (0,), "getdents64": (0,), "getegid": (1000,), "geteuid": (1000,),
    "getgid": (1000,),
    "getpgrp": (1,), "getpid": (1,), "getppid": (0, 1), "getuid": (1000,), "ioctl": (0,),
    "lseek": (0,), "poll": (0,), "ppoll": (0,), "prctl": (0, 1), "pread64": (0,), "pselect6": (0,), "pwrite64": (1,),
    "read": (0, 1), "readlink": (1, 4095), "readv": (0,), "recvfrom": (0,), "recvmsg": (0,), "sched_getaffinity": (8,),
    "select": (0,), "sendfile": (0, 1), "sendmsg": (1,), "sendto": (1,), "splice": (0,), "statfs": (0,), "wait4": (0,),
    "write": (0, 1), "writev": (0, 1),
}  # fmt: skip
"""What calls may answer as well: another user, the end of a file, a part of what was asked for, a terminal."""
_SIGNALS = (
    "SIGTERM", "SIGINT", "SIGHUP", "SIGWINCH", "SIGCHLD", "SIGPIPE", "SIGXCPU", "SIGALRM", "SIGUSR1", "SIGUSR2",
    "SIGQUIT", "SIGTSTP", "SIGCONT", "SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGPROF", "SIGVTALRM",
    "SIGIO", "SIGURG", "SIGTTIN", "SIGTTOU", "SIGRTMIN", "SIGRT_2", "SIGSYS", "SIGTRAP", "SIGXFSZ", "SIGPWR",
)  # fmt: skip
_SPARED = ("execve", "exit", "exit_group", "rt_sigreturn", "restart_syscall")
"""What loads and ends a program, and what no code stands behind: these do not fail."""

_USER = "setpriv --reuid=65534 --regid=65534 --clear-groups"
_COMMANDS = (
    "prlimit --nofile=3", "prlimit --nofile=4", "prlimit --nofile=6", "prlimit --nofile=10", "prlimit --as=40000000",
    "prlimit --as=150000000", "prlimit --as=1000000000", "prlimit --data=1000000", "prlimit --stack=65536",
    "prlimit --stack=unlimited", "prlimit --fsize=0", "prlimit --fsize=5000", "prlimit --memlock=0", "prlimit --cpu=1",
    "prlimit --core=0", "prlimit --core=unlimited", "prlimit --sigpending=0", "prlimit --nice=0", "prlimit --rtprio=0",
    _USER, f"{_USER} prlimit --nproc=1", "setpriv --no-new-privs", "setpriv --bounding-set=-all", "taskset 1", "setsid",
    "setpriv --inh-caps=-all --bounding-set=-all --securebits=+noroot", "nohup", "nice -19", "chrt -b 0", "setarch -R",
    "setarch -X", "unshare -U", "unshare -Ur", "unshare -n", "timeout 0.3", "timeout -s INT 0.3",
)  # fmt: skip
_VARIABLES = (
    "-i HOME=. PATH=/usr/bin", "LANG=C LC_ALL=C", "LANG=xx", "LC_ALL=de_DE.UTF-8 LANG=de_DE", "LC_ALL=ja_JP.EUC-JP",
    "LC_ALL=tr_TR.ISO-8859-9", "TZ=:/nowhere", "TZ=:/etc/localtime", "TZ=Europe/Berlin", "TERM=dumb COLUMNS=1",
    "TERM=xterm-256color", "HOME=/nowhere XDG_CONFIG_HOME=/nowhere", "TMPDIR=/nowhere TMP=/nowhere", "PATH=/nowhere",
    "LOGNAME=nobody USER=nobody SHELL=/bin/false", "PAGER=/nowhere EDITOR=/nowhere", "POSIXLY_CORRECT=1",
    "CI=1 NO_COLOR=1", "XDG_RUNTIME_DIR=/nowhere", "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere", "DEBUG=1 VERBOSE=1",
    "NOTIFY_SOCKET=/nowhere LISTEN_FDS=1 LISTEN_PID=1", "http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1",
    "RES_OPTIONS=timeout:1 LOCALDOMAIN=x", "RES_OPTIONS=debug HOSTALIASES=/etc/hosts", "OPENSSL_CONF=/nowhere",
    "SSL_CERT_FILE=/nowhere SSL_CERT_DIR=/nowhere", "GCONV_PATH=/nowhere LOCPATH=/nowhere NLSPATH=/nowhere",
    # the loader and glibc
    "LD_BIND_NOW=1", "LD_BIND_NOT=1", "LD_DEBUG=all", "LD_STATISTICS=1", "LD_SHOW_AUXV=1", "LD_TRACE_LOADED_OBJECTS=1",
    "LD_TRACE_LOADED_OBJECTS=1 LD_WARN=1 LD_VERBOSE=1", "LD_PRELOAD=/nowhere", "LD_AUDIT=/nowhere",
    "LD_LIBRARY_PATH=/nowhere:/lib", "MALLOC_TRACE=trace MALLOC_CHECK_=3", "MALLOC_TOP_PAD_=1",
    "GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.hugetlb=2:glibc.malloc.mmap_threshold=4096",
    "GLIBC_TUNABLES=glibc.malloc.check=3:glibc.malloc.perturb=7", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1",
    "GLIBC_TUNABLES=glibc.pthread.rseq=0:glibc.pthread.stack_cache_size=0",
    "GLIBC_TUNABLES=glibc.elision.enable=1:glibc.rtld.nns=8:glibc.mem.tagging=1",
    # other allocators
    "MALLOC_CONF=stats_print:true,thp:always,background_thread:true _RJEM_MALLOC_CONF=background_thread:true",
    "MIMALLOC_VERBOSE=1 MIMALLOC_LARGE_OS_PAGES=1", "MIMALLOC_SHOW_STATS=1 MIMALLOC_RESERVE_HUGE_OS_PAGES=1",
    # Go
    "GODEBUG=gctrace=1,schedtrace=50,scheddetail=1,inittrace=1,scavtrace=1", "GODEBUG=netdns=cgo+2,http2debug=2",
    "GODEBUG=netdns=go+2", "GODEBUG=asyncpreemptoff=1,madvdontneed=1,harddecommit=1,gcstoptheworld=1",
    "GODEBUG=multipathtcp=1,execerrdot=0,allocfreetrace=1,sbrk=1", "GODEBUG=cpu.all=off,disablethp=1,panicnil=1",
    "GODEBUG=dontfreezetheworld=1", "GOTRACEBACK=crash GOGC=1", "GOMAXPROCS=1", "GOMAXPROCS=9 GOGC=1 GOMEMLIMIT=1MiB",
    "GOCOVERDIR=. GOROOT=/nowhere ZONEINFO=/nowhere",
    # Rust, Haskell, OpenMP, Python
    "RUST_BACKTRACE=full RUST_MIN_STACK=1 RUST_LOG=trace", "RUST_BACKTRACE=1 RAYON_NUM_THREADS=1",
    "TOKIO_WORKER_THREADS=1", "GHCRTS=-N4", "OMP_NUM_THREADS=3",
    "PYTHONMALLOC=debug PYTHONFAULTHANDLER=1 PYTHONDEVMODE=1",
)  # fmt: skip
_NOWHERE = "/proc/nowhere"
"""What a program cannot make, as it could ``/nowhere``."""
_STREAMS = ("<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>&1", "</dev/null", "</")
_FOLDERS = ("/proc", "/dev", "/etc", "/sys", "/tmp", "/run", "/usr/share", "/usr/lib/locale", "/bin")
_TERMINAL = 'script -qec "$(printf "%q " "$@")" /dev/null'
_SURROUNDINGS: tuple[tuple[str, ...], ...] = (
    *(tuple(command.split()) for command in _COMMANDS),
    *(("env", *variables.replace("/nowhere", _NOWHERE).split()) for variables in _VARIABLES),
    *(("sh", "-c", f'exec "$@" {stream}', "sh") for stream in _STREAMS),
    *(("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o ro none {folder} && exec "$@"', "sh") for folder in _FOLDERS),
    ("bash", "-c", _TERMINAL, "bash"),
    ("bash", "-c", f"{_TERMINAL} </dev/null", "bash"),
)
"""Commands that start a program as one that it is told."""


@dataclass(frozen=True, kw_only=True)
class Faulty(Strace):
    """Runs a program as `Strace` does, with what goes wrong: strace's ``inject``, and ``before`` the program."""

    inject: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    def command(self, output: Path, variables: Iterable[str] = ()) -> list[str]:
        """What stands before the program and its arguments."""
        options = [word for fault in self.inject for word in ("-e", f"inject={fault}")]
        return [*super().command(output, variables), *options, *self.before]

    def __str__(self) -> str:
        return " and ".join((*self.inject, " ".join(self.before))).removesuffix(" and ") or "nothing"


class Choice:
    """Draws faults for a command by the calls that it makes; what was drawn least comes first."""

    def __init__(self, names: Mapping[int, str], seed: str) -> None:
        self._names, self._random, self._drawn = names, random.Random(seed), Counter[tuple[str, object]]()

    def draw(self, calls: Counter[str]) -> Faulty:
        """One thing that goes wrong, and now and then two."""
        failing = sorted(calls.keys() - set(_SPARED))
        answering = [call for call in failing if call in _ANSWERS]
        chance = self._random.random()
        if chance < 0.16 or not failing:
            inject, before = [], self._least(_SURROUNDINGS)
        elif chance < 0.26:
            inject, before = [self._signal(sum(calls.values()))], ()
        elif chance < 0.34 and answering:
            inject, before = [self._answer(self._least(answering), calls)], ()
        else:
            inject = [self._error(self._least(failing), calls) for _ in range(1 if chance < 0.85 else 2)]
            before = self._least(_SURROUNDINGS) if chance > 0.95 else ()
        return Faulty(names=self._names, inject=tuple(inject), before=before)

    def _signal(self, count: int) -> str:
        return f"!{','.join(_SPARED)}:signal={self._least(_SIGNALS)}:when={self._random.randint(1, count)}"

    def _answer(self, call: str, calls: Counter[str]) -> str:
        return f"{call}:retval={self._least(_ANSWERS[call], call)}:when={self._when(calls[call])}"

    def _error(self, call: str, calls: Counter[str]) -> str:
        fitting = [error for part, errors in _FITTING.items() if part in call for error in errors.split()]
        never = {*_NEVER.get(call, "").split(), *(("ENOSYS",) if call in ALWAYS_KNOWN else ())}
        errors = [error for error in dict.fromkeys((*fitting, *_GENERAL)) if error not in never]
        error = self._least(errors, call)
        signal = f":signal={self._least(_SIGNALS)}" if error == "EINTR" and self._random.random() < 0.5 else ""
        return f"{call}:error={error}{signal}:when={self._when(calls[call])}"

    def _when(self, count: int) -> str:
        """Always, once, from some time on, or every other time."""
        at = self._random.randint(1, count)
        return self._random.choice(("1+", "1", "2+", f"{at}", f"{at}+", "1+2"))

    def _least(self, values: Sequence[_Drawn], of: str = "") -> _Drawn:
        least = min(self._drawn[of, value] for value in values)
        value = self._random.choice([value for value in values if self._drawn[of, value] == least])
        self._drawn[of, value] += 1
        return value
