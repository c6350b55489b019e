"""JSON with source positions, strictly: every value knows its place in the text, and a duplicate key is an error.

Used where something is wrong, to say where, and where a whole file is checked; `json` reads what is right faster.
"""

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # public, and not in typeshed
from typing import Any

import msgspec

MAX_DEPTH = 64

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False, "null": None}


class JsonError(ValueError):
    """The text is no JSON; ``offset`` is where it goes wrong, the text what was expected."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class JsonNode(msgspec.Struct, frozen=True):
    """A value with its offset: a scalar, a list of nodes, or a mapping of keys to (the key's offset, node)."""

    value: Any
    offset: int

    @property
    def fields(self) -> dict[str, tuple[int, "JsonNode"]]:
        """The entries of an object; none where it is no object."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list["JsonNode"]:
        """The items of an array; none where it is no array."""
        return self.value if isinstance(self.value, list) else []


def read_json(text: str) -> JsonNode:
    """The document's root.

    Raises:
        JsonError: the text is no JSON, too deeply nested, or has a key twice in one object.
    """
    return _Reader(text).document()


def offset_of(root: JsonNode, path: str) -> int:
    """Where the element that a path such as ``$.grants[3].object`` names begins, or its nearest existing ancestor."""
    offset, node = root.offset, root
    for key, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path):
        if key and key in node.fields:
            _, node = node.fields[key]
            offset = node.offset
        elif index and int(index) < len(node.items):
            node = node.items[int(index)]
            offset = node.offset
        else:
            break
    return offset


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Both from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class _Reader:
    """Recursive descent; the depth is bounded."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> JsonNode:
        node = self._value(0)
        self._skip()
        if self._at < len(self._text):
            raise JsonError("expected the end of the document", self._at)
        return node

    def _skip(self) -> str:
        """Pass white space; the character that follows."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _value(self, depth: int) -> JsonNode:
        first = self._skip()
        start = self._at
        if depth > MAX_DEPTH:
            raise JsonError(f"expected at most {MAX_DEPTH} levels", start)
        if first == "{":
            return JsonNode(dict(self._entries(depth)), start)
        if first == "[":
            return JsonNode([self._value(depth + 1) for _ in self._members("]")], start)
        if first == '"':
            return JsonNode(self._string(), start)
        match = _NUMBER.match(self._text, start)
        word = match[0] if match else next((word for word in _WORDS if self._text.startswith(word, start)), "")
        if not word:
            raise JsonError("expected a value", start)
        self._at += len(word)
        return JsonNode(_WORDS[word] if word in _WORDS else json.loads(word), start)

    def _members(self, closing: str) -> Iterator[None]:
        """One turn for each member of an array or object, with the commas between them."""
        self._at += 1
        if self._skip() == closing:
            self._at += 1
            return
        while True:
            yield
            sign = self._skip()
            if sign not in (",", closing):
                raise JsonError(f"expected , or {closing}", self._at)
            self._at += 1
            if sign == closing:
                return

    def _entries(self, depth: int) -> Iterator[tuple[str, tuple[int, JsonNode]]]:
        seen = set()
        for _ in self._members("}"):
            if self._skip() != '"':
                raise JsonError('expected a key, in "', self._at)
            start = self._at
            key = self._string()
            if key in seen:
                raise JsonError(f"expected each key once in one object, and {key!r} stands twice", start)
            seen.add(key)
            if self._skip() != ":":
                raise JsonError("expected : after the key", self._at)
            self._at += 1
            yield key, (start, self._value(depth + 1))

    def _string(self) -> str:
        start = self._at
        try:
            text, self._at = scanstring(self._text, start + 1, True)
        except ValueError:
            raise JsonError('expected a string that ends with "', start) from None
        return str(text)
