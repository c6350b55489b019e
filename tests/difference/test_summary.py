"""The sentence that says what matters most of all changes, and what comes first."""

from typing import Any

import pytest
from two_reports import INCOMPLETE, UNSIGNED, capability, difference, network, signed

from binsafe.model import (
    Library,
)


def test_the_network_comes_first():
    new: dict[str, Any] = {
        "network": network("connect"), "capabilities": (capability("execute"),), **UNSIGNED
    }  # fmt: skip
    compared = difference(signed(), new)
    assert compared.summary == "The new version wants the network now: it can connect."
    assert [change.id for change in compared.changes][:2] == ["gained-connect", "gained-network"]
    assert compared.changes[0].evidence


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({}, {"network": network(verdict="unknown")}, "cannot be told any more"),
        ({"network": network(verdict="unknown")}, {"network": network("listen")}, "uses the network"),
        ({"network": network("connect")}, {"network": network("connect", "listen")}, "new ways"),
        (signed(), UNSIGNED, "not signed any more"),
        (signed(), signed(team_id="Z"), "by somebody else"),
        ({}, {"capabilities": (capability("execute"),)}, "new capabilities: execute"),
        ({}, {"rpaths": ("x",)}, "1 change in the new version should be looked at: rpath"),
        ({}, {"libraries": (Library(name="x", kind="needed"),)}, "Nothing alarming changed: 1 smaller change."),
        ({}, {}, "No difference in what they can do."),
        (INCOMPLETE, INCOMPLETE, "as far as they could be compared"),
    ],
)
def test_one_sentence_says_what_matters(old: dict, new: dict, words: str):
    assert words in difference(old, new).summary
