"""What the stage and the supervisor say to each other. Imports nothing: it is on the way of every start.

The supervisor says "go" when the plan is written. The stage answers with words and texts, one message each:

    armed N                      the filter is about to be installed; its listener will be descriptor N
    exit CODE LEFT               the program ended, negative after a signal; 1 if it left processes running, else 0
    gone PATH                    the program ends, and with it a file that its arguments name
    full PATH                    ... and a folder of its own has no room left
    failed STEP ERRNO DETAIL     a step could not be done

The way back is text that is taken apart by hand, not a serialisation that could make objects: init says "exit" while
the program runs beside it.
"""

GO = b"go"
MAX_MESSAGE = 65_536
"""Bytes that are read of a message."""

_SEPARATOR = "\0"


def encode(word: str, *values: object) -> bytes:
    """A message; no value but the last may hold a NUL."""
    return _SEPARATOR.join((word, *map(str, values))).encode("utf-8", "surrogateescape")[:MAX_MESSAGE]


def decode(message: bytes, word: str, count: int) -> list[str] | None:
    """The ``count`` values of a message that begins with ``word``; None for any other."""
    first, *values = message.decode("utf-8", "backslashreplace").split(_SEPARATOR, count)
    return values if first == word and len(values) == count else None
