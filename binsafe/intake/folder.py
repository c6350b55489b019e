"""The files of a folder, for the inspection of bundles: walked and read by descriptor, no link is ever followed."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from binsafe.errors import NotAnalysable
from binsafe.limits import MAX_ARTIFACT_BYTES, MAX_TREE_ENTRIES
from binsafe.signatures.bundle import Entry

MAX_DEPTH = 64
"""Folders inside each other; 20 is much."""

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PARTS = ("Contents", "Versions", "Info.plist")


def may_be_bundle(path: Path) -> bool:
    """Whether a folder has what bundles have; the inspection tells whether it is one."""
    return path.is_dir() and any((path / part).exists() for part in _PARTS)


class Folder:
    """The files below a folder that is open as ``descriptor``; the :class:`binsafe.signatures.bundle.Files` of it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._names: dict[str, tuple[bytes, ...]] = {}
        self._entries: dict[str, Entry] = {}
        try:
            for names, entry in _walk(descriptor, ()):
                self._add(names, entry)
        except OSError as error:
            raise _unreadable("the folder", error) from error
        self.size = sum(entry.size for entry in self._entries.values())
        if self.size > MAX_ARTIFACT_BYTES:
            raise _too_large(f"it has {self.size:,} bytes, more than {MAX_ARTIFACT_BYTES:,}")

    def _add(self, names: tuple[bytes, ...], entry: Entry) -> None:
        if len(self._entries) >= MAX_TREE_ENTRIES:
            raise _too_large(f"it has more than {MAX_TREE_ENTRIES:,} files")
        path = "/".join(name.decode(errors="backslashreplace") for name in names)
        # Two names that are shown alike, one of them no UTF-8: neither can be told from the other, so none is read.
        self._entries[path] = entry if path not in self._entries else Entry(kind="other")
        self._names[path] = names

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All files and links."""
        return self._entries

    def read(self, path: str, size: int | None = None) -> memoryview:
        """A file's bytes, or the first ones, copied: what happens to it afterwards changes nothing."""
        try:
            descriptor = self._open(self._names[path])
        except OSError as error:
            raise _unreadable(path, error) from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unreadable(path, "it is no regular file any more")
            content = file.read(self._entries[path].size if size is None else size)
            if size is None and (len(content) != self._entries[path].size or file.read(1)):
                raise _unreadable(path, "it changed while it was read")
            return memoryview(content)

    def _open(self, names: tuple[bytes, ...]) -> int:
        """Open a file, folder by folder: a link that was put in the way in the meantime is refused."""
        folder = os.dup(self._descriptor)
        for name in names:
            try:
                opened = os.open(name, _OPEN, dir_fd=folder)
            finally:
                os.close(folder)
            folder = opened
        return folder


def _walk(descriptor: int, above: tuple[bytes, ...]) -> Iterator[tuple[tuple[bytes, ...], Entry]]:
    """The files and links below an open folder, by the parts of their names."""
    if len(above) > MAX_DEPTH:
        raise _too_large(f"its folders are nested deeper than {MAX_DEPTH}")
    for name in sorted(map(os.fsencode, os.listdir(descriptor))):
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        names = (*above, name)
        if stat.S_ISDIR(status.st_mode):
            inner = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=descriptor)
            try:
                yield from _walk(inner, names)
            finally:
                os.close(inner)
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(name, dir_fd=descriptor).decode(errors="backslashreplace")
            yield names, Entry(kind="link", target=target)
        elif stat.S_ISREG(status.st_mode):
            yield names, Entry(kind="file", size=status.st_size)
        else:
            yield names, Entry(kind="other")


def _too_large(reason: str) -> NotAnalysable:
    return NotAnalysable(
        f"the folder is too large: {reason}", hint="name the executable inside it", finding="too-large"
    )


def _unreadable(path: str, reason: str | OSError) -> NotAnalysable:
    return NotAnalysable(
        f"{path} cannot be read: {reason.strerror if isinstance(reason, OSError) else reason}",
        hint="check its permissions, or copy the folder first",
    )
