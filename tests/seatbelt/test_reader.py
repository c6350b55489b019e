"""Reading: places are right, and what TinyScheme would misread in silence is refused where it begins."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binsafe.errors import BinsafeError
from binsafe.seatbelt import SyntaxProblem, evaluate, read
from binsafe.seatbelt.nodes import Form, Number, Place, Symbol, Text, Truth


def test_every_kind_of_expression_and_where_it_stands():
    (form,) = read('; a\n#| b #| c |# |#\n (allow x "a\\"\\n" #"^/\\.b" -3 #x1f #t \'q)')
    assert form.place == Place(3, 2)
    assert [type(item) for item in form.items] == [Symbol, Symbol, Text, Text, Number, Number, Truth, Form]
    assert [getattr(item, "value", None) for item in form.items[2:7]] == ['a"\n', "^/\\.b", -3, 31, True]
    assert form.items[3].raw
    assert form.items[7].items == (Symbol("quote", Place(3, 39)), Symbol("q", Place(3, 40)))
    assert form.items[7].place == Place(3, 39)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("(version 1)\n(allow file-read*", "2:1", "never closed"),
        ('(version 1)\n(allow (literal "/a")\n(deny x)', "2:1", "never closed"),
        ("(version 1))", "1:12", "closes nothing"),
        ('(a\n "b', "2:2", "string never ends"),
        ('(a #"b', "1:4", "string never ends"),
        ("(a #| b", "1:4", "comment never ends"),
        ('(a "\\q")', "1:5", "no escape"),
        ("(a #z)", "1:4", "nothing that a profile has"),
        ("(a ')", "1:4", "quotes nothing"),
        ("'", "1:1", "quotes nothing"),
        ("(a \x1b[31m)", "1:4", "nothing that a profile has"),
        ("(a \xa0 b)", "1:4", "nothing that a profile has"),
        ("(a)\n; \0\n(deny default)", "2:3", "zero byte"),
        ("(" * 1000, "1:61", "nested too deeply"),
    ],
)
def test_what_is_refused_and_where(text: str, place: str, message: str):
    with pytest.raises(SyntaxProblem, match=message) as caught:
        read(text, "p.sb")
    assert str(caught.value).startswith(f"p.sb:{place}: ")
    assert caught.value.hint


@given(st.text(alphabet="()'\"#|\\; \na1*-tf/", max_size=60))
def test_any_text_is_read_and_evaluated_or_refused(text: str):
    with suppress(BinsafeError):
        evaluate(read(text))


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (r'"/a\040b"', "/a b"),
        (r'"\7\12x"', "\x07\nx"),
        (r'"/caf\303\251"', "/caf\xe9"),
        (r'"/caf\xc3\xa9"', "/caf\xe9"),
        (r'"\X41"', "A"),
        (r'"\377"', "\udcff"),
    ],
)
def test_bytes_of_a_string_by_their_numbers(written: str, read_as: str):
    [text] = read(written)
    assert text.value == read_as


@pytest.mark.parametrize("written", [r'"\400"', r'"\8"', r'"\x4"', r'"\."'])
def test_numbers_that_are_no_bytes(written: str):
    with pytest.raises(SyntaxProblem, match="no escape"):
        read(written)
