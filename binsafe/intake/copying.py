"""Copying and hashing large files side by side: one thread copies, others hash what is there already.

All are long calls that release the GIL, so that they run in parallel.
"""

import hashlib
import mmap
import os
import threading
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from hashlib import _Hash

PIECE: Final = 16 * 1024 * 1024
"""Bytes that are copied before they are hashed; a multiple of every system's pages."""


MAX_HASHERS: Final = 4


class _Piece(NamedTuple):
    digest: "_Hash"
    descriptor: int
    start: int
    size: int


class _Hasher:
    """A thread that hashes what it is given, in that order."""

    def __init__(self) -> None:
        self.behind = 0
        """Bytes that it has been given."""
        self.errors: list[Exception] = []
        self._pieces: deque[_Piece | None] = deque()
        self._waiting = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._hash, name="binsafe-hashing", daemon=True)
        self._thread.start()

    def put(self, piece: _Piece) -> None:
        self.behind += piece.size
        self._pieces.append(piece)
        self._waiting.release()

    def finish(self) -> None:
        """Wait until all is hashed."""
        self._pieces.append(None)
        self._waiting.release()
        self._thread.join()

    def _hash(self) -> None:
        while self._waiting.acquire() and (piece := self._pieces.popleft()):
            try:
                with mmap.mmap(piece.descriptor, piece.size, offset=piece.start, access=mmap.ACCESS_READ) as view:
                    piece.digest.update(view)
            except Exception as error:  # noqa: BLE001 - raised at the end
                self.errors.append(error)


class Hashing:
    """A context manager at whose end all that was copied with :func:`copy` has been hashed.

    A file is hashed by one thread; several files by as many as there are processors.
    """

    def __enter__(self) -> Self:
        self._hashers: list[_Hasher] = []
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        for hasher in self._hashers:
            hasher.finish()
        errors = [each for hasher in self._hashers for each in hasher.errors]
        if errors and error is None:
            raise errors[0]

    def copy(self, source: int, target: int, count: int, start: int = 0) -> "tuple[int, _Hash]":
        """Copy the first ``count`` bytes of a file, or as many as there are, to where ``target`` stands.

        That is ``start``, a multiple of a page. Returns how many there were, and what will be their SHA-256.
        """
        hasher = self._least_busy()
        digest, done, hashed = hashlib.sha256(), 0, 0
        while True:
            piece = min(count, hashed + PIECE) - done
            sent = os.sendfile(target, source, done, piece) if piece else 0
            done += sent
            if done > hashed and (sent == piece or not sent):
                hasher.put(_Piece(digest, target, start + hashed, done - hashed))
                hashed = done
            if not sent:
                return done, digest

    def _least_busy(self) -> _Hasher:
        if len(self._hashers) < min(MAX_HASHERS, os.cpu_count() or 1):
            self._hashers.append(_Hasher())
            return self._hashers[-1]
        return min(self._hashers, key=lambda hasher: hasher.behind)
