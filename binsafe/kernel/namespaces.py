"""Leaving namespaces for new ones (linux/sched.h)."""

from __future__ import annotations

import ctypes

from binsafe.kernel.calls import check, libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

CLONE_FILES: Final = 0x0000_0400
CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWCGROUP: Final = 0x0200_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000
NAMESPACES: Final = (
    CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
)


def unshare(flags: int) -> None:
    """Leave the namespaces named by CLONE_NEW* flags for new, empty ones."""
    check(libc.unshare(ctypes.c_int(flags)), "unshare")


def sethostname(name: str) -> None:
    """Name the host, as seen in our UTS namespace."""
    check(libc.sethostname(name.encode(), ctypes.c_size_t(len(name))), "sethostname")
