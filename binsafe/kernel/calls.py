"""One system call through the C library: each raises OSError where it fails. Constants are the kernel's."""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# Numbers of calls that Debian 12's libc has no function for, by machine; those of 424 and up are the same on all.
_BY_MACHINE: Final = {
    "x86_64": {"pivot_root": 155, "seccomp": 317, "capset": 126},
    "aarch64": {"pivot_root": 41, "seccomp": 277, "capset": 91},
}

libc: Final = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """The result, unless it says that the call failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def syscall(number: int, what: str, *arguments: object) -> int:
    """A call by its number."""
    return check(libc.syscall(ctypes.c_long(number), *arguments), what)


def numbered(name: str, *arguments: object) -> int:
    """A call whose number differs between processors."""
    machine = os.uname().machine
    if machine not in _BY_MACHINE:
        raise OSError(38, f"no system-call numbers for {machine}", name)
    return syscall(_BY_MACHINE[machine][name], name, *arguments)
