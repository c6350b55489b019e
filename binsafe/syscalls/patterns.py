"""What the walk cannot find in the code and its source says: numbers that go through memory, libraries by habit.

Each rule names the source that it was read from. Names in a file are its own word: one that lies about them is only
denied the calls that it hides.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from binsafe.formats.structure import find_all
from binsafe.model import Slice
from binsafe.syscalls.summary import SERVICE_FUNCTIONS, Export, Summary

if TYPE_CHECKING:
    from binsafe.syscalls.program import Program
    from binsafe.syscalls.wrappers import Gap

LOADS_LIBRARIES = ("dlopen", "dlmopen")
LOOKS_UP = ("dlsym", "dlvsym")
WATCHED: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "syscall": (0,),
        "dlopen": (0,),
        "dlmopen": (1,),
        "dlsym": (1,),
        "dlvsym": (1,),
        "posix_spawnattr_setflags": (1,),
    }
)
"""Imported functions -> which of their arguments matter."""

NSCD = "/var/run/nscd/socket"
"""Where glibc asks for users and hosts first (``nscd/nscd-client.h``)."""

COVERED: Mapping[str, str] = MappingProxyType(
    {
        "runtime.runPerThreadSyscall": (
            "repeats on every thread the call that syscall.runtime_doAllThreadsSyscall left in memory. "
            "That function is the only writer, and makes the same call itself first, with the number that it is given: "
            "the walk from there finds every such number. Where it is not linked the memory stays zero and nothing "
            "ever asks for the repetition (Go, runtime/os_linux.go)"
        ),
    }
)
"""Go function -> why the numbers it uses are all found elsewhere."""

_SETXID = frozenset(
    {"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "pthread_create"}
)

_SERVICES = "libnss_%s.so%s"
_STATIC_SERVICES = re.compile(rb"libnss_%s\.so")
_USUAL_SERVICES = frozenset({"files", "dns"})
_ASKED_BY_NAME = re.compile(rf"{SERVICE_FUNCTIONS}|_Unwind_\w{{1,40}}|__gcc_personality_v0|idn2_\w{{1,40}}")
_ASKED_IN_BYTES = re.compile(b"(" + _ASKED_BY_NAME.pattern.encode() + b")\0")
ASKED_BEGIN = (b"get", b"set", b"end", b"initgroups_dyn", b"netname2user", b"_Unwind_", b"__gcc_personality", b"idn2_")
_ASKING = re.compile(rb"\0(?:libnss_%s|libgcc_s\.so|__nss_lookup_function\0)")
LISTED = 8
"""A function that refers to so many functions of name services calls none of them."""
_VECTOR = 16
_KNOWN_LIBRARIES = ("libnss_", "libgcc_s.so.", "libidn2.so.")


def is_covered(program: "Program", gap: "Gap") -> bool:
    """Whether the numbers that are missing here are known to be found elsewhere."""
    return program.go_name(gap.address) in COVERED


def is_c_library(summary: Summary) -> bool:
    """Whether a file is glibc's libc."""
    return "__libc_start_main" in summary.names


def is_static_glibc(data: memoryview) -> bool:
    """Whether a static program is glibc's: the start-up code reads its tunables (``elf/dl-tunables.c``)."""
    return next(find_all(data, b"GLIBC_TUNABLES\0"), None) is not None


def has_calls_beside(exports: Iterable[Export]) -> bool:
    """Whether a file is of glibc, whose code has the call beside each use of the vDSO (``sysdeps/unix/sysv/linux``)."""
    return any(export.name in {"__libc_start_main", "_rtld_global"} for export in exports)


def covered(summary: Summary) -> frozenset[int]:
    """Functions of the C library that repeat on every thread the ``setuid`` of one of them.

    ``__nptl_setxid`` (glibc, ``nptl/nptl_setxid.c``) is called by ``setuid`` and its like with the number in memory;
    each of those also makes the call itself, so the numbers are found there. The handler that repeats it on the other
    threads is installed by ``pthread_create``.
    """
    if not is_c_library(summary):
        return frozenset()
    setters = {export.first for export in summary.exports if export.name in _SETXID}
    repeating = {gap.node for gap in summary.gaps}
    return frozenset(target for source, target in summary.edges() if target in repeating and source in setters)


def loaded_by_c_library(texts: Iterable[str], services: Iterable[str]) -> set[str]:
    """Libraries that glibc loads by itself, of which live code mentions the name.

    The unwinder for ``pthread_exit`` and ``backtrace``, IDN for ``getaddrinfo``, and the name ``services`` that are
    configured or built in (``nss/nss_module.c``). Modules of ``iconv`` are left out: they call nothing but ``malloc``,
    ``free`` and what reports errors.
    """
    found = {text for text in texts if text.startswith("lib") and "%" not in text and text != "libc.so.6"}
    return found | (configured(services) if _SERVICES in texts else set())


def configured(services: Iterable[str]) -> set[str]:
    """The libraries of name services that are configured, or built in."""
    return {f"libnss_{name}.so.2" for name in (*services, *_USUAL_SERVICES)}


def names_asked_for(data: bytes, begins: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Offset and text of each string that is a name which glibc looks up in the libraries that it loads by itself.

    Of a name service the database functions, of which it is told the bare name (``nss/nsswitch.c``,
    ``__nss_lookup_function``); of the unwinder (``misc/unwind-link.c``) and of IDN (``inet/idna.c``) the whole name.
    ``begins`` is where one could begin.
    """
    matches = (_ASKED_IN_BYTES.match(data, at) for at in begins)
    yield from ((match.start(), match[1].decode()) for match in matches if match is not None)


def begins_of_names(data: bytes) -> list[int]:
    """All offsets at which one could begin: twenty times as fast as the pattern."""
    return sorted(at for word in ASKED_BEGIN for at in _places(data, word))


def _places(data: bytes, word: bytes) -> Iterator[int]:
    at = -1
    while (at := data.find(word, at + 1)) >= 0:
        yield at


def places(data: bytes) -> Iterator[tuple[int, str]]:
    """Offset and text of each path by which a condition (`binsafe.syscalls.habits`) knows a function.

    Copied by a compiler the string stands there in pieces of one vector register.
    """
    at = -1
    while (at := data.find(NSCD.encode()[:_VECTOR], at + 1)) >= 0:
        yield at, NSCD


def asks_for_names(slice_: Slice) -> bool:
    """Whether a file looks such names up: the C library, and services that ask other services, as ``compat`` does."""
    return _ASKING.search(slice_.data) is not None


def asked(summary: Summary) -> Iterator[tuple[int, str]]:
    """Functions of a file and the names that they look up at run time."""
    yield from ((each.node, each.text) for each in summary.passed if each.imported in LOOKS_UP and each.text)
    yield from ((text.node, text.text) for text in summary.texts if _ASKED_BY_NAME.fullmatch(text.text))


def asks_by_name(library: str) -> bool:
    """Whether of a library that glibc loads by itself nothing is used but `names_asked_for`."""
    return library.startswith(_KNOWN_LIBRARIES)


def loads_services(data: memoryview) -> bool:
    """Whether a static program loads libraries nevertheless: glibc's name services, see `binsafe.syscalls.services`."""
    return _STATIC_SERVICES.search(data) is not None
