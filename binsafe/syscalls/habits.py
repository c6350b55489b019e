"""What well-known libraries never do though their code could, and what they do through memory: read in their source.

The names in a file are its own word: one that lies about them is only denied the calls that it hides.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from binsafe.syscalls.machine import Addresses
from binsafe.syscalls.patterns import is_c_library
from binsafe.syscalls.sets import among, distinct
from binsafe.syscalls.summary import Summary
from binsafe.syscalls.tables import numbers

PRIORITY_PROTOCOL = frozenset(
    {"pthread_mutexattr_setprotocol", "pthread_mutexattr_setprioceiling", "pthread_mutex_setprioceiling"}
)
"""Who makes mutexes that change their owner's priority; the initialisers of ``pthread.h`` do not."""

THREAD_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "sched_getparam": "pthread_attr_setinheritsched",
        "sched_getscheduler": "pthread_attr_setinheritsched",
        "sched_setscheduler": "pthread_attr_setinheritsched",
        "sched_setaffinity": "pthread_attr_setaffinity_np",
    }
)
"""Call that ``pthread_create`` makes for a thread -> who sets the attribute that asks for it (``pthread_create.c``)."""

_UNUSED_BY_NAME_SERVICE = frozenset(
    {"inotify_init1", "inotify_add_watch", "inotify_rm_watch", "signalfd", "waitid", "kill"}
)
_CHANGES_CAPABILITIES = re.compile(
    "capsetp?|cap_(?:set_(?!syscall|flag|nsowner|fd|file)|iab_set_proc|launch|func_launch|new_launcher|setuid|setgroups|"
    "reset_ambient|drop_bound|prctl).*"
)
_CAPABILITY_CALLS = ("capset", "prctl", "setuid", "setgid", "setgroups", "chroot")


def unused_imports(summary: Summary) -> frozenset[str]:
    """Functions that a file imports and never calls.

    ``libnss_systemd`` asks for users over a socket, in an event loop with sources of input and of time only
    (``src/shared/varlink.c``). The rest of ``sd-event.c`` is linked into it and never asked to watch files, signals or
    children.
    """
    by_name = any(export.name == "_nss_systemd_getpwnam_r" for export in summary.exports)
    return _UNUSED_BY_NAME_SERVICE if by_name else frozenset()


def is_unused(summary: Summary, number: int, arch: str) -> bool:
    """Whether a number that a file passes to ``syscall`` belongs to the same: it signals children by their pidfd."""
    return number == numbers(arch)["pidfd_send_signal"] and bool(unused_imports(summary))


def changes_priority(summary: Summary) -> Addresses:
    """Functions of the C library that only mutexes with a priority protocol come to: see `PRIORITY_PROTOCOL`.

    ``nptl/tpp.c``: nameless, called by what handles mutexes, and alone there in asking about the scheduler.
    """
    asking = _named(summary, {"sched_get_priority_min", "sched_get_priority_max", "sched_getscheduler"})
    handling = _named(summary, {"pthread_mutex_lock", "pthread_mutex_init"})
    if not is_c_library(summary) or not asking or not handling:
        return np.array([], np.int64)
    sources, targets = summary.edges()
    called = targets[among(sources, handling)]
    called = np.append(called, targets[among(sources, called)])
    found = distinct(sources[among(targets, asking)])
    return found[among(found, called) & ~among(found, [e.first for e in summary.exports if e.first < e.last])]


def thread_settings(summary: Summary) -> frozenset[int]:
    """The function of the C library that makes threads, and the nameless ones that it calls: see `THREAD_SETTINGS`."""
    creating = _named(summary, {"pthread_create"})
    if not is_c_library(summary) or not creating:
        return frozenset()
    sources, targets = summary.edges()
    called = targets[among(sources, creating)]
    called = called[(called < summary.functions) & ~among(called, [e.first for e in summary.exports])]
    return frozenset([*creating, *called.tolist()])


def _named(summary: Summary, names: set[str]) -> list[int]:
    return sorted({e.first for e in summary.exports if e.name in names and e.first < e.last})


def through_table(summary: Summary) -> frozenset[int] | None:
    """The functions of libcap that make the calls of a table that programs may replace; None in other files.

    ``libcap/cap_proc.c``: ``_libcap_syscaller``; who uses it and with which calls is said by `capability_calls`.
    """
    if not any(export.name == "cap_set_syscall" for export in summary.exports):
        return None
    return frozenset(each.node for each in summary.passed if each.imported == "syscall" and each.value is None)


def capability_calls(summary: Summary, arch: str) -> Iterator[tuple[int, int, int]]:
    """(number, node, address) of the calls that libcap's exported functions make through that table."""
    known = numbers(arch)
    for export in summary.exports if through_table(summary) else ():
        if export.first < export.last and _CHANGES_CAPABILITIES.fullmatch(export.name):
            yield from ((known[name], export.first, export.address) for name in _CAPABILITY_CALLS)
