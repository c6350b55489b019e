"""How the calls of a processor's programs are named and made, as far as summaries speak of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from binsafe.syscalls.tables import numbers

_NEVER_IN_THE_CODE = (
    "restart_syscall",  # the kernel puts it in place of a sleep or poll that a stop and continue interrupted
    "rt_sigreturn",  # on arm64 signal handlers return to the vDSO, whose code makes it
)
"""More of such calls depend on what the program asks the kernel's code for, see `binsafe.syscalls.vdso`."""


class Convention(NamedTuple):
    """One processor's."""

    arch: str
    abi: str
    arguments: tuple[str, ...]
    """The registers of a function's first arguments, in order."""

    def implied(self) -> set[str]:
        """Names of the calls that every program can make, whatever its code is."""
        return set(_NEVER_IN_THE_CODE) & numbers(self.arch).keys()


CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        "x86_64": Convention("x86_64", "linux-x86_64", ("rdi", "rsi", "rdx", "rcx", "r8", "r9")),
        "arm64": Convention("arm64", "linux-aarch64", tuple(f"x{n}" for n in range(8))),
    }
)
