"""Code requirements as text: what a signature asks of the code that claims to be this program, or of its libraries.

The language is Apple's ("Code Signing Requirement Language"); the words come out as ``codesign -d -r-`` writes them.
The binary form is a tree of operations in prefix order (Security framework, ``requirement.h``), big-endian, all data
padded to four bytes.
"""

import datetime as dt
import re
import struct
from collections.abc import Callable, Mapping
from typing import Final

from binsafe.signatures import superblob
from binsafe.signatures.structure import StructureError

MAX_DEPTH: Final = 64
"""Deepest nesting; real requirements have under 10 levels. A chain of ``and`` nests once for each part."""

MAX_OPERATIONS: Final = 2_000
MAX_TEXT: Final = 16 * 1024
"""Longest text; designated requirements have 100 to 500 letters."""

_SET, _ONE = superblob.Magic.REQUIREMENTS, superblob.Magic.REQUIREMENT
_EXPRESSION = 1
_TYPES: Final[Mapping[int, str]] = {1: "host", 2: "guest", 3: "designated", 4: "library", 5: "plugin"}
_HEADER = struct.Struct(">III")
_U32 = struct.Struct(">I")

_FLAGS, _FALSE_IF_UNKNOWN, _SKIP_IF_UNKNOWN = 0xFF000000, 0x80000000, 0x40000000
_IDENTIFIER, _ANCHOR_HASH, _INFO_KEY_VALUE, _AND, _OR, _CDHASH, _NOT = 2, 4, 5, 6, 7, 8, 9
_PLATFORM = 20
_CONSTANT: Final[Mapping[int, str]] = {
    0: "never",
    1: "always",
    3: "anchor apple",
    13: "anchor trusted",
    15: "anchor apple generic",
    21: "notarized",
    23: "legacy",
}
_NAMED: Final[Mapping[int, str]] = {18: "anchor apple {}", 19: "({})"}
_FIELD: Final[Mapping[int, str]] = {10: "info[{}]", 16: "entitlement[{}]"}
_CERTIFICATE_FIELD: Final[Mapping[int, str]] = {11: "{}", 14: "field.{}", 17: "policy.{}", 22: "timestamp.{}"}
_TRUSTED_CERTIFICATE = 12
_BY_IDENTIFIER: Final = frozenset({14, 17, 22})
"""Operations whose field is an object identifier in DER, not text."""

_EXISTS, _ABSENT = 0, 14
_MATCHES: Final[Mapping[int, str]] = {
    1: "= {}", 2: "~ {}", 3: "= {}*", 4: "= *{}", 5: "< {}", 6: "> {}", 7: "<= {}", 8: ">= {}",
}  # fmt: skip
_DATES: Final[Mapping[int, str]] = {9: "=", 10: "<", 11: ">", 12: "<=", 13: ">="}
_EPOCH: Final = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)

_PLAIN = re.compile(rb"[A-Za-z][A-Za-z0-9]*")
_DOTTED = re.compile(rb"[A-Za-z][A-Za-z0-9.]*")
_QUOTABLE = re.compile(rb"[\x20-\x7e]*")

_PRIMARY, _CONJUNCTION, _TOP = range(3)
"""How loosely an expression may be bound where it stands: what binds looser is put in parentheses."""


def read(blob: memoryview) -> str | None:
    """A set of requirements as lines of ``type => expression``; None for an empty set.

    Raises:
        StructureError: it is no requirement set, says something unknown, or more than a person would read.
    """
    if len(blob) < _HEADER.size:
        raise StructureError("the requirements are shorter than their header", problem="truncated")
    magic, size, count = _HEADER.unpack_from(blob)
    if magic != _SET or size != len(blob) or _HEADER.size + 8 * count > size:
        raise StructureError("the requirements do not fit their header")
    lines = []
    for number in range(min(count, len(_TYPES) + 1)):
        type_, offset = struct.unpack_from(">II", blob, _HEADER.size + 8 * number)
        lines.append(f"{_TYPES.get(type_, type_)} => {_requirement(blob[offset:])}")
    if count > len(lines):
        raise StructureError(f"{count} requirements where there are {len(_TYPES)} types")
    return "\n".join(lines) or None


def _requirement(blob: memoryview) -> str:
    if len(blob) < _HEADER.size:
        raise StructureError("a requirement lies outside of the set", problem="truncated")
    magic, size, kind = _HEADER.unpack_from(blob)
    if magic != _ONE or not _HEADER.size <= size <= len(blob):
        raise StructureError("a requirement does not fit its header")
    if kind != _EXPRESSION:
        raise StructureError(f"a requirement of kind {kind}")
    reader = _Reader(blob[_HEADER.size : size])
    text = reader.expression(_TOP, 0)
    if reader.rest:
        raise StructureError(f"{reader.rest} bytes behind a requirement")
    return text


