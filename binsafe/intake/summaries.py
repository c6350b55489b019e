"""Summaries of libraries, kept between runs: what took half a second to find out about the C library is read in one.

A kept summary is a file of its own, named after the library's build id and sha256, in a folder named after the engine
that made it: nobody's build id is believed without the bytes, and another engine's findings are never used. It is made
from the library alone, so that no program that is inspected can leave a trace here that another one would see.

Writing is atomic: concurrent writers replace each other's equal files. What is damaged fails its checksum and is made
anew. A folder or file that somebody else could have written is not used; what is kept is never more than a checked
msgpack of numbers and names.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import platformdirs

from binsafe.errors import NotAnalysable
from binsafe.limits import MAX_CACHE_BYTES, MAX_SUMMARY_BYTES
from binsafe.model import ResolvedLibrary
from binsafe.syscalls import Summary, engine_version, summarise_library

_MAGIC = b"binsafe.summary/1\n"
_DIGEST = hashlib.sha256().digest_size


class Summaries:
    """Summaries by library: kept ones where there are any, else made and kept."""

    def __init__(self, folder: Path | None) -> None:
        """Keep them below ``folder``, if only we can write there; nowhere without one."""
        self._folder = None if folder is None else _private(folder / engine_version())

    def of(self, library: ResolvedLibrary, data: memoryview) -> Summary | None:
        """The summary of a library with these bytes; None where they cannot be analysed, or are others by now.

        What is kept is made from a copy: whoever can write the file could otherwise change it behind its hash, and so
        leave a summary of his own for another library's.
        """
        name = f"{library.build_id or 'none'}-{library.sha256}"
        kept = self._read(name)
        if kept is None:
            copy = bytes(data)
            if hashlib.sha256(copy).hexdigest() != library.sha256:
                return None
            try:
                kept = summarise_library(memoryview(copy))
            except NotAnalysable:
                return None
            if kept is not None:
                self._write(name, msgspec.msgpack.encode(kept))
        return kept

    def _read(self, name: str) -> Summary | None:
        if self._folder is None:
            return None
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        with open(descriptor, "rb") as file:
            ours = _is_ours(os.fstat(descriptor), stat.S_ISREG)
            return _unpacked(file.read(MAX_SUMMARY_BYTES)) if ours else None

    def _write(self, name: str, payload: bytes) -> None:
        """Keep a summary, if there is room and nothing goes wrong: that it is not kept costs time only."""
        if self._folder is None or len(payload) + len(_MAGIC) + _DIGEST > MAX_SUMMARY_BYTES:
            return
        with contextlib.suppress(OSError):
            _make_room(self._folder, len(payload))
            descriptor, path = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            try:
                with open(descriptor, "wb") as file:
                    file.write(_MAGIC + hashlib.sha256(payload).digest() + payload)
                os.replace(path, self._folder / name)
            except OSError:
                os.unlink(path)
                raise


def _unpacked(whole: bytes) -> Summary | None:
    """What `_write` wrote; None where anything differs from it."""
    payload = whole[len(_MAGIC) + _DIGEST :]
    if whole[: len(_MAGIC) + _DIGEST] != _MAGIC + hashlib.sha256(payload).digest():
        return None
    try:
        return msgspec.msgpack.decode(payload, type=Summary)
    except msgspec.DecodeError:
        return None


def default_folder() -> Path:
    """Where this user's programs keep what can be made anew."""
    return platformdirs.user_cache_path("binsafe") / "libraries"


def _private(folder: Path) -> Path | None:
    """The folder, made if need be; None where it, or one above it, can be written by others."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_ours(os.stat(folder, follow_symlinks=False), stat.S_ISDIR):
            return None
        above = [os.stat(parent) for parent in folder.resolve().parents]
    except OSError:
        return None
    safe = all(
        status.st_uid in {0, os.geteuid()} and (not status.st_mode & 0o022 or status.st_mode & stat.S_ISVTX)
        for status in above
    )
    return folder if safe else None


def _is_ours(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    return bool(is_kind(status.st_mode)) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _make_room(folder: Path, size: int) -> None:
    """Remove what was not read for longest, and what other engines left, until ``size`` bytes fit."""
    files = []
    for entry in folder.parent.rglob("*"):
        with contextlib.suppress(OSError):
            status = entry.lstat()
            if stat.S_ISREG(status.st_mode):
                files.append((entry.parent == folder, status.st_mtime, status.st_size, entry))
    room = MAX_CACHE_BYTES - size - sum(length for _, _, length, _ in files)
    for _, _, length, entry in sorted(files):
        if room >= 0:
            return
        with contextlib.suppress(OSError):
            entry.unlink()
        room += length
