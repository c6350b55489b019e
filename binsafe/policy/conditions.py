"""Conditions on the arguments of a system call, as the short text that a reviewer reads and as what a filter tests.

    condition  = test { "and" test }
    test       = argument [ "&" mask ] ( "==" value | "in" "{" value { "," value } "}" )
    argument   = "arg0" ... "arg5"
    mask       = [ "~" ] value
    value      = word | "(" word { "|" word } ")"
    word       = a name of `constants.CONSTANTS`, or a decimal or 0x number

Arguments are compared as the 64-bit registers that seccomp sees (``struct seccomp_data`` in linux/seccomp.h). A kernel
function that takes an ``int`` looks at the lower half only, so a caller with rubbish in the upper half is refused where
the kernel would have said yes: never the other way round, because every test asks for an exact value.
"""

import math
import re
from collections.abc import Iterator, Mapping
from itertools import product
from types import MappingProxyType

from binsafe.model import Condition
from binsafe.policy.constants import CONSTANTS

WORD: int = 0xFFFF_FFFF_FFFF_FFFF
"""The mask that leaves a 64-bit register as it is."""

MAX_TEXT = 1_000
"""Characters of one condition; the longest that we ship has 160."""

MAX_VALUES = 64
"""Values that one test may list, and forms that one condition may take when its tests are multiplied out."""

_WORDS: Mapping[tuple[str, int], tuple[str, ...]] = MappingProxyType(
    {
        ("socket", 0): ("AF_",),
        ("socket", 1): ("SOCK_",),
        ("socket", 2): ("IPPROTO_",),
        ("socketpair", 0): ("AF_",),
        ("socketpair", 1): ("SOCK_",),
        ("fcntl", 1): ("F_",),
        ("ioctl", 1): ("TC", "TIOC", "FIO"),
        ("prctl", 0): ("PR_",),
        ("arch_prctl", 0): ("ARCH_",),
    }
)
"""(call, argument) -> how the names of its values begin."""
_NAMES: Mapping[tuple[str, int], Mapping[int, str]] = MappingProxyType(
    {
        place: {value: name for name, value in CONSTANTS.items() if value and name.startswith(beginnings)}
        for place, beginnings in _WORDS.items()
    }
)

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|0x[0-9a-fA-F]{1,16}|0|[1-9][0-9]{0,19}|==|[&~|(){},]")
_ARGUMENT = re.compile(r"arg([0-5])")


