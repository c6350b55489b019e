"""The doctor finds out by doing: what it says is what a launch finds."""

import json
import subprocess
import sys

import pytest

from binsafe import kernel
from binsafe.sandbox import diagnose

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


def test_a_machine_that_runs_these_tests_is_found_fit():
    diagnosis = diagnose()
    assert diagnosis.default == "namespaces"
    assert {each.name: each.enforcement for each in diagnosis.backends}["namespaces"] == "full"


@pytest.mark.parametrize("abi", [0, 1, 2, 3, 4, 5, 6])
def test_what_an_older_landlock_lacks_is_held_by_other_layers(monkeypatch: pytest.MonkeyPatch, abi: int):
    """Debian 12 has version 2. Without namespaces files are Landlock's, so there it must have one."""
    monkeypatch.setattr(kernel, "landlock_abi", lambda: abi)
    found = {each.name: each.enforcement for each in diagnose().backends}
    assert (found["namespaces"], found["landlock"]) == ("full", "full" if abi else "none")


def test_it_says_the_same_on_a_busy_machine():
    """A filter that was installed between two looks for its listener was once taken for a stage that had died."""
    command = [sys.executable, "-m", "binsafe", "doctor", "--json"]
    asked = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(8)]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in asked]
    assert [each["default"] for each in told] == ["namespaces"] * len(told)
    assert all(backend["enforcement"] != "none" for each in told for backend in each["backends"][:2])
