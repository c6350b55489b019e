"""What well-known libraries never do though their code could, do on occasions only, do through memory, or load.

All of it was read in their source; each rule names the place. A rule says which code waits for what and never adds
trust: it finds the code by what it calls, so a library that is built differently loses the gain and not the call.
The names in a file are its own word: one that lies about them is only denied the calls that it hides.

Kernels are taken to be Linux 5.13 or later, as the sandbox needs them: what a library does where an older one has no
``getrandom`` or ``faccessat2`` is never done.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from binsafe.syscalls.glibc import NSCD
from binsafe.syscalls.linking.c_library import is_c_library
from binsafe.syscalls.linking.conditions import Names
from binsafe.syscalls.linking.summary import Condition, Need, Summary
from binsafe.syscalls.tables import numbers

USER_DATABASE = "/run/systemd/userdb"
"""Where ``libnss_systemd`` finds whom to ask for users (``src/shared/userdb.c``)."""
TRANSLATIONS = "/var/run/setrans/.setrans-unix"
"""Where libselinux has labels translated (``src/setrans_internal.h``)."""

_PRIORITY_PROTOCOL = (
    "pthread_mutexattr_setprotocol",
    "pthread_mutexattr_setprioceiling",
    "pthread_mutex_setprioceiling",
)
_SCHEDULING = frozenset({"sched_getparam", "sched_getscheduler", "sched_setscheduler"})
_ENDS_FIRST_THREAD = ("pthread_exit", "pthread_cancel", "thrd_exit")
_MAKES_THREADS = ("pthread_create", "clone")
_SPAWN_FLAGS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        0x01: ("getuid", "getgid"),  # POSIX_SPAWN_RESETIDS
        0x02: ("setpgid", "__setpgid"),  # POSIX_SPAWN_SETPGROUP
        0x10: ("sched_setparam",),  # POSIX_SPAWN_SETSCHEDPARAM
        0x20: ("sched_setscheduler", "__sched_setscheduler"),  # POSIX_SPAWN_SETSCHEDULER
        0x80: ("setsid",),  # POSIX_SPAWN_SETSID
    }
)
_SPAWN_ACTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "posix_spawn_file_actions_addchdir_np": ("chdir",),
        "posix_spawn_file_actions_addfchdir_np": ("fchdir",),
        "posix_spawn_file_actions_addtcsetpgrp_np": ("__getpgid", "getpgid", "tcsetpgrp"),
    }
)
_EVENT_LOOP = ("epoll_create1", "epoll_ctl", "epoll_wait", "timerfd_create", "timerfd_settime")
_NEVER_WATCHED = ("inotify_init1", "inotify_add_watch", "inotify_rm_watch", "signalfd", "waitid", "kill")

_PAM = "libpam.so.0"
_PAM_MODULES = (
    *("access", "cap", "deny", "env", "faildelay", "faillock", "group", "issue", "keyinit", "lastlog", "limits"),
    *("listfile", "loginuid", "mail", "motd", "nologin", "permit", "rootok", "selinux", "shells", "systemd", "time"),
    *("umask", "unix", "wheel"),
)
"""Modules that distributions name in ``/etc/pam.d`` for ``login``, ``sshd``, ``su``, ``cron`` and all others."""

_CONFIGURED = ("libcrypto", "libgssapi_krb5", "libkrb5", "libkrb5support", "libp11-kit", "libpam", "libsasl2")
"""Libraries of very many programs, few of which have them load modules: where their settings name an engine, a provider
or a token (OpenSSL's ``openssl.cnf``, p11-kit's ``pkcs11.conf``), or ask for Kerberos or SASL at all. And libpam, of
which `loaded_by` says which ones.
"""

_CHANGES_CAPABILITIES = re.compile(
    "capsetp?|cap_(?:set_(?!syscall|flag|nsowner|fd|file)|iab_set_proc|launch|func_launch|new_launcher|setuid|setgroups|"
    "reset_ambient|drop_bound|prctl).*"
)
_MAKES_CAPABILITIES = re.compile(r"cap_(?:init|dup|get_(?!bound).*|from_.*|copy_int.*|iab_.*|.*launcher.*)")
_CAPABILITY_CALLS = ("capset", "prctl", "setuid", "setgid", "setgroups", "chroot")


def loaded_by(name: str, opened_as: str | None) -> Iterator[str]:
    """Paths of modules that a library mostly loads where it loads anything: some of them may not be there.

    libpam's lie beside it, in ``security`` (Linux-PAM, ``libpam/Makefile.am``, ``DEFAULT_MODULE_PATH``); which ones it
    loads its configuration says, and that there may be others stays an open question.
    """
    if name == _PAM and opened_as is not None:
        folder = opened_as.rpartition("/")[0]
        yield from (f"{folder}/security/pam_{module}.so" for module in _PAM_MODULES)


def names_modules(summary: Summary) -> bool:
    """Whether what a file names are folders of modules that programs with it mostly load.

    Of those for which that is not so the open question remains what else they load, as of all others.
    """
    return not is_c_library(summary) and not any(_is(summary, library) for library in _CONFIGURED)


def conditions(summary: Summary) -> Iterator[Condition]:
    """What of a file's code runs on occasions only."""
    if is_c_library(summary):
        yield from _c_library(Names(summary))
    elif "_rtld_global" in summary.exports:
        yield from _loader(Names(summary))
    for library, rules in _LIBRARIES:
        if _is(summary, library):
            yield from rules(Names(summary))


