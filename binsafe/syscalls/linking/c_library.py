"""What summaries show of glibc: that a file is its, the names that it looks up, and numbers that go through memory."""

from collections.abc import Iterator

from binsafe.syscalls.glibc import LOOKS_UP, THREADS, is_looked_up, is_served
from binsafe.syscalls.linking.exports import Exports
from binsafe.syscalls.linking.summary import Summary

_SETXID = frozenset(
    {"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "pthread_create"}
)

_STARTS_THREADS = "__pthread_initialize_minimal"
_CALLED_BY_LOADER = "__libc_early_init"
"""In the C library (``elf/dl-call-libc-early-init.c``), which calls ``malloc`` and its like by itself, too."""


def is_c_library(summary: Summary) -> bool:
    """Whether a file is glibc's libc."""
    return "__libc_start_main" in summary.exports


def has_calls_beside(exports: Exports) -> bool:
    """Whether a file is of glibc, whose code has the call beside each use of the vDSO (``sysdeps/unix/sysv/linux``)."""
    return any(name in exports for name in ("__libc_start_main", "_rtld_global"))


def is_threads_library(summary: Summary) -> bool:
    """Whether a file is glibc's libpthread, by its own name and by what its libc calls: up to 2.33 it was apart."""
    return summary.soname == THREADS and _STARTS_THREADS in summary.exports


def covered(summary: Summary) -> frozenset[int]:
    """Functions of the C library that repeat on every thread the ``setuid`` of one of them.

    ``__nptl_setxid`` (glibc, ``nptl/nptl_setxid.c``) is called by ``setuid`` and its like with the number in memory;
    each of those also makes the call itself, so the numbers are found there. The handler that repeats it on the other
    threads is installed by ``pthread_create``. Up to 2.33 both were libpthread's: what starts it installs the handler,
    and gives libc a table with ``__nptl_setxid`` (``nptl/nptl-init.c``).
    """
    apart = is_threads_library(summary)
    if not apart and not is_c_library(summary):
        return frozenset()
    names = frozenset({_STARTS_THREADS}) if apart else _SETXID
    setters = {export.first for export in summary.exports.named(names) if export.first < export.last}
    setters |= {target for source in setters for target in summary.leading_from(source) if apart}
    repeating = {
        gap.node for gap in summary.gaps if not apart or gap.reason.startswith("the number is read from memory")
    }
    return frozenset(target for source in setters for target in summary.leading_from(source) if target in repeating)


def asked(summary: Summary) -> Iterator[tuple[int, str]]:
    """Functions of a file and the names that they look up at run time."""
    yield from ((each.node, each.text) for each in summary.passed if each.imported in LOOKS_UP and each.text)
    yield from ((text.node, text.text) for text in summary.texts if is_looked_up(text.text))
    if "_rtld_global" in summary.exports and summary.entry >= 0:
        yield summary.entry, _CALLED_BY_LOADER


def asked_of_services(summary: Summary) -> Iterator[tuple[int, str]]:
    """Functions of a file and the bare names of what they have name services do, see `Summary.services`."""
    yield from ((text.node, text.text) for text in summary.texts if is_served(text.text))
