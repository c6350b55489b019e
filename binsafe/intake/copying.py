"""Copying and hashing large files side by side: one thread copies, another one hashes what is there already.

Both are long calls outside Python, so that neither holds up whoever runs beside them.
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


class _Piece(NamedTuple):
    digest: "_Hash"
    descriptor: int
    start: int
    size: int


class Hashing:
    """A context manager at whose end all that was copied with :func:`copy` has been hashed."""

    def __enter__(self) -> Self:
        self._pieces: deque[_Piece | None] = deque()
        self._waiting = threading.Semaphore(0)
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._hash, name="binsafe-hashing", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._put(None)
        self._thread.join()
        if self._errors and error is None:
            raise self._errors[0]

    def copy(self, source: int, target: int, count: int, start: int = 0) -> "tuple[int, _Hash]":
        """Copy the first ``count`` bytes of a file, or as many as there are, to where ``target`` stands.

        That is ``start``, a multiple of a page. Returns how many there were, and what will be their SHA-256.
        """
        digest, done, hashed = hashlib.sha256(), 0, 0
        while True:
            piece = min(count, hashed + PIECE) - done
            sent = os.sendfile(target, source, done, piece) if piece else 0
            done += sent
            if done > hashed and (sent == piece or not sent):
                self._put(_Piece(digest, target, start + hashed, done - hashed))
                hashed = done
            if not sent:
                return done, digest

    def _put(self, piece: _Piece | None) -> None:
        self._pieces.append(piece)
        self._waiting.release()

    def _hash(self) -> None:
        while self._waiting.acquire() and (piece := self._pieces.popleft()):
            try:
                with mmap.mmap(piece.descriptor, piece.size, offset=piece.start, access=mmap.ACCESS_READ) as view:
                    piece.digest.update(view)
            except Exception as error:  # noqa: BLE001 - raised at the end
                self._errors.append(error)
