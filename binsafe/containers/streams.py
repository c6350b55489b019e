"""Bytes that are read once, from front to back, with bounded memory."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from binsafe.containers.budget import Budget
from binsafe.containers.entries import Stream, Unreadable

_CHUNK = 64 * 1024
_XZ_MEMORY = 128 * 1024**2
"""Memory that an xz stream may ask for: its highest preset takes 65 MiB."""


class Plain:
    """Bytes that are there already."""

    def __init__(self, data: memoryview) -> None:
        self.rest = data

    def read(self, size: int) -> bytes:
        """See `Stream`."""
        found, self.rest = bytes(self.rest[:size]), self.rest[size:]
        return found


class Peeked:
    """A stream whose next bytes can be looked at."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._head = b""

    def peek(self, size: int) -> bytes:
        """The next bytes; they stay the next ones."""
        if len(self._head) < size:
            self._head += self._stream.read(size - len(self._head))
        return self._head[:size]

    def read(self, size: int) -> bytes:
        """See `Stream`."""
        found, self._head = self._head[:size], self._head[size:]
        return found + self._stream.read(size - len(found)) if len(found) < size else found


class Limited:
    """The next bytes of another stream, as if there were no more."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream = stream
        self.left = size

    def read(self, size: int) -> bytes:
        """See `Stream`; an end before the limit is damage."""
        wanted = min(size, self.left)
        found = self._stream.read(wanted)
        self.left -= len(found)
        if len(found) < wanted:
            raise Unreadable("it ends in the middle of an entry")
        return found

    def skip(self) -> None:
        """Go to the end."""
        while self.left:
            self.read(_CHUNK)


class Checked:
    """A stream that must have the size and the CRC-32 that its archive says."""

    def __init__(self, stream: Stream, size: int, crc: int) -> None:
        self._stream = stream
        self._left = size
        self._crc = crc
        self._seen = 0

    def read(self, size: int) -> bytes:
        """See `Stream`."""
        found = self._stream.read(size)
        self._left -= len(found)
        self._seen = zlib.crc32(found, self._seen)
        if self._left < 0:
            raise Unreadable("an entry holds more than its archive says")
        if len(found) < size and self._left:
            raise Unreadable("an entry holds less than its archive says")
        if len(found) < size and self._seen != self._crc:
            raise Unreadable("an entry's bytes do not have the checksum that its archive says")
        return found


class Decompressor(Protocol):
    """What bz2 and lzma have, and zlib nearly."""

    @property
    def eof(self) -> bool:
        """Whether the compressed stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out without new input."""

    @property
    def unused_data(self) -> bytes:
        """Input behind the end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most so many bytes of output."""


class _Inflate:
    """zlib's decompressor in the shape of the others."""

    def __init__(self, window: int) -> None:
        self._zlib = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def zstandard() -> Decompressor:
    """In the standard library since Python 3.14."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # from 3.14 on
    except ImportError as error:
        raise Unreadable("Zstandard is not read by this version of Python (3.14 and later do)", "archive") from error
    made: Any = zstd.ZstdDecompressor()
    return made  # type: ignore[no-any-return,unused-ignore]  # known from 3.14 on


def inflate() -> Decompressor:
    """For raw deflate, as in zip."""
    return _Inflate(-zlib.MAX_WBITS)


def xz() -> Decompressor:
    """For xz and for lzma's older format."""
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


DECOMPRESSORS: Mapping[bytes, Callable[[], Decompressor]] = MappingProxyType(
    {
        b"\x1f\x8b": lambda: _Inflate(zlib.MAX_WBITS | 16),
        b"BZh": bz2.BZ2Decompressor,
        b"\xfd7zXZ\0": xz,
        b"\x28\xb5\x2f\xfd": zstandard,
    }
)
"""First bytes of a compressed file -> what undoes it."""


class Decompressed:
    """What bytes unpack to; several compressed streams behind each other are one (RFC 1952, 2.2)."""

    def __init__(self, data: memoryview, make: Callable[[], Decompressor], budget: Budget) -> None:
        self._data = data
        self._behind = b""
        """Input that the stream before has given back; at most a chunk."""
        self._make = make
        self._budget = budget
        self._zeros = 0
        """How many bytes of padding were skipped before that."""
        self._now: Decompressor | None = None

    def read(self, size: int) -> bytes:
        """See `Stream`."""
        parts: list[bytes] = []
        left = size
        while left:
            try:
                part = self._more(min(left, _CHUNK * 16))
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError) as error:
                raise Unreadable(f"its compressed data is damaged: {error}") from error
            if part is None:
                break
            self._budget.spend(len(part))
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    @property
    def behind(self) -> int:
        """How many bytes follow the end, once that was reached; zeros are padding and count for nothing."""
        ended = self._now is not None and self._now.eof
        behind = self._behind if ended else b""
        return self._zeros + len(self._behind) + len(self._data) if behind else 0

    def _more(self, most: int) -> bytes | None:
        """Some bytes, perhaps none; None at the end."""
        if self._now is None:
            self._now = self._make()
        if self._now.eof and not self._next_stream(self._now):
            return None
        given = self._input() if self._now.needs_input else b""
        found = self._now.decompress(given, most)
        if not found and not given and not self._now.eof and not len(self._data):
            raise Unreadable("its compressed data ends early")
        return found

    def _input(self) -> bytes:
        if self._behind:
            given, self._behind = self._behind, b""
        else:
            given, self._data = bytes(self._data[:_CHUNK]), self._data[_CHUNK:]
        return given

    def _next_stream(self, ended: Decompressor) -> bool:
        """Begin with what follows; nothing follows but padding where it does not begin like a compressed stream."""
        if not self._behind:
            self._skip_zeros(ended.unused_data)
        if not any(self._behind.startswith(magic[: len(self._behind)]) for magic in DECOMPRESSORS if self._behind):
            return False
        self._budget.enter()
        self._now, self._zeros = self._make(), 0
        return True

    def _skip_zeros(self, given: bytes) -> None:
        """Go to what follows padding: Python goes on there (``gzip``, ``lzma``)."""
        while not self._behind and (given or len(self._data)):
            given = given or self._input()
            self._behind = given.lstrip(b"\0")
            self._zeros += len(given) - len(self._behind)
            given = b""
