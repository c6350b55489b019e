"""The bits of a file's mode by which it runs as its owner or group, whoever starts it (inode(7))."""

import stat


def set_id(mode: int, user: object = None, group: object = None) -> str | None:
    """``user 0 and group 42``, or "its owner" where nobody says who that is; None for a plain mode.

    A set-group-ID bit without the right to execute is no such thing: old systems lock such files.
    """
    parts = []
    if mode & stat.S_ISUID:
        parts.append("its owner" if user is None else f"user {user}")
    if mode & stat.S_ISGID and mode & stat.S_IXGRP:
        parts.append("its group" if group is None else f"group {group}")
    return " and ".join(parts) or None
