"""Folders -> the files that are worth opening: executables and archives, each once, links not followed."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from binsafe.containers import Budget, Unreadable
from binsafe.containers.diskimages import TAIL_BYTES, is_disk_image
from binsafe.containers.streams import DECOMPRESSORS, Decompressed, Decompressor
from binsafe.containers.tars import BLOCK, is_header
from binsafe.formats import FORMATS, identify

_HEAD = 4096
"""Bytes that are looked at: enough of a compressed file to see what is in it."""
_KERNELS = frozenset(
    {"autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs"}
    | {"fusectl", "mqueue", "nsfs", "proc", "pstore", "securityfs", "selinuxfs", "sysfs", "tracefs"}
)
"""File systems whose files are the kernel's own answers (proc(5), "/proc/filesystems"): reading some has effects."""


class Target(NamedTuple):
    """A file to look at; size and time (nanoseconds) tell whether it is still the one that was looked at before."""

    path: str
    size: int
    changed: int


class Skipped(NamedTuple):
    """What could not be looked into, and why."""

    path: str
    reason: str


class Coverage:
    """What a walk has come across so far."""

    def __init__(self) -> None:
        self.worth = 0
        """Files that are worth opening."""
        self.others = 0
        """Files that are neither executables nor archives."""
        self.links = 0
        """Further names of a file that was met already (hard links, what was named itself): it is looked at once."""
        self.kernels = 0
        """File systems of the kernel, which were not entered."""
        self.skipped: list[Skipped] = []


def walk(paths: Iterable[str], coverage: Coverage, *, one_file_system: bool = False) -> Iterator[Target]:
    """All that is worth opening in files and folders, in the order of their names; ``coverage`` counts the rest.

    Symbolic links inside folders are not followed, so that nothing outside of the tree is looked at; one that was named
    itself is. A folder that is mounted again inside of itself is entered once. Devices, pipes and sockets are never
    opened, and file systems of the kernel's only where they were named. What goes away while it is walked is not there.
    """
    named = list(_named(paths, coverage))
    walked = _Walk(coverage, _kernel_devices(), frozenset(map(_identity, (status for _, status in named))))
    for path, status in named:
        if stat.S_ISDIR(status.st_mode):
            yield from walked.folder(path, status, one_file_system=one_file_system)
        elif stat.S_ISREG(status.st_mode):
            yield from walked.file(os.path.realpath(path) if Path(path).is_symlink() else path, status)
        else:
            coverage.skipped.append(Skipped(path, "neither a file nor a folder"))


def _named(paths: Iterable[str], coverage: Coverage) -> Iterator[tuple[str, os.stat_result]]:
    for path in paths:
        try:
            yield path, os.stat(path)  # noqa: PTH116 - bytes that are no UTF-8 stay what they are
        except OSError as error:
            coverage.skipped.append(Skipped(path, error.strerror or str(error)))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class _Walk:
    """A walk with its memory: each file and folder once, by device and inode.

    Of files, those are remembered that can be met again: with several names, or among ``named``.
    """

    def __init__(self, coverage: Coverage, kernels: frozenset[int], named: frozenset[tuple[int, int]]) -> None:
        self._coverage = coverage
        self._kernels = kernels
        self._named = named
        self._seen: set[tuple[int, int]] = set()

    def folder(self, path: str, status: os.stat_result, *, one_file_system: bool) -> Iterator[Target]:
        """The targets below a folder."""
        left_out = self._kernels - {status.st_dev}
        waiting = [(path, status)]
        while waiting:
            folder, known = waiting.pop()
            if self._met(known):
                continue
            inner = []
            for child, below in self._children(folder):
                if not stat.S_ISDIR(below.st_mode):
                    yield from self.file(child, below)
                elif below.st_dev in left_out:
                    self._coverage.kernels += 1
                elif not one_file_system or below.st_dev == status.st_dev:
                    inner.append((child, below))
            waiting += reversed(inner)

    def file(self, path: str, status: os.stat_result) -> Iterator[Target]:
        """The target that a file is, if it is one."""
        coverage = self._coverage
        if not stat.S_ISREG(status.st_mode):
            return
        if (status.st_nlink > 1 or _identity(status) in self._named) and self._met(status):
            coverage.links += 1
            return
        try:
            head, tail = _ends(path, status.st_size)
        except OSError as error:
            self._skip(path, error)
            return
        if is_worth_opening(head, tail):
            coverage.worth += 1
            yield Target(path, status.st_size, status.st_mtime_ns)
        else:
            coverage.others += 1

    def _met(self, status: os.stat_result) -> bool:
        name = _identity(status)
        if name in self._seen:
            return True
        self._seen.add(name)
        return False

    def _children(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        try:
            with os.scandir(folder) as entries:
                children = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._skip(folder, error)
            return
        for entry in children:
            try:
                yield entry.path, entry.stat(follow_symlinks=False)
            except OSError as error:
                self._skip(entry.path, error)

    def _skip(self, path: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # it was there a moment ago
            self._coverage.skipped.append(Skipped(path, error.strerror or str(error)))


def _kernel_devices() -> frozenset[int]:
    """Devices of the kernel's file systems that are mounted here (proc(5), "/proc/pid/mountinfo"); Linux only."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    devices = []
    for line in lines:
        before, _, after = line.partition(" - ")
        if after.partition(" ")[0] in _KERNELS:
            major, _, minor = before.split(" ")[2].partition(":")
            devices.append(os.makedev(int(major), int(minor)))
    return frozenset(devices)


def _ends(path: str, size: int) -> tuple[bytes, bytes]:
    """The first bytes and the last ones."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _HEAD), os.pread(descriptor, TAIL_BYTES, max(size - TAIL_BYTES, 0))
    finally:
        os.close(descriptor)


def is_worth_opening(head: bytes, tail: bytes = b"") -> bool:
    """Whether a file with these ends is an executable, an archive, or one of them compressed; text and data are not."""
    kind = identify(head)
    if kind in FORMATS or is_disk_image(tail) or is_header(head[:BLOCK]):
        return True
    if kind != "archive":
        return False
    for magic, make in DECOMPRESSORS.items():
        if head.startswith(magic):
            inner = _inside(head, make)
            return inner is None or is_header(inner) or identify(inner) in {*FORMATS, "archive"}
    return True


def _inside(head: bytes, make: Callable[[], Decompressor]) -> bytes | None:
    """The first bytes of a compressed file; None where they cannot be told from its head, so that it is opened."""
    try:
        return Decompressed(memoryview(head), make, Budget(0)).read(BLOCK)
    except Unreadable:
        return None
