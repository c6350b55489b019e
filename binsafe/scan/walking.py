"""Folders -> the files that are worth opening: executables and archives, each once, links not followed."""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from binsafe.containers import Budget, Unreadable
from binsafe.containers.streams import DECOMPRESSORS, Decompressor, decompressed
from binsafe.containers.tars import BLOCK, is_header
from binsafe.formats import identify

_HEAD = 4096
"""Bytes that are looked at: enough of a compressed file to see what is in it."""
_PSEUDO = frozenset({"/proc", "/sys", "/dev", "/run"})
"""Folders of kernels and daemons, left out where they are not what was asked for."""
_EXECUTABLES = frozenset({"elf", "mach-o", "pe"})


class Target(NamedTuple):
    """A file to look at; size and time (nanoseconds) tell whether it is still the one that was looked at before."""

    path: str
    size: int
    changed: int


class Skipped(NamedTuple):
    """What could not be looked into, and why."""

    path: str
    reason: str


class Found:
    """What a walk has come across; ``targets`` grows while it goes on."""

    def __init__(self) -> None:
        self.targets: list[Target] = []
        self.skipped: list[Skipped] = []
        self.others = 0
        """Files that are neither executables nor archives."""
        self.links = 0
        """Further names of a file that was met already (hard links), which is looked at once."""


def walk(paths: Iterable[str], *, one_file_system: bool = False) -> Found:
    """All that is worth opening in files and folders, in the order of their names.

    Symbolic links inside folders are not followed, so that nothing outside of the tree is looked at; one that was named
    itself is. Devices, pipes and sockets are never opened.
    """
    found = Found()
    seen: set[tuple[int, int]] = set()
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - bytes that are no UTF-8 stay what they are
        except OSError as error:
            found.skipped.append(Skipped(path, error.strerror or str(error)))
            continue
        if stat.S_ISDIR(status.st_mode):
            _folder(path, status.st_dev if one_file_system else None, found, seen)
        else:
            _file(path, status, found, seen)
    return found


def _folder(path: str, device: int | None, found: Found, seen: set[tuple[int, int]]) -> None:
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                children = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.skipped.append(Skipped(folder, error.strerror or str(error)))
            continue
        inner = []
        for entry in children:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                found.skipped.append(Skipped(entry.path, error.strerror or str(error)))
                continue
            if stat.S_ISDIR(status.st_mode):
                if device in {None, status.st_dev} and str(Path(entry.path).absolute()) not in _PSEUDO:
                    inner.append(entry.path)
            else:
                _file(entry.path, status, found, seen)
        waiting += reversed(inner)


def _file(path: str, status: os.stat_result, found: Found, seen: set[tuple[int, int]]) -> None:
    if not stat.S_ISREG(status.st_mode):
        return
    name = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and name in seen:
        found.links += 1
        return
    seen.add(name)
    try:
        head = _first_bytes(path)
    except OSError as error:
        found.skipped.append(Skipped(path, error.strerror or str(error)))
        return
    if is_worth_opening(head):
        found.targets.append(Target(path, status.st_size, status.st_mtime_ns))
    else:
        found.others += 1


def _first_bytes(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _HEAD)
    finally:
        os.close(descriptor)


def is_worth_opening(head: bytes) -> bool:
    """Whether a file that begins so is an executable, an archive, or one of them compressed; text and data are not."""
    kind = identify(head)
    if kind in _EXECUTABLES:
        return True
    if kind != "archive":
        return False
    for magic, make in DECOMPRESSORS.items():
        if head.startswith(magic):
            inner = _inside(head, make)
            return inner is None or is_header(inner) or identify(inner) in {*_EXECUTABLES, "archive"}
    return True


def _inside(head: bytes, make: Callable[[], Decompressor]) -> bytes | None:
    """The first bytes of a compressed file; None where they cannot be told from its head, so that it is opened."""
    try:
        return decompressed(memoryview(head), make, Budget(0)).read(BLOCK)
    except Unreadable:
        return None