def _is(summary: Summary, library: str) -> bool:
    """Whether a file is that library by its own name, behind which a version or a hash may stand.

    What it exports says less: it may hold the library's code among its own, for which nothing said here is true.
    """
    return summary.soname.startswith((f"{library}.so", f"{library}-"))


def _loader(names: Names) -> Iterator[Condition]:
    """The loader's command line and its profiler.

    It executes a program only where it is itself what was started, as a command (``elf/rtld.c``,
    ``rtld_chain_load``); a program that does that makes the call of its own to get there. It profiles a library for
    ``LD_PROFILE`` only, and goes on where it is given no timer (``elf/dl-profile.c``, ``_dl_start_profile``).
    """
    known = numbers(names.summary.arch)
    for call in ("execve", "setitimer"):
        yield Condition((), names.making(known[call]), calls=frozenset({call}))
    yield from _ending(names, names.making(known["exit_group"]))


def _c_library(names: Names) -> Iterator[Condition]:
    yield from _threads(names)
    yield from _spawning(names)
    yield from _older_kernels(names)
    yield from _ending(names, names.exported("_exit"))
    yield from _without_nscd(names)
    # sunrpc/svc.c, __rpc_thread_svc_cleanup: unregisters at the end of a thread what svc_register put on a list
    cleaning = names.callers(names.exported("svc_unregister")) - names.named
    yield Condition((Need("svc_register"),), None, cleaning)
    # sysdeps/posix/tempname.c: __gen_tempname makes a folder for mkdtemp alone, by a function of a table
    yield Condition((Need("mkdtemp"),), None, names.callers(names.exported("mkdir")) - names.named)


def _threads(names: Names) -> Iterator[Condition]:
    """Settings of threads, and the end of the first one.

    ``pthread_create`` makes calls about scheduling for threads whose attributes ask for it (``nptl/pthread_create.c``);
    the default attributes that it copies ask for what the program has set by the same functions
    (``nptl/pthread_attr_copy.c``). Mutexes change their owner's priority only with a protocol that the initialisers of
    ``pthread.h`` do not set (``nptl/tpp.c``). What calls ``main`` ends that thread alone where it was left by
    ``pthread_exit`` or cancelled (``sysdeps/nptl/libc_start_call_main.h``). At the end streams are waited for that
    another thread holds (``libio/genops.c``, ``_IO_unbuffer_all``).
    """
    creating = names.exported("pthread_create")
    creating |= names.called(creating)
    yield Condition((Need("pthread_attr_setinheritsched"),), creating, calls=_SCHEDULING)
    yield Condition((Need("pthread_attr_setaffinity_np"),), creating, calls=frozenset({"sched_setaffinity"}))
    setting = names.exported("pthread_attr_setaffinity_np")
    copying = names.callers(setting) & names.called(names.exported("pthread_getattr_default_np"))
    yield Condition((), copying, setting)
    asking = names.callers(names.exported("sched_get_priority_min", "sched_get_priority_max", "sched_getscheduler"))
    handling = names.called(names.exported("pthread_mutex_lock", "pthread_mutex_init"))
    handling |= names.called(handling)
    yield Condition(tuple(map(Need, _PRIORITY_PROTOCOL)), None, (asking & handling) - names.named)
    starting = names.called(names.exported("__libc_start_main"))
    yield Condition(tuple(map(Need, _ENDS_FIRST_THREAD)), starting, calls=frozenset({"exit"}))
    yielding = names.exported("sched_yield")
    yield Condition(tuple(map(Need, _MAKES_THREADS)), names.callers(yielding) - names.named, yielding)


