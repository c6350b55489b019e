"""What glibc does at run time by name: which of its functions matter to callers, what it loads and looks up by itself.

Each rule names the source that it was read from. Names in a file are its own word: one that lies about them is only
denied the calls that it hides.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import count, takewhile
from types import MappingProxyType

from binsafe.formats.structure import find_all, matches
from binsafe.model import Slice

LOADS_LIBRARIES = ("dlopen", "dlmopen")
NEW_NAMESPACE = "dlmopen"
"""Loads what may be there already once more, and binds it among itself."""
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

ENDING = frozenset({"__assert_fail", "__libc_fatal"})
"""What glibc's ``libpthread`` (up to 2.33) calls of its ``libc`` to end the program, with a number in a register. Of
other files such names are not believed; and where another file than its ``libc`` defines them no list is complete.
"""
THREADS = "libpthread.so.0"
"""That library by its own name."""

NSCD = "/var/run/nscd/socket"
"""Where glibc asks for users and hosts first (``nscd/nscd-client.h``)."""

_SERVICE_FUNCTIONS = r"(?:get|set|end)[a-z0-9]{1,30}(?:_r)?|initgroups_dyn|netname2user"
"""What a name service is asked for (``nss/nsswitch.c``)."""
_SERVICE = re.compile(rf"_nss_\w+_({_SERVICE_FUNCTIONS})")
_SERVICES = "libnss_%s.so%s"
_STATIC_SERVICES = re.compile(rb"libnss_%s\.so")
_USUAL_SERVICES = frozenset({"files", "dns"})
_SERVED = re.compile(_SERVICE_FUNCTIONS)
_LOOKED_UP = re.compile(r"_Unwind_\w{1,40}|__gcc_personality_v0|idn2_\w{1,40}")
_ASKED_IN_BYTES = re.compile(f"({_SERVED.pattern}|{_LOOKED_UP.pattern})\0".encode())
ASKED_BEGIN = (b"get", b"set", b"end", b"initgroups_dyn", b"netname2user", b"_Unwind_", b"__gcc_personality", b"idn2_")
_ASKING = (b"\0libnss_%s", b"\0libgcc_s.so", b"\0__nss_lookup_function\0")
_ENTRY, _ENTRIES = 19, 32
"""Bytes of an entry of glibc's table of names, which are as long as the longest; at least so many of about 60."""
_VECTOR = 16
_KNOWN_LIBRARIES = ("libnss_", "libgcc_s.so.", "libidn2.so.")


def service_function(exported: str) -> str | None:
    """The bare name of a name service's function: ``getpwnam_r`` of ``_nss_systemd_getpwnam_r``."""
    match = _SERVICE.fullmatch(exported) if exported.startswith("_nss_") else None
    return None if match is None else match[1]


def is_static_glibc(data: memoryview) -> bool:
    """Whether a static program is glibc's: the start-up code reads its tunables (``elf/dl-tunables.c``)."""
    return next(find_all(data, b"GLIBC_TUNABLES\0"), None) is not None


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


def is_looked_up(text: str) -> bool:
    """Whether a string is one of `names_asked_for` that is looked up as it is."""
    return _LOOKED_UP.fullmatch(text) is not None


def is_served(text: str) -> bool:
    """Whether a string is one of `names_asked_for` that becomes a part of a name: ``_nss_SERVICE_NAME``."""
    return _SERVED.fullmatch(text) is not None


def names_asked_for(data: memoryview | bytes, begins: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Offset and text of each string that is a name which glibc looks up in the libraries that it loads by itself.

    Of a name service the database functions, of which it is told the bare name (``nss/nsswitch.c``,
    ``__nss_lookup_function``); of the unwinder (``misc/unwind-link.c``) and of IDN (``inet/idna.c``) the whole name.
    ``begins`` is where one could begin.
    """
    matches = (_ASKED_IN_BYTES.match(data, at) for at in begins)
    yield from ((match.start(), match[1].decode()) for match in matches if match is not None)


def table_of_names(offsets: AbstractSet[int]) -> set[int]:
    """Those of the offsets of names at which entries of glibc's own table stand, ``nss_function_name_array``.

    By it all functions of a service are looked up as soon as that is loaded (``nss/nss_module.c``). Called are those
    that a caller names, in a string of its own (``__nss_lookup_function``). The table is known by its many entries.
    """
    found: set[int] = set()
    for first in (offset for offset in offsets if offset - _ENTRY not in offsets):
        entries = list(takewhile(offsets.__contains__, count(first, _ENTRY)))
        found.update(entries if len(entries) >= _ENTRIES else ())
    return found


def begins_of_names(data: bytes) -> list[int]:
    """All offsets at which one could begin: twenty times as fast as the pattern."""
    return sorted(at for word in ASKED_BEGIN for at in _places(data, word))


def _places(data: bytes, word: bytes) -> Iterator[int]:
    at = -1
    while (at := data.find(word, at + 1)) >= 0:
        yield at


def places(data: memoryview) -> Iterator[tuple[int, str]]:
    """Offset and text of each path by which a condition (`binsafe.syscalls.linking.known_libraries`) knows a function.

    Copied by a compiler the string stands there in pieces of one vector register.
    """
    return ((at, NSCD) for at in find_all(data, NSCD.encode()[:_VECTOR]))


def asks_for_names(slice_: Slice) -> bool:
    """Whether a file looks such names up: the C library, and services that ask other services, as ``compat`` does."""
    return any(next(find_all(slice_.data, name), None) is not None for name in _ASKING)


def asks_by_name(library: str) -> bool:
    """Whether of a library that glibc loads by itself nothing is used but `names_asked_for`."""
    return library.startswith(_KNOWN_LIBRARIES)


def loads_services(data: memoryview) -> bool:
    """Whether a static program loads libraries nevertheless: glibc's name services, see `binsafe.syscalls.services`."""
    return next(matches(data, _STATIC_SERVICES), None) is not None
