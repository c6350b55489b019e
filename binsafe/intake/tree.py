"""A tree of files in which names are looked up as a program that has it for its root would see them.

With ``/`` that is this system. With another folder (``--root``) absolute links and ``..`` stay inside of it, so that a
file system made elsewhere never leads to a file of ours.
"""

import contextlib
import errno
import mmap
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from binsafe.limits import MAX_ARTIFACT_BYTES

_MAX_LINKS = 40
"""Links that one look-up follows: what Linux does (``MAXSYMLINKS`` of ``include/linux/namei.h``)."""
_MAX_TEXT = 1024 * 1024
_NOT_FILES = frozenset({"/proc", "/sys", "/dev"})
"""Nothing there is a library: what a file name in a program leads to is the kernel's own state."""


class Tree:
    """Read-only look-ups below one folder. Paths are absolute, as seen inside."""

    def __init__(self, root: Path | None = None) -> None:
        """The tree below ``root``; this system's own without one."""
        self._root = "" if root is None else str(root.resolve()).rstrip("/")

    def inside(self, path: Path) -> str | None:
        """What a path of this system is called inside; None outside."""
        whole = str(path)
        return whole[len(self._root) :] or "/" if f"{whole}/".startswith(f"{self._root}/") else None

    def resolve(self, path: str) -> str | None:
        """The path with all links followed; None where there is nothing, or only the kernel's own state."""
        rest, done = _parts(path)[::-1], [""]
        links = 0
        while rest:
            part = rest.pop()
            if part == "..":
                done = done[:-1] or [""]
                continue
            here = "/".join([*done, part])
            if here in _NOT_FILES:
                return None
            try:
                target = os.readlink(self._root + here)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    return None
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                return None
            if target.startswith("/"):
                done = [""]
            rest += _parts(target)[::-1]
        return "/".join(done) or "/"

    def exists(self, path: str) -> bool:
        """Whether anything is at a path; where we may not look, it is taken to be there."""
        if self.resolve(path) is not None:
            return True
        folder = path.rpartition("/")[0]
        while folder and self.resolve(folder) is None:
            folder = folder.rpartition("/")[0]
        return not os.access(self._root + (self.resolve(folder or "/") or "/"), os.X_OK)

    def map(self, path: str) -> mmap.mmap | None:
        """The bytes of a regular file at a resolved path, mapped for reading; None for all else, and for no bytes.

        It is opened without waiting (a FIFO) and without following (a link put there since).
        """
        try:
            descriptor = os.open(self._root + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= MAX_ARTIFACT_BYTES:
                return None
            return mmap.mmap(descriptor, status.st_size, prot=mmap.PROT_READ)
        except (OSError, ValueError):
            return None
        finally:
            os.close(descriptor)

    def size(self, path: str) -> int | None:
        """The size of a regular file at a resolved path; None for all else."""
        with contextlib.suppress(OSError):
            status = os.stat(self._root + path, follow_symlinks=False)
            return status.st_size if stat.S_ISREG(status.st_mode) else None
        return None

    def is_folder(self, path: str) -> bool:
        """Whether a folder is at a resolved path."""
        return os.path.isdir(self._root + path)

    def entries(self, path: str, most: int) -> Iterator[tuple[str, bool]]:
        """What a folder at a resolved path holds, in order: paths, and whether each is a folder and no link to one.

        Of ``most`` names at most, of whichever the system tells first.
        """
        with contextlib.suppress(OSError), os.scandir(self._root + path) as found:
            entries = sorted((each.name, each.is_dir(follow_symlinks=False)) for each in islice(found, most))
            yield from ((f"{path}/{name}", is_folder) for name, is_folder in entries)

    def lines(self, path: str) -> Iterator[str]:
        """The lines of a text file without comments; none where it cannot be read."""
        resolved = self.resolve(path)
        mapped = None if resolved is None else self.map(resolved)
        if mapped is not None:
            for line in mapped[:_MAX_TEXT].decode("utf-8", "replace").splitlines():
                yield line.partition("#")[0].strip()

    def matching(self, pattern: str) -> Iterator[str]:
        """Paths whose last part matches a shell pattern, in order."""
        folder, _, last = pattern.rpartition("/")
        resolved = self.resolve(folder or "/")
        with contextlib.suppress(OSError):
            names = os.listdir(self._root + resolved) if resolved is not None else []
            yield from (f"{folder}/{name}" for name in sorted(names) if fnmatchcase(name, last))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]
