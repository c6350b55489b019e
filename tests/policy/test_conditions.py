"""Conditions: the grammar a reviewer reads, and the one meaning every renderer must keep."""

import fcntl
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binsafe.model import Condition
from binsafe.policy.conditions import MAX_VALUES, WORD, ConditionError, holds, multiply_out, parse_condition
from binsafe.policy.constants import CONSTANTS, HEADERS


def met(text: str, *arguments: int) -> bool:
    return holds(parse_condition(text), (*arguments, *[0] * (6 - len(arguments))))


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("arg2 & PROT_EXEC == 0", (0, 0, 3), (0, 0, 7)),
        ("arg0 in {AF_INET, AF_INET6}", (10,), (1,)),
        ("arg1 & ~(SOCK_NONBLOCK | SOCK_CLOEXEC) == SOCK_STREAM", (0, 0o2004001), (0, 2)),
        ("arg1 & ~(SOCK_NONBLOCK | SOCK_CLOEXEC) == SOCK_STREAM", (0, 1), (0, 1 | 1 << 40)),
        ("arg0 & CLONE_THREAD == CLONE_THREAD and arg0 & CLONE_NEWNET == 0", (0x10000,), (0x40010000,)),
        ("arg0 == 0 and arg2 == 0", (0, 5, 0), (0, 5, 0x1_0000_0000)),
        ("arg5 == 0xffffffffffffffff", (0, 0, 0, 0, 0, WORD), (0, 0, 0, 0, 0, WORD >> 1)),
        ("arg1 == F_SETFL and arg2 & O_ASYNC == 0", (0, 4, 0o4000), (0, 4, 0o24000)),
    ],
)
def test_condition_means_what_it_says(text: str, yes: tuple[int, ...], no: tuple[int, ...]):
    assert met(text, *yes)
    assert not met(text, *no)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 0, "ends where an argument"),
        ("arg6 == 0", 0, "expected an argument"),
        ("arg0 = 0", 5, "unexpected '='"),
        ("arg0 == AF_INTE", 8, "unknown constant 'AF_INTE'"),
        ("arg0 == 010", 9, "expected 'and'"),
        ("arg0 == -1", 8, "unexpected '-'"),
        ("arg0 in AF_INET", 8, "expected '{'"),
        ("arg0 in {AF_INET AF_INET6}", 17, "expected '}'"),
        ("arg0 in {2, AF_INET}", 0, "twice"),
        ("arg0 & 0 == 0", 7, "empty mask"),
        ("arg0 & 1 == 2", 12, "can never hold"),
        ("arg0 & 1 == 1 and arg0 & 1 == 0", 0, "contradicts itself"),
        ("arg0 == 99999999999999999999", 8, "64 bits"),
        ("arg0 == 0 or arg1 == 0", 10, "expected 'and'"),
        ("arg0 == 0 and", 13, "ends where an argument"),
        ("arg0 == (AF_INET | AF_INET6", 27, "ends where"),
        ("arg0 == 0; drop", 9, "unexpected ';'"),
        ("arg0 == ²", 8, "unexpected"),
        (f"arg0 in {{{','.join(map(str, range(MAX_VALUES + 1)))}}}", 0, "forms"),
        ("arg0 == 0 and " * 100, 0, "longer than"),
    ],
)
def test_what_is_no_condition_is_refused_at_its_column(text: str, column: int, message: str):
    with pytest.raises(ConditionError, match=message) as caught:
        parse_condition(text)
    assert caught.value.column == column


@given(st.text(alphabet="arg012345 &~=in{},|()AF_INETx9and", max_size=60))
def test_any_text_is_a_condition_or_a_condition_error(text: str):
    try:
        parse_condition(text)
    except ConditionError as problem:
        column = problem.column
    else:
        column = 0
    assert 0 <= column <= len(text)


words = st.sampled_from([0, 1, 2, 3, 6, 1 << 31, 1 << 32, (1 << 32) | 1, WORD])


@st.composite
def argument_tests(draw: st.DrawFn):
    mask = draw(st.sampled_from([1, 3, 7, 0xFFFF_FFFF, 0xFFFF_FFFF << 32, WORD]))
    values = draw(st.lists(words.map(lambda value: value & mask), min_size=1, max_size=3, unique=True))
    return Condition(argument=draw(st.integers(0, 2)), mask=mask, values=tuple(values))


@given(st.lists(argument_tests(), min_size=1, max_size=3).map(tuple), st.tuples(words, words, words))
def test_multiplying_out_keeps_the_meaning(condition: tuple[Condition, ...], arguments: tuple[int, ...]):
    arguments += (0, 0, 0)
    alternatives = multiply_out(condition)
    assert any(holds(alternative, arguments) for alternative in alternatives) == holds(condition, arguments)
    for alternative in alternatives:
        assert len({test.argument for test in alternative}) == len(alternative)
        assert all(len(test.values) == 1 for test in alternative)


def test_constants_are_the_kernels():
    """Python knows many of them from the C library's headers: those must agree (all on Linux, few elsewhere)."""
    compared = 0
    for name, value in CONSTANTS.items():
        for module in (socket, fcntl):
            if hasattr(module, name) and name != "O_ASYNC":
                assert getattr(module, name) == value, name
                compared += 1
    assert compared >= 25


def test_each_constant_stands_under_one_header():
    assert len(CONSTANTS) == sum(len(constants) for constants in HEADERS.values())
