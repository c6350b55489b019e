"""The system calls that name a file, and which of their arguments do."""

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from binsafe.model import Condition

WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
"""The flags of open(2) that may change something."""


class Way(NamedTuple):
    """How a call goes about a file."""

    writes: bool
    opens: bool
    asks_to_write: bool
    entry: bool
    """As of `PathCall`."""


class PathCall(NamedTuple):
    """Where a call has its path and the folder that it starts from, and whether it changes something."""

    path: int
    folder: int | None = None
    writes: bool = False
    flags: int | None = None
    """The argument with open(2)'s flags, which say whether it writes."""
    mode: int | None = None
    """The argument with the mode of what is made or changed."""
    asks: int | None = None
    """The argument with access(2)'s mode."""
    buffer: int | None = None
    """The argument with the place for what a link says; that with its size follows."""
    makes: bool = False
    """Whether it only makes what is not there: where something is, it fails for everybody (mkdir -p counts on it)."""
    entry: bool = False
    """Whether it takes a name out of its folder, or puts another file under it."""
    looks: bool = False
    """Whether it only asks what is there."""
    source: "PathCall | None" = None
    """The other name of two: that which it takes out of its folder."""

    def way(self, arguments: Sequence[int]) -> Way:
        """How a call with these arguments goes about its file."""
        flags = arguments[self.flags] if self.flags is not None else 0
        return Way(
            writes=self.writes or bool(flags & WRITING),
            opens=self.flags is not None and not flags & os.O_PATH,
            asks_to_write=self.asks is not None and bool(arguments[self.asks] & os.W_OK),
            entry=self.entry,
        )


PATH_CALLS: Final[Mapping[str, PathCall]] = {
    "open": PathCall(0, flags=1, mode=2),
    "openat": PathCall(1, 0, flags=2, mode=3),
    "openat2": PathCall(1, 0),
    "creat": PathCall(0, writes=True, mode=1),
    "stat": PathCall(0, looks=True),
    "lstat": PathCall(0, looks=True),
    "newfstatat": PathCall(1, 0, looks=True),
    "statx": PathCall(1, 0, looks=True),
    "access": PathCall(0, asks=1),
    "faccessat": PathCall(1, 0, asks=2),
    "faccessat2": PathCall(1, 0, asks=2),
    "readlink": PathCall(0, buffer=1),
    "readlinkat": PathCall(1, 0, buffer=2),
    "chdir": PathCall(0),
    "statfs": PathCall(0),
    "mkdir": PathCall(0, writes=True, makes=True),
    "mkdirat": PathCall(1, 0, writes=True, makes=True),
    "rmdir": PathCall(0, writes=True, entry=True),
    "unlink": PathCall(0, writes=True, entry=True),
    "unlinkat": PathCall(1, 0, writes=True, entry=True),
    "rename": PathCall(1, writes=True, entry=True, source=PathCall(0, writes=True, entry=True)),
    **dict.fromkeys(
        ("renameat", "renameat2"),
        PathCall(3, 2, writes=True, entry=True, source=PathCall(1, 0, writes=True, entry=True)),
    ),
    "link": PathCall(1, writes=True),
    "linkat": PathCall(3, 2, writes=True),
    "symlink": PathCall(1, writes=True),
    "symlinkat": PathCall(2, 1, writes=True),
    "chmod": PathCall(0, writes=True, mode=1),
    "fchmodat": PathCall(1, 0, writes=True, mode=2),
    "fchmodat2": PathCall(1, 0, writes=True, mode=2),
    "chown": PathCall(0, writes=True),
    "lchown": PathCall(0, writes=True),
    "fchownat": PathCall(1, 0, writes=True),
    "truncate": PathCall(0, writes=True),
    "utimensat": PathCall(1, 0, writes=True),
    "utime": PathCall(0, writes=True),
    "utimes": PathCall(0, writes=True),
    **dict.fromkeys(("setxattr", "lsetxattr", "removexattr", "lremovexattr"), PathCall(0, writes=True)),
    "mknod": PathCall(0, writes=True, mode=1),
    "mknodat": PathCall(1, 0, writes=True, mode=2),
}
"""The calls whose path is looked at (the new name, where there are two)."""

_NAMING: Final = "open openat creat access faccessat faccessat2 mkdir mkdirat chdir"
_IS_OPEN: Final = 1 << 31
"""The sign of a descriptor: AT_FDCWD is negative, an open folder's number is not."""

_NO_FOLLOW: Final = 0x100
"""AT_SYMLINK_NOFOLLOW (fcntl.h)."""


def _by_descriptor(call: PathCall) -> tuple[tuple[Condition, ...], ...]:
    return () if call.folder is None else ((Condition(argument=call.folder, mask=_IS_OPEN, values=(0,)),),)


Forms = Mapping[str, tuple[tuple[Condition, ...], ...]]
"""Call -> the forms of it that are not looked at."""

UNNAMED: Final[Forms] = MappingProxyType({name: _by_descriptor(PATH_CALLS[name]) for name in _NAMING.split()})
"""... where whole folders are granted: programs that go through thousands of files start at open folders, and ask for
what files are; data and settings are opened by their names."""

CHANGES: Final[Forms] = MappingProxyType(
    {
        **{name: () for name, call in PATH_CALLS.items() if call.writes},
        "openat": tuple((*tests, Condition(argument=2, mask=WRITING, values=(0,))) for tests in UNNAMED["openat"]),
    }
)
"""... there, where nothing at all may be written: each attempt is refused, and none is let through for speed (tar)."""

ENTRIES: Final[Forms] = MappingProxyType({name: () for name, call in PATH_CALLS.items() if call.entry})
"""... there, where a file that may be written, or what lies in such a folder, keeps its place: the kernel says only
that it is busy."""

LINKS: Final[Forms] = MappingProxyType({name: _by_descriptor(PATH_CALLS[name]) for name in ("readlink", "readlinkat")})
"""... there, where other programs may be executed, of which each asks what its own file is."""

SEARCHES: Final[Forms] = MappingProxyType(
    {
        "stat": (),
        **{
            name: (
                *_by_descriptor(PATH_CALLS[name]),
                (Condition(argument=flags, mask=_NO_FOLLOW, values=(_NO_FOLLOW,)),),
            )
            for name, flags in (("newfstatat", 3), ("statx", 2))
        },
    }
)
"""... there, of a program that starts others: a shell asks what there is on its PATH before it executes that, and by
links; who goes through folders follows none."""
