"""Mounts (linux/mount.h)."""

from __future__ import annotations

import ctypes
import os
import struct

from binsafe.kernel.calls import check, libc, numbered, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x4_0000
MNT_DETACH: Final = 0x2
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
MOUNT_ATTR_IDMAP: Final = 0x0010_0000
AT_EMPTY_PATH: Final = 0x1000
AT_FDCWD: Final = -100
AT_RECURSIVE: Final = 0x8000
OPEN_TREE_CLONE: Final = 1
MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_SYS_OPEN_TREE: Final = 428
_SYS_MOVE_MOUNT: Final = 429
_SYS_MOUNT_SETATTR: Final = 442


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a file system, or change a mount as mount(2) says."""
    check(
        libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode()),
        f"mount {target}",
    )


def mount_setattr(target: str, attributes: int) -> None:
    """Set MOUNT_ATTR_* flags on a mount and all below it, keeping those that are locked (Linux 5.12)."""
    attr = struct.pack("=4Q", attributes, 0, 0, 0)
    syscall(
        _SYS_MOUNT_SETATTR,
        f"mount_setattr {target}",
        ctypes.c_int(AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(AT_RECURSIVE),
        attr,
        ctypes.c_size_t(len(attr)),
    )


def map_ids(tree: int, namespace: int, flags: int = 0) -> None:
    """Let a detached mount show its owners as a user namespace maps them (Linux 5.12).

    ``AT_RECURSIVE`` among the flags means all mounts below it as well, or none.
    """
    attr = struct.pack("=4Q", MOUNT_ATTR_IDMAP, 0, 0, namespace)
    syscall(
        _SYS_MOUNT_SETATTR,
        "mount_setattr",
        ctypes.c_int(tree),
        b"",
        ctypes.c_uint(AT_EMPTY_PATH | flags),
        attr,
        ctypes.c_size_t(len(attr)),
    )


def open_tree(path: str) -> int:
    """A detached copy of the mounts at and below ``path`` (Linux 5.2), to be placed when ``path`` is out of sight."""
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC
    return syscall(_SYS_OPEN_TREE, f"open_tree {path}", ctypes.c_int(AT_FDCWD), os.fsencode(path), ctypes.c_uint(flags))


def move_mount(tree: int, target: str) -> None:
    """Place what :func:`open_tree` took."""
    syscall(
        _SYS_MOVE_MOUNT,
        f"move_mount {target}",
        ctypes.c_int(tree),
        b"",
        ctypes.c_int(AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH),
    )


def pivot_root_here() -> None:
    """Make the current folder the root and let go of the old one (the ``pivot_root(".", ".")`` form)."""
    numbered("pivot_root", b".", b".")
    check(libc.umount2(b".", ctypes.c_int(MNT_DETACH)), "umount2")
    os.chdir("/")