class ConditionError(ValueError):
    """The text is no condition; ``column`` counts from 0."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


def parse_condition(text: str) -> tuple[Condition, ...]:
    """The tests of one condition, which must all hold.

    Raises:
        ConditionError: the text does not follow the grammar, names an unknown constant, or can never hold.
    """
    return _Parser(text).parse()


def holds(condition: tuple[Condition, ...], arguments: tuple[int, ...]) -> bool:
    """Whether six 64-bit arguments meet a condition: the meaning that every renderer must keep."""
    return all((arguments[test.argument] & test.mask) in test.values for test in condition)


def as_text(condition: tuple[Condition, ...], call: str) -> str:
    """The text that `parse_condition` reads back as this very condition, with the names that its values have there."""
    return " and ".join(_test_text(test, _NAMES.get((call, test.argument), {})) for test in condition)


def _test_text(test: Condition, names: Mapping[int, str]) -> str:
    left = f"arg{test.argument}" + ("" if test.mask == WORD else f" & {test.mask:#x}")
    values = [names.get(value) or (str(value) if value < 10 else f"{value:#x}") for value in test.values]
    return f"{left} == {values[0]}" if len(values) == 1 else f"{left} in {{{', '.join(values)}}}"


def forms(condition: tuple[Condition, ...]) -> int:
    """How many alternatives of single values a condition stands for, contradictions included."""
    return math.prod(len(test.values) for test in condition)


def multiply_out(condition: tuple[Condition, ...]) -> tuple[tuple[Condition, ...], ...]:
    """The same condition as alternatives of at most one test per argument, each with one value.

    For languages that know neither value lists nor two tests of one argument (libseccomp, thus OCI). Alternatives that
    contradict themselves are left out, so the result may be empty: such a condition never holds.
    """
    alternatives = []
    for choice in product(*([(test, value) for value in test.values] for test in condition)):
        merged: dict[int, tuple[int, int]] = {}
        for test, value in choice:
            mask, wanted = merged.get(test.argument, (0, 0))
            if (wanted ^ value) & mask & test.mask:
                break
            merged[test.argument] = (mask | test.mask, wanted | value)
        else:
            alternatives.append(
                tuple(Condition(argument=a, mask=m, values=(v,)) for a, (m, v) in sorted(merged.items()))
            )
    return tuple(dict.fromkeys(alternatives))


class _Parser:
    """Recursive descent over one line of text; the grammar has no recursion, so neither has this."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_TEXT:
            raise ConditionError(f"longer than {MAX_TEXT} characters", 0)
        self._tokens = tuple(_tokens(text))
        self._next = 0
        self._end = len(text)

    def parse(self) -> tuple[Condition, ...]:
        tests = [self._test()]
        while self._next < len(self._tokens):
            self._expect("and")
            tests.append(self._test())
        condition = tuple(tests)
        if forms(condition) > MAX_VALUES:
            raise ConditionError(f"takes {forms(condition)} forms, at most {MAX_VALUES} are allowed", 0)
        if not multiply_out(condition):
            raise ConditionError("contradicts itself: it can never hold", 0)
        return condition

    def _test(self) -> Condition:
        column, word = self._take("an argument, arg0 to arg5")
        match = _ARGUMENT.fullmatch(word)
        if match is None:
            raise ConditionError(f"expected an argument, arg0 to arg5, not {word!r}", column)
        mask = self._mask() if self._accept("&") else WORD
        if self._accept("=="):
            values = [self._value(mask)]
        else:
            self._expect("in", "'==' or 'in'")
            self._expect("{")
            values = [self._value(mask)]
            while self._accept(","):
                values.append(self._value(mask))
            self._expect("}")
        if len(set(values)) != len(values):
            raise ConditionError("a value stands twice in one list", column)
        return Condition(argument=int(match[1]), mask=mask, values=tuple(values))

    def _mask(self) -> int:
        column = self._column()
        mask = self._number() ^ WORD if self._accept("~") else self._number()
        if mask == 0:
            raise ConditionError("an empty mask tests nothing", column)
        return mask

    def _value(self, mask: int) -> int:
        column = self._column()
        value = self._number()
        if value & ~mask:
            raise ConditionError(f"can never hold: {value:#x} has bits outside the mask {mask:#x}", column)
        return value

    def _number(self) -> int:
        if not self._accept("("):
            return self._word()
        value = self._word()
        while self._accept("|"):
            value |= self._word()
        self._expect(")")
        return value

    def _word(self) -> int:
        column, word = self._take("a constant or a number")
        if word[0].isdigit():
            value = int(word, 16 if word[:2] == "0x" else 10)
            if value > WORD:
                raise ConditionError(f"{word} does not fit in 64 bits", column)
            return value
        if word not in CONSTANTS:
            raise ConditionError(f"unknown constant {word!r}", column)
        return CONSTANTS[word]

    def _column(self) -> int:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else self._end

    def _take(self, expected: str) -> tuple[int, str]:
        if self._next == len(self._tokens):
            raise ConditionError(f"ends where {expected} should stand", self._end)
        self._next += 1
        return self._tokens[self._next - 1]

    def _accept(self, token: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next][1] == token:
            self._next += 1
            return True
        return False

    def _expect(self, token: str, description: str | None = None) -> None:
        column, found = self._take(description or repr(token))
        if found != token:
            raise ConditionError(f"expected {description or repr(token)}, not {found!r}", column)


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Each token with its column."""
    position = 0
    while position < len(text):
        if text[position] == " ":
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise ConditionError(f"unexpected {text[position]!r}", position)
        yield position, match[0]
        position = match.end()
