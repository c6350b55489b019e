"""Regular expressions as Seatbelt has them, matched without backtracking: a profile's pattern costs linear time.

The dialect is that of AppleMatch: literals, ``.``, ``[...]``, ``*``, ``+``, ``?``, ``|``, groups, ``^`` and ``$``. A
pattern that is not anchored matches anywhere. The matcher walks all threads of Thompson's automaton at once.
"""

from collections.abc import Callable, Iterator

MAX_STATES = 1_000
"""Parts of one pattern; people's have about a hundred."""

_Test = Callable[[str], bool]


class PatternError(ValueError):
    """The text is no pattern; ``column`` counts from 0."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


class UnknownPattern(PatternError):
    """What it means is in no source: engines differ there."""


class Pattern:
    """A compiled pattern.

    Raises:
        PatternError: it is none, or has more than `MAX_STATES` parts.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tests: list[_Test | None] = []
        self._edges: list[list[tuple[int, str]]] = []
        self._start, ends = self._choice()
        if self._at < len(text):
            raise PatternError("this ) closes nothing", self._at)
        self._accept = self._state()
        self._join(ends, self._accept)

    def search(self, subject: str) -> bool:
        """Whether it matches anywhere in the subject (where it does not itself ask for the beginning or end)."""
        threads: set[int] = set()
        for at in range(len(subject) + 1):
            self._add(threads, self._start, at, len(subject))
            if self._accept in threads:
                return True
            if at == len(subject):
                return False
            following: set[int] = set()
            for state in threads:
                test = self._tests[state]
                if test is not None and test(subject[at]):
                    for target, _ in self._edges[state]:
                        self._add(following, target, at + 1, len(subject))
            threads = following
            if self._accept in threads:
                return True
        return False

    def _add(self, threads: set[int], state: int, at: int, length: int) -> None:
        """A thread and all that it reaches without reading a character."""
        waiting = [state]
        while waiting:
            current = waiting.pop()
            if current in threads:
                continue
            threads.add(current)
            if self._tests[current] is None:
                for target, anchor in self._edges[current]:
                    if (anchor == "^" and at != 0) or (anchor == "$" and at != length):
                        continue
                    waiting.append(target)

    def _state(self, test: _Test | None = None) -> int:
        if len(self._tests) >= MAX_STATES:
            raise PatternError(f"more than {MAX_STATES} parts", 0)
        self._tests.append(test)
        self._edges.append([])
        return len(self._tests) - 1

    def _join(self, ends: list[tuple[int, str]], target: int) -> None:
        for state, anchor in ends:
            self._edges[state].append((target, anchor))

    def _choice(self, depth: int = 0) -> tuple[int, list[tuple[int, str]]]:
        if depth > 50:  # far beyond what anybody writes
            raise PatternError("nested too deeply", self._at)
        fork, ends = self._state(), []
        while True:
            first, last = self._sequence(depth)
            self._edges[fork].append((first, ""))
            ends += last
            if self._peek() != "|":
                return fork, ends
            self._at += 1

    def _sequence(self, depth: int) -> tuple[int, list[tuple[int, str]]]:
        start = self._state()
        ends = [(start, "")]
        while (character := self._peek()) and character not in "|)":
            first, last = self._repeated(depth)
            self._join(ends, first)
            ends = last
        return start, ends

    def _repeated(self, depth: int) -> tuple[int, list[tuple[int, str]]]:
        first, ends = self._single(depth)
        while (sign := self._peek()) and sign in "*+?":
            self._at += 1
            fork = self._state()
            self._edges[fork].append((first, ""))
            if sign in "*+":
                self._join(ends, fork)
                ends = [(fork, "")]
            else:
                ends = [*ends, (fork, "")]
            first = first if sign == "+" else fork
        return first, ends

    def _single(self, depth: int) -> tuple[int, list[tuple[int, str]]]:
        character = self._text[self._at]
        at = self._at
        self._at += 1
        if character in "^$":
            state = self._state()
            return state, [(state, character)]
        if character == "(":
            inner = self._choice(depth + 1)
            if self._peek() != ")":
                raise PatternError("this ( is never closed", at)
            self._at += 1
            return inner
        if character == "{" and self._peek().isdecimal():
            raise UnknownPattern("whether { counts is not known", at)
        if character in "*+?":
            raise PatternError(f"this {character} repeats nothing", at)
        state = self._state(self._character_test(character, at))
        return state, [(state, "")]

    def _character_test(self, character: str, at: int) -> _Test:
        if character == ".":
            return lambda _: True
        if character == "[":
            return self._class(at)
        if character == "\\":
            if not self._peek():
                raise PatternError("this \\ escapes nothing", at)
            character = self._text[self._at]
            if character.isalnum():
                raise UnknownPattern(f"what \\{character} stands for is not known", at)
            self._at += 1
        return character.__eq__

    def _class(self, at: int) -> _Test:
        negated = self._peek() == "^"
        self._at += negated
        ranges: list[tuple[str, str]] = []
        for low, high in self._members(at):
            if low > high:
                raise PatternError(f"the range {low}-{high} ends before it begins", at)
            ranges.append((low, high))
        return lambda c: any(low <= c <= high for low, high in ranges) != negated

    def _members(self, at: int) -> Iterator[tuple[str, str]]:
        first = True
        while (low := self._peek()) and (low != "]" or first):
            first = False
            self._at += 1
            if low == "[" and self._peek() in {":", ".", "="}:
                raise UnknownPattern(f"what [{self._peek()} stands for is not known", at)
            if low == "\\" and self._peek():
                low = self._text[self._at]
                self._at += 1
            high = low
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                high = self._text[self._at + 1]
                self._at += 2
            yield low, high
        if self._peek() != "]":
            raise PatternError("this [ is never closed", at)
        self._at += 1

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]
