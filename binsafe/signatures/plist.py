"""Property lists out of hostile files: Apple's key-value format, as XML or binary."""

import plistlib
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from binsafe.signatures.structure import StructureError

MAX_DEPTH: Final = 64
"""Deepest nesting; real lists have under 10 levels."""

_MAX_BITS: Final = 128
"""Of a number, as the binary form has them at most; of far longer ones Python makes no text."""
_REPEATED: Final = 16
"""How many times as long as its bytes a list may be: in the binary form one text may stand in many places."""
_MOST_REPEATED: Final = 16 * 1024**2
"""Values and letters of a long list that may so come on top of its bytes: each takes a moment."""
_END: Final = object()

_BINARY: Final = b"bplist00"
_PROLOG: Final = re.compile(
    rb"((?:\xef\xbb\xbf)?(?:<\?xml.*?\?>)?)(?:[ \t\r\n]|<!--(?!-?>).*?-->|<\?.*?\?>|<!DOCTYPE[^>\[]*>)*+", re.DOTALL
)
"""What stands before it. CoreFoundation skips that (CFPropertyList.c, ``parseXMLPropertyList``) where XML has rules:
a declaration comes first, and in a comment are no two hyphens. The encoding that one names counts only if it does come
first. Comments that some parsers end where they begin (``<!-->``) are left for the objection that XML has to them."""


class _Once(dict[Any, Any]):
    """A dictionary in which a name may stand once."""

    def __setitem__(self, name: Any, value: Any) -> None:
        if name in self:
            raise ValueError(f"{name!r} is there twice")
        super().__setitem__(name, value)


def read(
    data: bytes | memoryview, what: str, *, most: int, xml_only: bool = False, once: bool = False
) -> dict[Any, Any]:
    """The dictionary that a property list of at most ``most`` bytes holds.

    ``xml_only`` is for what must be XML to the letter. With ``once`` a name may stand in a dictionary once: of two
    values, parsers take the first or the last.

    Raises:
        StructureError: too large, unreadable, with XML entities of its own, no dictionary, or one without an end.
    """
    if len(data) > most:
        raise StructureError(f"{what} of {len(data)} bytes is not read")
    content = bytes(data)
    if b"<!ENTITY" in content:
        raise StructureError(f"{what} declares XML entities")
    binary = content.startswith(_BINARY) and not xml_only
    if not binary and not xml_only:
        content = _PROLOG.sub(rb"\1", content, count=1)
    try:
        form = plistlib.FMT_BINARY if binary else plistlib.FMT_XML
        values = plistlib.loads(content, fmt=form, dict_type=_Once if once else dict)
    except Exception as error:  # plistlib lets KeyError, IndexError, ExpatError, RecursionError and more through
        raise StructureError(f"{what} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(values, dict):
        raise StructureError(f"{what} is not a dictionary")
    if _is_endless(values, min(_REPEATED * len(content), len(content) + _MOST_REPEATED)):
        raise StructureError(f"{what} is nested too deep, far longer than its bytes, or has endless numbers")
    return values


def _is_endless(values: object, left: int) -> bool:
    """Whether it holds itself or, told in full, has more than so many values and letters, or very deep ones."""
    waiting: list[Iterator[Any]] = [iter((values,))]
    while waiting:
        value = next(waiting[-1], _END)
        left -= len(value) + 1 if isinstance(value, str | bytes | list | dict) else 1
        if value is _END:
            waiting.pop()
        elif left < 0 or len(waiting) > MAX_DEPTH or (isinstance(value, int) and value.bit_length() > _MAX_BITS):
            return True
        elif isinstance(value, dict):
            waiting.append(chain.from_iterable(value.items()))
        elif isinstance(value, list):
            waiting.append(iter(value))
    return False
