"""Who owns a file: files of the system may share a parser, every other file gets one of its own.

Whoever can write where only root can controls the machine already, and needs no crafted file for that.
"""

import stat
from pathlib import Path

_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/")


def is_systems_own(path: str) -> bool:
    """Whether only root can have put a file of this system where it is."""
    if not path.startswith(_SYSTEM):
        return False
    try:
        on_the_way = [each.stat(follow_symlinks=False) for each in (Path(path), *Path(path).parents)]
    except OSError:
        return False
    return all(each.st_uid == 0 and not each.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for each in on_the_way)
