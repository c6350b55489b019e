"""Proposals: each grant once, with its reason; what the denied program wrote never becomes more than a value."""

import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from binsafe.errors import BaselineError
from binsafe.model import Violation
from binsafe.policy.proposals import proposals


def line(grant: str | None, **facts: object):
    known = {"time": 1.0, "pid": 7, "operation": "bind", "object": "0.0.0.0:4010", "syscall": "bind", "result": "EPERM"}
    return msgspec.json.encode(Violation(grant=grant, **(known | facts))).decode()


def test_each_grant_once_with_its_count_and_reason():
    found = proposals(
        [
            line("--ports :4010"),
            "",
            line("--ports :4010", predicted=True),
            line("--read /etc/hosts", operation="open", object="/etc/hosts"),
            line("--connect example.org:443"),
            line(None),
            line("--ports :9", expected=True),
        ],
        "v.jsonl",
    )
    assert [each.words for each in found] == [
        ("--ports", ":4010"),
        ("--read", "/etc/hosts"),
        ("--connect", "example.org:443"),
    ]
    assert found[0].reason == "bind 0.0.0.0:4010 was denied 2 times; inspection had not found this"
    assert found[1].reason == "open /etc/hosts was denied once; inspection had not found this"
    assert "data can leave" in found[2].reason


@pytest.mark.parametrize(
    "grant",
    [
        "--ports :70000",
        "--ports 1-65535",
        "--read /a/../b",
        "--read etc",
        "--read /a --write /",
        "--write /a\n--exec /bin/sh",
        "--baseline any",
        "--allow-partial",
        "; rm -rf /",
        "--read ",
    ],
)
def test_what_is_no_value_of_an_option_is_no_proposal(grant: str):
    assert all(" " in value or value.startswith("/") for _, value in (p.words for p in proposals([line(grant)], "v")))
    assert [p.words for p in proposals([line(grant)], "v")] in ([], [("--read", "/a --write /")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "v.jsonl:1:2: no JSON"),
        ("[]", "v.jsonl:1:1: Expected"),
        ('{"pid": 1}', "v.jsonl:1:1: "),
        ("[" * 9999, "1:1"),
    ],
)
def test_what_is_no_report(text: str, message: str):
    with pytest.raises(BaselineError) as caught:
        proposals([text], "v.jsonl")
    assert message in str(caught.value)
    assert "binsafe run --report" in caught.value.hint


@given(st.text(max_size=80))
def test_any_grant_is_a_checked_value_or_nothing(text: str):
    for proposal in proposals([line("--write " + text)], "v"):
        assert proposal.value.startswith("/") or proposal.value == "scratch"
        assert not {unicodedata.category(character) for character in proposal.value} & {"Cc", "Cs", "Zl", "Zp"}
