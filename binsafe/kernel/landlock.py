"""Landlock (linux/landlock.h)."""

from __future__ import annotations

import ctypes
import os
import struct

from binsafe.kernel.calls import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

LANDLOCK_CREATE_RULESET_VERSION: Final = 1
LANDLOCK_RULE_PATH_BENEATH: Final = 1
_SYS_LANDLOCK_CREATE_RULESET: Final = 444
_SYS_LANDLOCK_ADD_RULE: Final = 445
_SYS_LANDLOCK_RESTRICT_SELF: Final = 446


def landlock_abi() -> int:
    """The version of Landlock that this kernel offers; 0 where it offers none."""
    try:
        return syscall(
            _SYS_LANDLOCK_CREATE_RULESET,
            "landlock_create_ruleset",
            None,
            ctypes.c_size_t(0),
            ctypes.c_uint(LANDLOCK_CREATE_RULESET_VERSION),
        )
    except OSError:
        return 0


def landlock_restrict(handled: Iterable[int], rules: Iterable[tuple[str, int]]) -> None:
    """Confine this thread: ``handled`` are the masks (fs, net, scoped) of the kernel's ABI, ``rules`` (path, rights).

    The attribute is passed at the length that the given masks have: an older kernel refuses fields it does not know.
    """
    attr = b"".join(struct.pack("=Q", mask) for mask in handled)
    ruleset = syscall(
        _SYS_LANDLOCK_CREATE_RULESET,
        "landlock_create_ruleset",
        attr,
        ctypes.c_size_t(len(attr)),
        ctypes.c_uint(0),
    )
    try:
        for path, rights in rules:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = struct.pack("=Qi", rights, descriptor)
                syscall(
                    _SYS_LANDLOCK_ADD_RULE,
                    f"landlock_add_rule {path}",
                    ctypes.c_int(ruleset),
                    ctypes.c_int(LANDLOCK_RULE_PATH_BENEATH),
                    rule,
                    ctypes.c_uint(0),
                )
            finally:
                os.close(descriptor)
        syscall(_SYS_LANDLOCK_RESTRICT_SELF, "landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)
