"""What a process may never do again: attributes (linux/prctl.h) and capabilities."""

from __future__ import annotations

import ctypes
import struct

from binsafe.kernel.calls import check, libc, numbered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_LINUX_CAPABILITY_VERSION_3: Final = 0x2008_0522
_MAX_CAPABILITIES: Final = 64


def prctl(option: int, argument: int) -> int:
    """Set one attribute of this process that takes one argument as prctl(2) says."""
    zero = ctypes.c_ulong(0)
    result = libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), zero, zero, zero)
    return check(result, f"prctl {option}")


def drop_bounding_set() -> None:
    """Empty the bounding set of this thread, as far as it may (it needs CAP_SETPCAP)."""
    for capability in range(_MAX_CAPABILITIES):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # EINVAL: past the last capability that this kernel knows


def drop_capabilities() -> None:
    """Empty all five capability sets of this thread, the bounding set first."""
    drop_bounding_set()
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    numbered("capset", header, bytes(24))