class _Reader:
    """Reads one expression from the front of some bytes."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0
        self._operations = 0
        self._letters = 0

    @property
    def rest(self) -> int:
        return len(self._data) - self._at

    def expression(self, binding: int, depth: int) -> str:
        """The next operation with its operands, as text."""
        self._operations += 1
        if depth > MAX_DEPTH or self._operations > MAX_OPERATIONS:
            raise StructureError("a requirement is nested too deep or has too many parts")
        operation = self._number()
        code = operation & ~_FLAGS
        if code in _CONSTANT:
            return _CONSTANT[code]
        if code == _AND:
            return self._pair("and", _CONJUNCTION, binding, depth)
        if code == _OR:
            return self._pair("or", _TOP, binding, depth)
        if code == _NOT:
            return f"! {self.expression(_PRIMARY, depth + 1)}"
        return self._primary(code) or self._unknown(operation)

    def _pair(self, word: str, own: int, binding: int, depth: int) -> str:
        left = self.expression(own, depth + 1)
        text = f"{left} {word} {self.expression(own, depth + 1)}"
        return f"({text})" if own > binding else text

    def _primary(self, code: int) -> str:
        """An operation that holds no other; nothing for one that is not known."""
        readers: Mapping[int, Callable[[], str]] = {
            _IDENTIFIER: lambda: f"identifier {self._text()}",
            _ANCHOR_HASH: lambda: f"certificate {self._slot()} = {self._hash()}",
            _INFO_KEY_VALUE: lambda: f"info[{self._text(_DOTTED)}] = {self._text()}",
            _CDHASH: lambda: f"cdhash {self._hash()}",
            _PLATFORM: lambda: f"platform = {self._number()}",
            _TRUSTED_CERTIFICATE: lambda: f"certificate {self._slot()} trusted",
        }
        if code in readers:
            return readers[code]()
        if code in _NAMED:
            return _NAMED[code].format(self._text())
        if code in _FIELD:
            return _FIELD[code].format(self._text(_DOTTED)) + self._match()
        if code in _CERTIFICATE_FIELD:
            slot = self._slot()
            name = self._object_identifier() if code in _BY_IDENTIFIER else self._text(_DOTTED)
            return f"certificate {slot}[{_CERTIFICATE_FIELD[code].format(name)}]{self._match()}"
        return ""

    def _unknown(self, operation: int) -> str:
        """An operation of a later system: its flags say what an earlier one makes of it, its data can be skipped."""
        if not operation & (_FALSE_IF_UNKNOWN | _SKIP_IF_UNKNOWN):
            raise StructureError(f"a requirement with the unknown operation {operation:#x}")
        self._bytes()
        return f"{'false' if operation & _FALSE_IF_UNKNOWN else 'true'} /* operation {operation & ~_FLAGS} */"

    def _match(self) -> str:
        """The comparison behind a field."""
        kind = self._number()
        if kind == _EXISTS:
            return " /* exists */"
        if kind == _ABSENT:
            return " absent "
        if kind in _MATCHES:
            return " " + _MATCHES[kind].format(self._text())
        if kind in _DATES:
            return f" {_DATES[kind]} <{self._date()}>"
        raise StructureError(f"a requirement with the unknown comparison {kind}")

    def _date(self) -> str:
        seconds: int = struct.unpack(">q", self._take(8))[0]
        try:
            return f"{_EPOCH + dt.timedelta(seconds=seconds):%Y-%m-%d %H:%M:%SZ}"
        except OverflowError as error:
            raise StructureError("a requirement with an impossible date") from error

    def _slot(self) -> str:
        number = self._number()
        return {0: "leaf", 0xFFFFFFFF: "root"}.get(number, str(number - (1 << 32) if number >> 31 else number))

    def _hash(self) -> str:
        return f'H"{self._bytes().hex()}"'

    def _text(self, plain: re.Pattern[bytes] = _PLAIN) -> str:
        """Data as codesign writes it: bare, quoted, or as hexadecimal digits."""
        data = self._bytes()
        if plain.fullmatch(data):
            return data.decode()
        if _QUOTABLE.fullmatch(data):
            return '"' + data.decode().replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"0x{data.hex()}"

    def _object_identifier(self) -> str:
        data = self._bytes()
        numbers, value = [], 0
        for octet in data:
            value = value << 7 | octet & 0x7F
            if value >> 64:
                raise StructureError("a requirement with an impossible object identifier")
            if not octet & 0x80:
                numbers.append(value)
                value = 0
        if not numbers or data[-1] & 0x80:
            raise StructureError("a requirement with an object identifier that does not end")
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def _bytes(self) -> bytes:
        size = self._number()
        data = self._take(size)
        self._take(-size % 4)
        self._letters += size
        if self._letters > MAX_TEXT:
            raise StructureError("a requirement is too long to be read")
        return data

    def _number(self) -> int:
        number: int = _U32.unpack(self._take(_U32.size))[0]
        return number

    def _take(self, size: int) -> bytes:
        if size > self.rest:
            raise StructureError("a requirement ends in the middle", problem="truncated")
        data = bytes(self._data[self._at : self._at + size])
        self._at += size
        return data
