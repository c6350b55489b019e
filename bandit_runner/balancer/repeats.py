"""Heads that come again byte for byte, as those of kept-alive connections do: parsing one costs more than comparing it.

What a message means is a function of its bytes alone where the parser stands between two messages. So the meaning of a
message that ended with the bytes it came in may be used for the next that differs from it in nothing but its body, and
that ends with the bytes it comes in too. The parser is not shown that one and goes on standing between two messages.
"""

from typing import Final, Generic, TypeVar

T = TypeVar("T")

END: Final = b"\r\n\r\n"

LONGEST: Final = 2_048
"""Bytes of a head that is remembered: every connection keeps one, so hostile ones must not make that much."""


class Repeats(Generic[T]):
    """The last message of one connection whose body had a `Content-Length`, and what it meant."""

    __slots__ = ("_head", "_meaning", "_size")

    def __init__(self) -> None:
        self._head = b""
        self._size = -1
        self._meaning: T | None = None

    def recall(self, piece: bytes) -> T | None:
        """What ``piece`` means if it is the known head with a body of the known length; None: it is to be parsed.

        To be asked at the beginning of a message only.
        """
        return self._meaning if len(piece) == self._size and piece.startswith(self._head) else None

    def learn(self, piece: bytes, body_length: int, meaning: T) -> None:
        """Remember a message after which the connection goes on.

        ``piece`` held its beginning and its end. Where it held anything else (empty lines before the head or after the
        body, another message, an interim answer), head and body are not all of it and nothing is remembered.
        """
        head = piece.find(END) + len(END)
        if head <= LONGEST and head + body_length == len(piece):
            self._head, self._size, self._meaning = piece[:head], len(piece), meaning
