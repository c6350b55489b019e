"""What cannot be told of a profile is unknown: neither allowed, nor denied."""

import pytest
from asked import verdict
from hypothesis import given
from hypothesis import strategies as st

from binsafe.seatbelt.vocabulary import covers


@pytest.mark.parametrize(
    ("rule", "operation", "subject"),
    [
        ('(allow file-read* (regex #"^/a("))', "file-read-data", "/a/b"),
        ('(allow network-bind (local tcp "localhost:4000"))', "network-bind", "localhost"),
        ('(allow network-bind (local tcp "localhost"))', "network-bind", "127.0.0.1:4000"),
    ],
)
def test_what_cannot_be_read_is_neither_allowed_nor_denied(rule: str, operation: str, subject: str):
    assert verdict(f"(version 1)(deny default){rule}", operation, subject) == "unknown"
    assert verdict(f"(version 1)(allow default){rule.replace('allow', 'deny')}", operation, subject) == "unknown"


ELSEWHERE = ("network-outbound", "192.0.2.1:80")


@pytest.mark.parametrize(
    ("text", "operation", "subject"),
    [
        ('(define f (if (param "A") (lambda () (allow network*)) (lambda () 1))) (f)', *ELSEWHERE),
        ('((if (param "A") list +) (allow network*))', *ELSEWHERE),
        ("(for-each (lambda (x) (allow network*)) (if (param \"A\") '(1) '()))", *ELSEWHERE),
        ('(map (lambda (x) (allow network-outbound (remote ip x))) (param "A"))', *ELSEWHERE),
        ('(define x #f) (for-each (lambda (y) (set! x #t)) (param "A")) (if x (allow network*))', *ELSEWHERE),
        ('(import "x.sb") (deny network*)', *ELSEWHERE),
        ('(import "x.sb") (deny network* (remote ip "*:*"))', *ELSEWHERE),
        ('(allow network-outbound (remote tcp "*:1" "*:80"))', *ELSEWHERE),
        ('(allow network-outbound (remote tcp "localhost:80"))', "network-outbound", "127.1:80"),
        ('(allow network-outbound (remote tcp "localhost:80"))', "network-outbound", "mac.local:80"),
        ("(allow signal (target same-sandbox))", "signal", "self"),
        ("(allow signal (target pgrp))", "signal", "self"),
        ("(allow signal (target same-sandbox))", "signal", "others"),
        ('(allow file-read* (subpath "/private/tmp"))', "file-read-data", "/TMP/x"),
        ('(allow file-read* (subpath "/Users"))', "file-read-data", "/System/Volumes/Data/Users/x"),
        ('(allow file-read* (subpath "/Users"))', "file-read-data", "/Volumes/Macintosh HD/Users/x"),
        ('(allow file-read* (regex #"^/[[:alpha:]]+$"))', "file-read-data", "/abc"),
        ('(allow file-read* (regex #"^/a{2}$"))', "file-read-data", "/aa"),
        ('(allow file-read* (regex #"^/\\d$"))', "file-read-data", "/1"),
    ],
)
def test_denied_is_said_only_where_nothing_could_allow_it(text: str, operation: str, subject: str):
    assert verdict(f"(version 1)(deny default){text}", operation, subject) != "denied"


@pytest.mark.parametrize(
    ("text", "given", "operation", "subject", "expected"),
    [
        ('(or (param "A") (deny network*))', {}, *ELSEWHERE, "unknown"),
        ('(or (param "A") (deny network*))', {"A": "1"}, *ELSEWHERE, "allowed"),
        ('(if (and (param "A") #f) (deny network*))', {}, *ELSEWHERE, "allowed"),
        ('(if (or (param "A") #t) (deny network*))', {}, *ELSEWHERE, "denied"),
        ('(and #t (param "A") (deny network*) (deny signal))', {}, "signal", "self", "unknown"),
        ('(deny network-outbound (remote unix-socket "/a"))', {}, "network-outbound", "unix:/b", "unknown"),
    ],
)  # fmt: skip
def test_what_may_not_be_evaluated_is_in_doubt(
    text: str, given: dict[str, str], operation: str, subject: str, expected: str
):
    assert verdict(f"(version 1)(allow default){text}", operation, subject, **given) == expected


@pytest.mark.parametrize(
    ("operation", "subject", "expected"),
    [
        ("file-read-data", "/usr/lib/../../etc/passwd", "unknown"),
        ("file-read-data", "/usr//lib/./x/", "allowed"),
        ("file-read-data", "/USR/lib/x", "unknown"),
        ("file-read-data", "/opt/cafe\u0301", "unknown"),
        ("file-read-data", "/opt/caf\xe9", "allowed"),
        ("file-read-metadata", "/tmp", "allowed"),
        ("file-read-data", "/tmp", "denied"),
        ("file-read-metadata", "/private/tmp", "denied"),
        ("file-write-data", "/usr/lib/x", "denied"),
    ],
)
def test_other_spellings_of_a_path(operation: str, subject: str, expected: str):
    rules = (
        '(allow file-read* (subpath "/usr/lib") (literal "/opt/caf\xe9"))(allow file-read-metadata (literal "/tmp"))'
    )
    assert verdict(f"(version 1)(deny default){rules}", operation, subject) == expected


Written = tuple[str, str, str | None]
"""Action, operation, folder."""


def readings(rules: list[Written], operation: str, path: str):
    """What each reading of the language says that fits the profiles which are known to work."""
    speaking = [
        (action, name, folder) for action, name, folder in rules if covers(name, operation) and holds(folder, path)
    ]
    names = sorted({name for _, name, _ in speaking}, key=len, reverse=True)
    # Each operation has rules of its own, and asks its family only where none of those speaks.
    by_name = [[action for action, n, folder in speaking if n == name and folder] for name in names]
    plain = [[action for action, n, folder in speaking if n == name and not folder] for name in names]
    yield next((each[-1] if each else last[-1] for each, last in zip(by_name, plain, strict=True)), "deny")
    # All rules with filters come before all without.
    with_filter = [action for action, _, folder in speaking if folder]
    without = [(len(name), index, action) for index, (action, name, folder) in enumerate(speaking) if not folder]
    yield with_filter[-1] if with_filter else max(without, default=(0, 0, "deny"))[2]


def holds(folder: str | None, path: str) -> bool:
    return folder is None or f"{path}/".startswith(f"{folder}/")


RULE = st.tuples(
    st.sampled_from(["allow", "deny"]),
    st.sampled_from(["file*", "file-read*", "file-read-data"]),
    st.sampled_from([None, "/a", "/a/b"]),
)


@given(st.lists(RULE, max_size=5), st.sampled_from(["/a", "/a/b/c", "/b"]))
def test_a_sure_answer_is_what_every_reading_says(rules: list[Written], path: str):
    written = (f"({act} {name}" + (f' (subpath "{where}"))' if where else ")") for act, name, where in rules)
    answer = verdict("(version 1)(deny default)" + "".join(written), "file-read-data", path)
    said = set(readings(rules, "file-read-data", path))
    assert answer == "unknown" or said == {answer.removesuffix("ed").replace("deni", "deny")}


def test_what_a_filter_matches_where_it_does_not_belong_is_not_known():
    """Apple's own profiles have such rules, so that they compile."""
    text = '(version 1)(deny default)(allow user-preference-read (global-name "a"))(allow mach-lookup (subpath "/a"))'
    assert verdict(text, "user-preference-read", "a") == "unknown"
    assert verdict(text, "mach-lookup", "/a/b") == "unknown"
    assert verdict(text, "mach-register", "a") == "denied"