def _spawning(names: Names) -> Iterator[Condition]:
    """What ``posix_spawn`` does in the child for the flags and file actions that it is given.

    ``sysdeps/unix/sysv/linux/spawni.c``, ``__spawni_child``; the C library's own callers (``system``, ``popen``,
    ``wordexp``) set none of these flags and add none of these actions.
    """
    known = numbers(names.summary.arch)
    child = (
        names.making(known["setresuid"]) & names.making(known["setresgid"]) & names.callers(names.exported("setsid"))
    )
    for bit, functions in _SPAWN_FLAGS.items():
        calls = frozenset({"setresuid", "setresgid"}) if bit == 1 else frozenset[str]()
        yield Condition((Need("posix_spawnattr_setflags", bit),), child, names.exported(*functions), calls)
    for action, functions in _SPAWN_ACTIONS.items():
        yield Condition((Need(action),), child, names.exported(*functions))
    closing = names.callers(names.exported("closefrom"))
    yield Condition(
        (Need("posix_spawn_file_actions_addclosefrom_np"),), child - closing, calls=frozenset({"close_range"})
    )


def _ending(names: Names, functions: frozenset[int]) -> Iterator[Condition]:
    """``_exit`` ends its thread where ``exit_group`` has failed, which it never does (``posix/_exit.c``)."""
    both = functions & names.making(numbers(names.summary.arch)["exit_group"])
    yield Condition((), both, calls=frozenset({"exit"}))


def _older_kernels(names: Names) -> Iterator[Condition]:
    """What is done by other calls where the kernel does not know the right one.

    ``faccessat2`` came with Linux 5.8 (``sysdeps/unix/sysv/linux/faccessat.c``), ``getrandom`` with 3.17: without it
    ``arc4random`` polls ``/dev/random`` (``stdlib/arc4random.c``).
    """
    known = numbers(names.summary.arch)
    checking = names.exported("faccessat") & names.making(known["faccessat2"])
    instead = names.exported("getuid", "geteuid", "getgid", "getegid", "group_member", "fstatat", "fstatat64")
    yield Condition((), checking, instead, frozenset({"faccessat"}))
    yield Condition((), names.making(known["getrandom"]), calls=frozenset({"ppoll"}))


def _without_nscd(names: Names) -> Iterator[Condition]:
    """What follows when nscd could be asked: ``nscd/nscd_helper.c``, from ``open_socket`` to ``__readvall``.

    Where the socket is not there connecting fails, and that is all. Should it be there later, what is denied fails and
    glibc asks the name services itself, as it does without nscd.
    """
    opening = names.mentioning(NSCD)
    asking = names.callers(opening) - names.named
    waiting = (names.called(asking) & names.callers(names.exported("poll"))) - opening
    reading = (names.callers(waiting) - names.named) | waiting
    answers = names.exported("poll", "send", "recvmsg", "readv")
    yield Condition((), opening | asking | reading if opening else frozenset(), answers, absent=NSCD)


