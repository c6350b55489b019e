"""Constant strings of a file that name a folder, in which a program that loads modules may have them."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from binsafe.formats.structure import let_go, matches
from binsafe.limits import MAX_NAMED_FOLDERS
from binsafe.model import Segment, Slice


class Folder(NamedTuple):
    """A folder, and what of it may be modules of a program; ``whole`` is whether there is no more of them."""

    path: str
    modules: tuple[str, ...]
    whole: bool


_NAMED = re.compile(rb"/(?:usr/(?:local/)?)?lib(?:32|64|exec)?/[\w.+@~/-]{1,200}", re.ASCII)
"""A path below the folders in which systems keep code: File System Hierarchy 3.0, 3.9, 4.6, 4.7 and 4.9."""
_BOUNDS = b"\0:; "
"""What stands before and behind a path, if anything: it is a string, or one of a list (``PATH``, Lua's, Tcl's)."""
_PATTERN = b"%*?["
"""What stands where a file's name will be put (printf(3), glob(7)): its folder is meant."""

_MOST = 100_000
"""What looks like a path that is looked at in one segment: half a second; the largest programs have some thousands."""


def folders(slice_: Slice) -> tuple[str, ...]:
    """Their paths, each once and in order, and what looks like one; of a file with very many of them the first."""
    found: dict[str, None] = {}
    for segment in slice_.segments:
        for path in () if segment.writable else _paths(slice_, segment):
            found[path] = None
            if len(found) == MAX_NAMED_FOLDERS:
                return tuple(found)
    return tuple(found)


def _paths(slice_: Slice, segment: Segment) -> Iterator[str]:
    data = slice_.data[segment.offset : segment.offset + segment.file_size]
    for match in islice(matches(data, _NAMED), _MOST):
        before = bytes(data[max(0, match.start() - 1) : match.start()])
        behind = bytes(data[match.end() : match.end() + 1])
        path = match[0].decode()
        if before not in _BOUNDS:
            continue
        if behind in _BOUNDS:
            yield path.rstrip("/")
        elif behind in _PATTERN:
            yield path.rpartition("/")[0]
    let_go(data)
