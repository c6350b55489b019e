"""Bytes that are kept between runs, in a folder that no other user can write.

Writing is atomic: concurrent writers replace each other's files. What is damaged fails its checksum and counts as not
there. A folder or file that somebody else could have written is not used.
"""

import contextlib
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from binsafe.limits import MAX_CACHE_BYTES, MAX_SUMMARY_BYTES

_MAGIC = b"binsafe.summary/1\n"
_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Where all of ours is kept that can be made again; what knows every system's place is a tenth of a command."""
    if sys.platform == "linux":
        place = os.environ.get("XDG_CACHE_HOME", "")  # XDG Base Directory Specification: a relative one is ignored
        return Path(place if place.startswith("/") else "~/.cache", "binsafe").expanduser()
    import platformdirs

    return platformdirs.user_cache_path("binsafe")


class Store:
    """Named bytes in one folder."""

    def __init__(self, folder: Path | None) -> None:
        """Keep them in ``folder``, if only we can write there; nowhere without one."""
        self._folder = None if folder is None else _private(folder)
        self._room = 0
        """Bytes that may be written before anybody looks at the folder again."""

    def read(self, name: str) -> bytes | None:
        """What was kept under a name."""
        if self._folder is None:
            return None
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        with open(descriptor, "rb") as file:
            ours = _is_ours(os.fstat(descriptor), stat.S_ISREG)
            return _unpacked(file.read(MAX_SUMMARY_BYTES)) if ours else None

    def write(self, name: str, payload: bytes) -> None:
        """Keep it, if there is room and nothing goes wrong: that it is not kept costs time only."""
        if self._folder is None or len(payload) + len(_MAGIC) + _DIGEST > MAX_SUMMARY_BYTES:
            return
        with contextlib.suppress(OSError):
            if self._room < len(payload):
                self._room = _make_room(self._folder, len(payload))
            self._room -= len(payload)
            path = self._folder / f".new-{os.urandom(8).hex()}"  # `tempfile` loads compressors
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                with open(descriptor, "wb") as file:
                    os.fchmod(descriptor, 0o600)  # a mask may take rights of its user's own
                    file.write(_MAGIC + hashlib.sha256(payload).digest() + payload)
                os.replace(path, self._folder / name)
            except OSError:
                os.unlink(path)
                raise


def _unpacked(whole: bytes) -> bytes | None:
    """What was written; None where anything differs from it."""
    payload = whole[len(_MAGIC) + _DIGEST :]
    return payload if whole[: len(_MAGIC) + _DIGEST] == _MAGIC + hashlib.sha256(payload).digest() else None


def _private(folder: Path) -> Path | None:
    """The folder, made if need be; None where it, or one above it, can be written by others.

    Looked at before it is made, too: under sudo, HOME may be another user's, who may have put links there.
    """
    try:
        if not _nobody_elses(folder):
            return None
        for each in (*reversed(folder.parents), folder) if not folder.is_dir() else ():
            if not each.is_dir():
                with contextlib.suppress(FileExistsError):  # another process of ours was faster
                    each.mkdir(mode=0o700)
                    each.chmod(0o700)  # a mask, as in `write`
        ours = _is_ours(os.stat(folder, follow_symlinks=False), stat.S_ISDIR) and _nobody_elses(folder)
    except OSError:
        return None
    return folder if ours else None


def _nobody_elses(folder: Path) -> bool:
    """Whether only root and this user control the folders above a path, as far as they exist."""
    return all(_is_safe(above) for above in (*folder.absolute().parents, *folder.resolve().parents))


def _is_safe(above: Path) -> bool:
    try:
        status = os.stat(above, follow_symlinks=False)
    except FileNotFoundError:
        return True
    mode = status.st_mode
    closed = stat.S_ISLNK(mode) or not mode & 0o022 or mode & stat.S_ISVTX
    return status.st_uid in {0, os.geteuid()} and bool(closed)


def _is_ours(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    return bool(is_kind(status.st_mode)) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _make_room(folder: Path, size: int) -> int:
    """Remove what was not read for longest, and what other engines left, until ``size`` bytes fit; how many do then."""
    files = []
    for entry in _files(folder.parent):
        with contextlib.suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            own = os.path.dirname(entry.path) == str(folder)
            files.append((own, status.st_mtime, status.st_size, entry.path))
    room = MAX_CACHE_BYTES - size - sum(length for _, _, length, _ in files)
    for _, _, length, path in sorted(files):
        if room >= 0:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
        room += length
    return size + room


def _files(folder: Path | str) -> "Iterator[os.DirEntry[str]]":
    """All regular files below a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry
