"""The doctor finds out by doing: what it says is what a launch finds."""

import sys

import pytest

from binsafe.sandbox import diagnose

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


def test_a_machine_that_runs_these_tests_is_found_fit():
    diagnosis = diagnose()
    assert diagnosis.default == "namespaces"
    assert {each.name: each.enforcement for each in diagnosis.backends}["namespaces"] == "full"
