"""Text -> nodes, strictly: what libsandbox's TinyScheme would misread in silence is refused here.

Comments are ``; to the end of the line`` and ``#| ... |#``, which nest. A string may span lines. What never ends, be it
a string, a comment or a parenthesis, is reported where it begins: the end of the text tells nobody anything.
"""

import re
from typing import NoReturn

from binsafe.errors import BaselineError
from binsafe.seatbelt.nodes import Form, Node, Number, Place, Symbol, Text, Truth

MAX_CHARACTERS = 2 * 1024**2
"""Longest profile that is read; the largest that Apple ships has about 200 KB."""

MAX_DEPTH = 60
"""Deepest nesting; people write about ten."""

_COMMENT_EDGE = re.compile(r"#\||\|#")
_PLAIN = re.compile(r'[^"\\]*')
_SPACE = re.compile(r"(?:\s|;[^\n]*)+", re.ASCII)
_ATOM = re.compile(r"""[^\s()";']+""", re.ASCII)
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}|#x[0-9a-fA-F]{1,15}|#o[0-7]{1,20}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_CODE = re.compile(r"[xX](?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2}|[0-7]{1,2}(?![0-7]))")
"""A byte by its number: two hexadecimal digits, or up to three octal ones (TinyScheme's ``readstrexp``)."""


class SyntaxProblem(BaselineError):
    """The text is no profile; ``place`` is where it goes wrong."""

    def __init__(self, message: str, *, place: Place, hint: str, origin: str) -> None:
        super().__init__(f"{origin}:{place}: {message}" if origin else f"{place}: {message}", hint=hint)
        self.place = place
        self.detail = message


def read(text: str, origin: str = "") -> tuple[Node, ...]:
    """The top-level expressions. ``origin`` names the file in messages.

    Raises:
        SyntaxProblem: an unbalanced parenthesis, a string or comment without end, or a character out of place.
    """
    return _Reader(text, origin).read()


class _Reader:
    """A loop with a stack of open forms: nesting costs no recursion."""

    def __init__(self, text: str, origin: str) -> None:
        self._text = text
        self._origin = origin
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._counted = 0
        self._open_forms: list[tuple[Place, list[Node]]] = [(Place(1, 1), [])]
        self._quotes: list[tuple[int, Place]] = []

    def read(self) -> tuple[Node, ...]:
        if len(self._text) > MAX_CHARACTERS:
            self._fail(f"longer than {MAX_CHARACTERS} characters", "expected a profile", Place(1, 1))
        if (end := self._text.find("\0")) >= 0:  # of a string in C: what follows need not be read
            self._at = end
            self._fail("a zero byte, behind which others may not read", "expected text", self._place())
        while self._skip():
            place = self._place()
            character = self._text[self._at]
            if character == "(":
                self._open(place)
            elif character == "'":
                self._at += 1
                self._quotes.append((len(self._open_forms), place))
            else:
                self._finished(self._close(place) if character == ")" else self._atom(place))
        if len(self._open_forms) > 1:
            self._fail("this ( is never closed", "expected a matching )", self._open_forms[-1][0])
        if self._quotes:
            self._fail("this ' quotes nothing", "expected an expression after it", self._quotes[-1][1])
        return tuple(self._open_forms[0][1])

    def _open(self, place: Place) -> None:
        self._at += 1
        if len(self._open_forms) > MAX_DEPTH:
            self._fail("nested too deeply", f"expected at most {MAX_DEPTH} levels", place)
        self._open_forms.append((place, []))

    def _close(self, place: Place) -> Form:
        self._at += 1
        if len(self._open_forms) == 1:
            self._fail("this ) closes nothing", "expected as many ( before it", place)
        if self._quotes and self._quotes[-1][0] == len(self._open_forms):
            self._fail("this ' quotes nothing", "expected an expression after it", self._quotes[-1][1])
        opened, items = self._open_forms.pop()
        return Form(tuple(items), opened)

    def _finished(self, node: Node) -> None:
        """Put a whole expression where it belongs, quoted as often as there are quotes before it."""
        while self._quotes and self._quotes[-1][0] == len(self._open_forms):
            _, place = self._quotes.pop()
            node = Form((Symbol("quote", place), node), place)
        self._open_forms[-1][1].append(node)

    def _skip(self) -> bool:
        """Pass white space and comments; whether anything is left."""
        while self._at < len(self._text):
            match = _SPACE.match(self._text, self._at)
            if match is not None:
                self._at = match.end()
            elif self._text.startswith("#|", self._at):
                self._block_comment()
            else:
                return True
        return False

    def _block_comment(self) -> None:
        start, depth = self._place(), 0
        while True:
            match = _COMMENT_EDGE.search(self._text, self._at)
            if match is None:
                self._fail("this comment never ends", "expected |#", start)
            depth += 1 if match[0] == "#|" else -1
            self._at = match.end()
            if depth == 0:
                return

    def _atom(self, place: Place) -> Node:
        if self._text[self._at] == '"':
            return self._string(place)
        if self._text.startswith('#"', self._at):
            return self._raw_string(place)
        match = _ATOM.match(self._text, self._at)
        word = match[0] if match else self._text[self._at]
        self._at += len(word)
        if word in {"#t", "#f"}:
            return Truth(word == "#t", place)
        if _NUMBER.fullmatch(word):
            base = {"#x": 16, "#o": 8}.get(word[:2], 10)
            return Number(int(word.lstrip("#xo") if base != 10 else word, base), place)
        if word.startswith("#") or not word.isprintable():
            self._fail(
                f"{word!r} is nothing that a profile has", "expected a name, a string, a number, #t or #f", place
            )
        return Symbol(word, place)

    def _string(self, place: Place) -> Text:
        parts, at = [], self._at + 1
        while True:
            match = _PLAIN.match(self._text, at)
            if match is None or match.end() >= len(self._text):
                self._fail("this string never ends", 'expected a closing "', place)
            parts.append(match[0])
            at = match.end()
            if self._text[at] == '"':
                self._at = at + 1
                whole = "".join(parts).encode(errors="surrogateescape")  # bytes that were written one by one
                return Text(whole.decode(errors="surrogateescape"), False, place)
            escape = self._text[at + 1 : at + 2]
            code = _CODE.match(self._text, at + 1)
            if code is not None:
                byte = int(code["hex"], 16) if code["hex"] else int(code["octal"], 8)
                parts.append(bytes([byte]).decode(errors="surrogateescape"))
                at = code.end()
            elif escape in _ESCAPES:
                parts.append(_ESCAPES[escape])
                at += 2
            else:
                self._at = at
                self._fail(f"\\{escape} is no escape", r"expected \" \\ \n \t \r \xHH or \OOO", self._place())

    def _raw_string(self, place: Place) -> Text:
        end = self._text.find('"', self._at + 2)
        if end < 0:
            self._fail("this string never ends", 'expected a closing "', place)
        value = self._text[self._at + 2 : end]
        self._at = end + 1
        return Text(value, True, place)

    def _place(self) -> Place:
        """Line and column of the next character; each character is counted once."""
        self._line += self._text.count("\n", self._counted, self._at)
        newline = self._text.rfind("\n", self._counted, self._at)
        if newline >= 0:
            self._line_start = newline + 1
        self._counted = self._at
        return Place(self._line, self._at - self._line_start + 1)

    def _fail(self, message: str, expected: str, place: Place) -> NoReturn:
        raise SyntaxProblem(message, place=place, hint=expected, origin=self._origin)