def _users_of_systemd(names: Names) -> Iterator[Condition]:
    """``libnss_systemd`` asks for users over sockets, in an event loop (``src/shared/userdb.c``, ``varlink.c``).

    The loop has sources of input and of time only: the rest of ``sd-event.c`` is linked into the library and never
    asked to watch files, signals or children. The loop is made by who connects to the sockets of one folder: where
    that is not there, nobody is asked. Should it be there later, what is denied fails and its users are not found.
    """
    yield Condition((), None, names.imported(*_NEVER_WATCHED))
    signalling = frozenset(
        each.node
        for each in names.summary.passed
        if (each.imported, each.value) == ("syscall", numbers(names.summary.arch)["pidfd_send_signal"])
    )
    yield Condition((), signalling, calls=frozenset({"pidfd_send_signal"}))
    making = names.users("epoll_create1")
    connecting = (names.callers(making) & names.users("connect")) - names.users("opendir", "openat", "open64")
    inside = (names.users(*_EVENT_LOOP) | connecting) - names.named
    yield Condition((), None, inside, absent=USER_DATABASE)
    listing = names.users("opendir") & names.callers(connecting)
    kinds = names.users("statx")  # what kind of file each one in the folder is
    yield Condition((), listing, kinds, absent=USER_DATABASE)
    # src/basic/io-util.c, loop_read: waits for what is no file
    yield Condition((), names.users("read"), names.users("ppoll"), absent=USER_DATABASE)
    # src/basic/log.c: sends to sockets that the program opened for that, if it did
    connected = names.users("connect")
    opening = (connected | names.callers(connected)) - connecting - listing
    if opening and names.callers(opening) <= opening | connecting and not opening & (names.named | names.roots):
        yield Condition((), None, names.imported("sendmsg"), absent=USER_DATABASE)


def _locking(names: Names) -> Iterator[Condition]:
    """Libcap's locks, at which it waits by yielding the processor (``libcap/libcap.h``, ``_cap_mu_lock``).

    One is held by the constructor and by nobody else at that time (``cap_alloc.c``, ``_libcap_initialize``); the others
    are part of the objects that programs make.
    """
    makers = [export.name for export in names.summary.exports.where(_MAKES_CAPABILITIES.fullmatch)]
    yielding = names.imported("sched_yield") | names.callers(names.imported("sched_yield"))
    yield Condition((), names.exported("_libcap_initialize"), yielding)
    yield Condition(tuple(map(Need, makers)), names.exported("cap_free"), yielding)


def _seeding(names: Names) -> Iterator[Condition]:
    """OpenSSL waits for ``/dev/random`` and notes that in shared memory where ``getrandom`` is not there.

    ``providers/implementations/rands/seeding/rand_unix.c``, ``wait_random_seeded``.
    """
    yield Condition((), names.users("shmget"), names.imported("select") | names.callers(names.imported("select")))
    yield Condition((), None, names.imported("shmget", "shmat", "shmdt"))


def _translating(names: Names) -> Iterator[Condition]:
    """Libselinux hands labels back as they are where nobody translates them (``src/setrans_client.c``).

    Its constructor looks for the socket.
    """
    yield Condition((), None, names.imported("sendmsg", "readv"), absent=TRANSLATIONS)


_LIBRARIES: tuple[tuple[str, Callable[[Names], Iterator[Condition]]], ...] = (
    ("libnss_systemd", _users_of_systemd),
    ("libcrypto", _seeding),
    ("libselinux", _translating),
    ("libcap", _locking),
)


def through_memory(summary: Summary) -> frozenset[int]:
    """The functions of libcap and libseccomp whose numbers lie in memory; `calls_through_memory` says which.

    Libcap's are in a table that programs may replace (``libcap/cap_proc.c``, ``_libcap_syscaller``); libseccomp looks
    its only one up in its own table of names (``src/system.c``, ``_nr_seccomp``).
    """
    if not _is(summary, "libcap") and not _is(summary, "libseccomp"):
        return frozenset()
    return frozenset(each.node for each in summary.passed if each.imported == "syscall" and each.value is None)


def calls_through_memory(summary: Summary, arch: str) -> Iterator[tuple[int, int, int]]:
    """(number, node, address) of those calls: for libcap by exported functions, for libseccomp where they are made."""
    known, through = numbers(arch), through_memory(summary)
    if _is(summary, "libseccomp"):
        made = (each for each in summary.passed if each.node in through and each.imported == "syscall")
        yield from ((known["seccomp"], each.node, each.address) for each in made if each.value is None)
        return
    for export in summary.exports.where(_CHANGES_CAPABILITIES.fullmatch) if through else ():
        if export.first < export.last:
            yield from ((known[name], export.first, export.address) for name in _CAPABILITY_CALLS)
