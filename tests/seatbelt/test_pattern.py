"""Patterns: the same answers as Python's engine where the dialects agree, in linear time where it would not end."""

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from binsafe.seatbelt.pattern import Pattern, PatternError


@given(st.text(alphabet="ab.*+?|()^$[]-\\", max_size=9), st.text(alphabet="ab-.", max_size=7))
def test_the_same_as_pythons(pattern: str, subject: str):
    assume(not re.search(r"[*+?]{2}|\[\]|\[\^\]|\[\[|--|\[.*\|\||\\[ab]|\(\?", pattern))
    try:
        theirs = re.compile(pattern)
    except re.error:
        return
    try:
        ours = Pattern(pattern)
    except PatternError:
        return
    assert ours.search(subject) == bool(theirs.search(subject))


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("^/dev/ttys[0-9]+$", "/dev/ttys12", "/dev/ttysx"),
        (r"^/a\.b", "/a.b", "/axb"),
        ("/(x|y)?z", "/z", "/w"),
        ("^[^/]*$", "abc", "a/b"),
        ("[]a]", "]", "b"),
        ("", "", None),
    ],
)
def test_patterns_of_profiles(pattern: str, yes: str, no: str | None):
    assert Pattern(pattern).search(yes)
    assert no is None or not Pattern(pattern).search(no)


@pytest.mark.parametrize("pattern", ["(a", "a)", "[a", "*a", "[b-a]", "a\\", "(" * 100, "a" * 5000])
def test_what_is_no_pattern(pattern: str):
    with pytest.raises(PatternError):
        Pattern(pattern)


def test_no_pattern_explodes():
    before = time.process_time()
    assert not Pattern("(a*)*(a|aa)*(a*a*)*b").search("a" * 2000)
    assert time.process_time() - before < 2
