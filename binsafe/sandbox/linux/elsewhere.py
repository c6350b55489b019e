"""Looking for files on the host without a word to another machine: the names are the program's, which has no network.

Behind some mounts each name that is looked for is a question to somebody: autofs (`/net/HOST` mounts what that host
offers), AFS (cells are asked for in the DNS), and all of FUSE. There nothing is looked at, and anything may exist.
"""

import os
import posixpath
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from binsafe.paths import is_inside

SEARCHED: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where shells and libraries look for a program that is named without its folder, one after the other."""

_ASKING: Final = re.compile(r"autofs|afs|fuse(\.(?!fuse-overlayfs$).*)?")
"""Types of mounts; fuseblk is a disk, and fuse-overlayfs a container's own files, its whole root among them."""

_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
"""Spaces and the like."""

_MAX_STEPS: Final = 4096
"""Names on the way to one file, links followed."""


def parse_mounts(table: str) -> dict[str, str]:
    """Where something is mounted -> the type of what is on top there (proc(5), mountinfo)."""
    found = {}
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[4])
        found[point] = after.split(" ")[0]
    return found


@lru_cache(maxsize=1)
def _mounts(second: int) -> Mapping[str, str]:
    """As they are now; ``second`` says when that is."""
    del second
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        return parse_mounts(stream.read())


def leaves(path: str, root: str = "/") -> str | None:
    """Where the way to a file goes on elsewhere, links followed up to there; None where all of it is on this machine.

    ``root`` is the folder that the path begins in. Links lead where they lead us.
    """
    mounts = _mounts(int(time.monotonic()))
    asking = [point for point, kind in mounts.items() if _ASKING.fullmatch(kind)]
    waiting, place = path.split("/")[::-1], root
    for _ in range(_MAX_STEPS if asking else 0):
        if not waiting:
            return None
        name = waiting.pop()
        if name in ("", "."):
            continue
        place = posixpath.dirname(place) if name == ".." else posixpath.join(place, name)
        if is_inside(place, *asking):
            nearest = max((point for point in mounts if is_inside(place, point)), key=len)
            if nearest in asking:
                return posixpath.normpath(posixpath.join(place, *waiting[::-1]))
        if target := _target(place):
            waiting += target.split("/")[::-1]
            place = "/" if target.startswith("/") else posixpath.dirname(place)
    return path if asking else None


def _target(path: str) -> str:
    """Where a link leads; empty for what is none, or another user's (in /proc)."""
    try:
        return os.readlink(path) if os.path.islink(path) else ""
    except OSError:
        return ""


def may_exist(path: str) -> bool:
    """Whether something is there; also where we ourselves cannot see that, because it is another user's."""
    if leaves(path) is not None:
        return True
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


def is_file(path: str) -> bool:
    """Whether it is a file of this machine's."""
    return leaves(path) is None and os.path.isfile(path)
