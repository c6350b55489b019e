"""An immutable private copy of an artifact: the bytes that are inspected are the bytes that run."""

import contextlib
import errno
import hashlib
import os
import stat
import sys
from typing import Self

from binsafe.errors import NotAnalysable, NotFound
from binsafe.intake import attributes
from binsafe.intake.copying import Hashing
from binsafe.intake.finding import Found
from binsafe.intake.private import private_file, seal, write_all
from binsafe.limits import MAX_ARTIFACT_BYTES
from binsafe.model import Artifact

_CHUNK = 1024 * 1024
_NOTHING = bytes(_CHUNK)
_BLOCK = 512  # stat(2)
_KINDS = (
    (stat.S_ISDIR, "a directory", "name the executable inside it"),
    (stat.S_ISFIFO, "a FIFO", "save what comes out of it to a file first"),
    (stat.S_ISCHR, "a device", "name a regular file"),
    (stat.S_ISBLK, "a device", "name a regular file"),
    (stat.S_ISSOCK, "a socket", "name a regular file"),
)


class Snapshot:
    """An artifact's bytes behind a read-only descriptor, with its name, size and hash; a context manager."""

    def __init__(self, artifact: Artifact, descriptor: int) -> None:
        self.artifact = artifact
        self.descriptor = descriptor

    @classmethod
    def take(cls, found: Found, *, known_as: str | None = None, in_memory: bool = True) -> Self:
        """Open, copy, hash and seal.

        ``known_as`` stands for a path that cannot be written down. Not ``in_memory``, the copy is a file without a
        name: as private, but not sealed, so that such bytes are to be read only.

        Raises:
            NotFound: the file has gone.
            NotAnalysable: it is no regular file, is empty, too large, or may not be read.
        """
        path = known_as or str(found.path)
        if not _is_text(f"{found.name}{path}"):
            raise NotAnalysable(f"{str(found.path)!a} is no name in UTF-8", hint="rename the file")
        source = _open(found)
        try:
            noted, others = attributes.quarantine(source), attributes.others(source)
            runs_as = _set_id(os.fstat(source))
            with contextlib.ExitStack() as undo:
                target = private_file(in_memory=in_memory)
                undo.callback(os.close, target)
                size, digest = _copy(found, source, target)
                if size > MAX_ARTIFACT_BYTES:
                    raise _too_large(found)
                if size == 0:
                    raise NotAnalysable(
                        f"{found.path} is empty", hint="fetch it again: there is nothing to run", finding="truncated"
                    )
                os.ftruncate(target, size)
                if in_memory:
                    seal(target)
                undo.pop_all()
        finally:
            os.close(source)
        artifact = Artifact(
            name=found.name,
            path=path,
            size=size,
            sha256=digest,
            quarantine=noted,
            attributes=others,
            set_id=runs_as,
        )
        return cls(artifact, target)

    def close(self) -> None:
        """Release the copy. Idempotent."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _set_id(status: os.stat_result) -> str | None:
    if not status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return None
    from binsafe.containers.setid import set_id  # few files have it, and archives' readers come along

    return set_id(status.st_mode, status.st_uid, status.st_gid)


def _is_text(name: str) -> bool:
    """Whether it can be written down: bytes that are no UTF-8 come as lone surrogates (PEP 383)."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _open(found: Found) -> int:
    """Open without waiting (a FIFO), without following (a link put there since), and look before reading."""
    try:
        descriptor = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"{found.path} does not exist", hint="check the path") from error
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a device that is not there
            _refuse_other_kinds(found, os.lstat(found.path))
        raise _unreadable(found, error, "check its permissions") from error
    status = os.fstat(descriptor)
    try:
        _refuse_other_kinds(found, status)
    except NotAnalysable:
        os.close(descriptor)
        raise
    if status.st_size > MAX_ARTIFACT_BYTES:
        os.close(descriptor)
        raise _too_large(found)
    return descriptor


def _refuse_other_kinds(found: Found, status: os.stat_result) -> None:
    for is_kind, kind, hint in _KINDS:
        if is_kind(status.st_mode):
            raise NotAnalysable(f"{found.path} is {kind}, not an executable file", hint=hint)


def _unreadable(found: Found, error: OSError, hint: str) -> NotAnalysable:
    return NotAnalysable(f"{found.path} cannot be read: {error.strerror}", hint=hint)


def _too_large(found: Found) -> NotAnalysable:
    return NotAnalysable(
        f"{found.path} has more than {MAX_ARTIFACT_BYTES:,} bytes",
        hint="no executable is that large",
        finding="too-large",
    )


def _copy(found: Found, source: int, target: int) -> tuple[int, str]:
    """Copy a file; returns its size, or more than the limit for one that is larger, and the digest of what was copied.

    What is not all there (holes, a file of /proc) is copied piece by piece: holes stay cheap.

    Raises:
        NotAnalysable: it says that it is a file, and cannot be read: /proc has such, and broken disks.
    """
    status = os.fstat(source)
    if sys.platform == "linux" and 0 < status.st_size <= status.st_blocks * _BLOCK:
        with Hashing() as hashing:
            size, hashed = hashing.copy(source, target, MAX_ARTIFACT_BYTES + 1)
        return size, hashed.hexdigest()
    digest, size = hashlib.sha256(), 0
    while size <= MAX_ARTIFACT_BYTES and (chunk := _piece(found, source)):
        size += len(chunk)
        digest.update(chunk)
        if chunk == _NOTHING:
            os.lseek(target, len(chunk), os.SEEK_CUR)
        else:
            write_all(target, chunk)
    return size, digest.hexdigest()


def _piece(found: Found, source: int) -> bytes:
    try:
        return os.read(source, _CHUNK)
    except OSError as error:
        raise _unreadable(found, error, "name a regular file") from error
