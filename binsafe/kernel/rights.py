"""What each version of Landlock can deny: a fixed list, taken from linux/landlock.h and its userspace-api document.

Met with the host's ABI: never "all that this kernel knows", which would change a policy's meaning with the kernel.
"""

from collections.abc import Mapping
from enum import IntFlag
from types import MappingProxyType
from typing import Final

import msgspec


class Fs(IntFlag):
    """``LANDLOCK_ACCESS_FS_*``."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


class Net(IntFlag):
    """``LANDLOCK_ACCESS_NET_*``."""

    BIND_TCP = 1 << 0
    CONNECT_TCP = 1 << 1


class Scope(IntFlag):
    """``LANDLOCK_SCOPE_*``."""

    ABSTRACT_UNIX_SOCKET = 1 << 0
    SIGNAL = 1 << 1


class AbiRights(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of the interface can deny."""

    fs: Fs
    net: Net = Net(0)
    scope: Scope = Scope(0)

    @property
    def masks(self) -> tuple[int, ...]:
        """The masks of ``struct landlock_ruleset_attr`` as long as this version knows it: 8, 16 or 24 bytes."""
        length = 1 if not self.net else 2 if not self.scope else 3
        return (int(self.fs), int(self.net), int(self.scope))[:length]


_FS_1 = Fs((1 << 13) - 1)
_FS_2 = _FS_1 | Fs.REFER
_FS_3 = _FS_2 | Fs.TRUNCATE
_FS_5 = _FS_3 | Fs.IOCTL_DEV
_NET_4 = Net.BIND_TCP | Net.CONNECT_TCP
_SCOPE_6 = Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL

ABI_RIGHTS: Final[Mapping[int, AbiRights]] = MappingProxyType(
    {
        1: AbiRights(fs=_FS_1),  # Linux 5.13
        2: AbiRights(fs=_FS_2),  # 5.19
        3: AbiRights(fs=_FS_3),  # 6.2
        4: AbiRights(fs=_FS_3, net=_NET_4),  # 6.7
        5: AbiRights(fs=_FS_5, net=_NET_4),  # 6.10
        6: AbiRights(fs=_FS_5, net=_NET_4, scope=_SCOPE_6),  # 6.12
        7: AbiRights(fs=_FS_5, net=_NET_4, scope=_SCOPE_6),  # 6.15: adds logging, no rights
    }
)
LATEST: Final = max(ABI_RIGHTS)

FILE_RIGHTS: Final = Fs.EXECUTE | Fs.WRITE_FILE | Fs.READ_FILE | Fs.TRUNCATE | Fs.IOCTL_DEV
"""The rights that make sense below a path that is no directory; the kernel answers EINVAL to any other there."""
