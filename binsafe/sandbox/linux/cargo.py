"""Private copies of the files that run: read once, hashed while they are read, and sealed.

A read-only mount does not stop somebody outside from writing the file behind it, so what was inspected is copied, and
compared with the policy that was derived from it.
"""

import mmap
import os
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from binsafe.errors import FileChanged
from binsafe.intake.copying import Hashing
from binsafe.intake.private import seal
from binsafe.limits import MAX_ARTIFACT_BYTES
from binsafe.model.policy import PolicyFile

if TYPE_CHECKING:
    from hashlib import _Hash

MAX_CARGO_BYTES: Final = MAX_ARTIFACT_BYTES


class Piece(NamedTuple):
    """A file inside, and where its bytes lie in a descriptor of ours."""

    path: str
    descriptor: int
    offset: int
    size: int
    mode: int


class Cargo:
    """All copies in one sealed memory file; a context manager that lets go of it."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("binsafe-cargo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.pieces: list[Piece] = []
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def add(self, path: str, content: bytes, mode: int = 0o444) -> None:
        """A file of our own making."""
        os.pwrite(self.descriptor, content, self._size)
        self._keep(path, len(content), mode)

    def copy(self, files: Iterable[PolicyFile]) -> None:
        """Copy files of the host and see that they are the inspected ones.

        Raises:
            FileChanged: one has gone or has changed, or is no file.
        """
        copied = []
        with Hashing() as hashing:
            for file in files:
                size, digest = self._copy(file, hashing)
                self._keep(file.opened_as, size, 0o555 if file.execute else 0o444)
                copied.append((file, digest))
        for file, digest in copied:
            if digest.hexdigest() != file.sha256:
                raise FileChanged(
                    f"{file.path} is not the file that was inspected",
                    hint="inspect the program again: its libraries have changed since",
                )

    def seal(self) -> None:
        """Make the copy immutable."""
        seal(self.descriptor)

    def _keep(self, path: str, size: int, mode: int) -> None:
        self.pieces.append(Piece(path, self.descriptor, self._size, size, mode))
        self._size += -(-size // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY

    def _copy(self, file: PolicyFile, hashing: Hashing) -> "tuple[int, _Hash]":
        try:
            source = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise FileChanged(
                f"{file.path} cannot be read: {error.strerror}", hint="inspect the program again, as its user"
            ) from error
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode) or self._size + status.st_size > MAX_CARGO_BYTES:
                raise FileChanged(
                    f"{file.path} is no file that can be copied",
                    hint="inspect the program again: something replaced it",
                )
            os.lseek(self.descriptor, self._size, os.SEEK_SET)
            return hashing.copy(source, self.descriptor, status.st_size, start=self._size)
        finally:
            os.close(source)
