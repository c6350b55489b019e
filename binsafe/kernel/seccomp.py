"""Installing filters (linux/seccomp.h)."""

from __future__ import annotations

import ctypes
import struct

from binsafe.kernel.calls import numbered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SECCOMP_SET_MODE_FILTER: Final = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER: Final = 1 << 3
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: Final = 1 << 5


def seccomp_install(program: bytes) -> int:
    """Install a classic BPF filter on this thread and return the descriptor its notifications are read from.

    A caught signal must not restart a call that waits for its answer (Go preempts with SIGURG), hence WAIT_KILLABLE
    (Linux 5.19).
    """
    return _set_filter(program, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)


def seccomp_confine(program: bytes) -> None:
    """Install a filter on this thread that decides alone."""
    _set_filter(program, 0)


def _set_filter(program: bytes, flags: int) -> int:
    """Not with SPEC_ALLOW: since 5.16 a filter slows speculation down only where the administrator wants it so."""
    instructions = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    return numbered("seccomp", ctypes.c_uint(SECCOMP_SET_MODE_FILTER), ctypes.c_uint(flags), fprog)
