"""The procedures of Scheme that profiles use, on values that may be unknown. None has an effect."""

import operator
import re
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from binsafe.seatbelt.program import Unknown, shown

MAX_TEXT = 65_536
"""Characters of a string that a profile puts together."""

MAX_LIST = 65_536


class ProcedureError(ValueError):
    """A procedure got what it does not take; the text says what was expected."""


def _texts(*values: Any) -> tuple[str, ...]:
    for value in values:
        if not isinstance(value, str):
            raise ProcedureError(f"expected a string, not {shown(value)}")
    return values


def _numbers(*values: Any) -> tuple[int, ...]:
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value.bit_length() > 64:  # a word
            raise ProcedureError(f"expected a number, not {shown(value)}")
    return values


def _sequence(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise ProcedureError(f"expected a list, not {shown(value)}")
    return value


def _append_text(*parts: Any) -> str:
    text = "".join(_texts(*parts))
    if len(text) > MAX_TEXT:
        raise ProcedureError(f"expected a string of at most {MAX_TEXT} characters")
    return text


def _substring(text: Any, start: Any, end: Any = None) -> str:
    (text,) = _texts(text)
    start, end = _numbers(start, len(text) if end is None else end)
    if not 0 <= start <= end <= len(text):
        raise ProcedureError("expected a range inside the string")
    return str(text[start:end])


def _to_number(text: Any) -> Any:
    (text,) = _texts(text)
    return int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else False


def _compare(test: Callable[[int, int], bool]) -> Callable[..., bool]:
    return lambda *values: all(test(a, b) for a, b in pairwise(_numbers(*values)))


def _fold(step: Callable[[int, int], int], start: int) -> Callable[..., int]:
    return lambda *values: reduce(step, _numbers(*values), start)


def _minus(first: Any, *rest: Any) -> int:
    first, *others = _numbers(first, *rest)
    return int(first - sum(others) if others else -first)


def _same(first: Any, second: Any) -> bool:
    return type(first) is type(second) and first == second


def _car(value: Any) -> Any:
    items = _sequence(value)
    if not items:
        raise ProcedureError("expected a list that is not empty")
    return items[0]


def _append(*lists: Any) -> tuple[Any, ...]:
    joined = tuple(item for each in lists for item in _sequence(each))
    if len(joined) > MAX_LIST:
        raise ProcedureError(f"expected a list of at most {MAX_LIST} items")
    return joined


def _list_tail(value: Any) -> tuple[Any, ...]:
    _car(value)
    return _sequence(value)[1:]


def _io(group: Any, number: Any) -> int:
    """The number of a control call without data, as ``sys/ioccom.h`` makes it."""
    (group,), (number,) = _texts(group), _numbers(number)
    if len(group) != 1 or not (group.isascii() and 0 <= number <= 0xFF):
        raise ProcedureError("expected a letter and a number of 8 bits")
    value: int = 1 << 29 | ord(group) << 8 | number
    return value


def _quote_pattern(text: Any) -> str:
    (text,) = _texts(text)
    return re.sub(r"([\\.\[\]{}()*+?^$|])", r"\\\1", text)


ON_KNOWN_VALUES: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "string-append": _append_text,
        "string-length": lambda text: len(_texts(text)[0]),
        "substring": _substring,
        "string=?": lambda a, b: _texts(a, b)[0] == b,
        "string?": lambda value: isinstance(value, str),
        "string->number": _to_number,
        "number->string": lambda value: str(_numbers(value)[0]),
        "number?": lambda value: isinstance(value, int) and not isinstance(value, bool),
        "boolean?": lambda value: isinstance(value, bool),
        "zero?": lambda value: _numbers(value)[0] == 0,
        "regex-quote": _quote_pattern,
        "_IO": _io,
        "=": _compare(operator.eq),
        "<": _compare(operator.lt),
        ">": _compare(operator.gt),
        "<=": _compare(operator.le),
        ">=": _compare(operator.ge),
        "+": _fold(operator.add, 0),
        "*": _fold(operator.mul, 1),
        "-": _minus,
        "equal?": _same,
        "eqv?": _same,
        "eq?": _same,
        "not": lambda value: value is False,
    }
)
"""Procedures whose result is unknown as soon as one argument is."""

ON_ALL_VALUES: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "list": lambda *items: items,
        "cons": lambda first, rest: _append((first,), rest),
        "car": _car,
        "cdr": _list_tail,
        "cadr": lambda value: _car(_sequence(value)[1:2]),
        "append": _append,
        "length": lambda value: len(_sequence(value)),
        "reverse": lambda value: _sequence(value)[::-1],
        "null?": lambda value: value == (),
        "pair?": lambda value: isinstance(value, tuple) and value != (),
        "list?": lambda value: isinstance(value, tuple),
    }
)
"""Procedures that pass unknown values on."""


COMPARING: Final = frozenset({"equal?", "eqv?", "eq?"})
"""Those that go through all of their arguments."""

MAKING: Final = frozenset({"string-append", "substring", "regex-quote", "list", "cons", "cdr", "append", "reverse"})
"""Those that make a text or a list, as large as nobody wrote one."""


def call(name: str, arguments: tuple[Any, ...]) -> Any:
    """The result of a procedure of either table.

    Raises:
        ProcedureError: it does not take these arguments.
    """
    procedure = ON_KNOWN_VALUES.get(name)
    if procedure is not None:
        unknown = [shown(argument) for argument in arguments if isinstance(argument, Unknown)]
        if unknown:
            return Unknown(f"({name} ... {unknown[0]})" if len(unknown[0]) < 80 else unknown[0])  # a line
    else:
        procedure = ON_ALL_VALUES[name]
        if any(isinstance(argument, Unknown) for argument in arguments) and name not in {"list", "cons"}:
            return next(argument for argument in arguments if isinstance(argument, Unknown))
    try:
        return procedure(*arguments)
    except TypeError:
        raise ProcedureError("expected another number of arguments") from None
