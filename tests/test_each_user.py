"""A test that could tell who runs it is never left out for root without a word."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from os import geteuid
from pathlib import Path

import pytest
from each_user import ALIKE, TESTS, is_alike, is_left_to_the_user, only_tools


@pytest.mark.parametrize(
    "tells",
    [
        lambda: os.geteuid(),  # noqa: PLW0108 - looked up when it is called
        geteuid,
        lambda: os.access("/etc/shadow", os.R_OK),
        lambda: subprocess.run([sys.executable, "--version"], check=True),
        lambda: subprocess.check_output("/bin/sh"),
    ],
)
def test_who_runs_it_is_not_told(tells: Callable[[], object]):
    with only_tools(), pytest.raises(pytest.fail.Exception, match="root must run it, too"):
        tells()
    assert os.geteuid() >= 0


def test_a_compilers_tools_start(tmp_path: Path):
    tool = tmp_path / "nm"
    tool.symlink_to("/bin/true")
    with only_tools():
        subprocess.run([tool], check=True)


def test_what_is_new_is_run_by_each():
    assert not is_alike(TESTS / "new_folder/test_new.py")
    assert is_alike(TESTS / "syscalls/linking/test_composing.py")
    assert not is_alike(TESTS / "syscalls"), "modules in it may be for each user"


def test_all_folders_that_are_named_are_there():
    assert [name for name in ALIKE if not (TESTS / name).is_dir()] == []


def test_what_they_are_about_looks_at_no_owners():
    """The owner of a file tells who made it: nothing that is called shows that somebody looks."""
    folders = (TESTS.parent / package / name for package in ("binsafe", "bandit_runner") for name in ALIKE)
    modules = (module for folder in folders for module in folder.rglob("*.py"))
    assert [str(module) for module in modules if re.search(r"st_[ug]id|\.owner\(", module.read_text())] == []


def test_the_tests_that_cannot_tell_are_what_root_leaves_out(pytestconfig: pytest.Config):
    argv = [sys.executable, "-m", "pytest", "--again", "--collect-only", "-q", "-n0", "tests/kernel", "tests/policy"]
    argv.append("tests/reports/test_text_report.py")
    listed = subprocess.run(argv, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False).stdout
    tests = {line.partition("[")[0] for line in listed.splitlines() if "::" in line}
    assert tests == {
        "tests/policy/test_light_imports.py::test_the_launch_path_imports_nothing_heavy",
        "tests/reports/test_text_report.py::test_a_word_for_a_shell_means_the_same_and_is_printable",
    }


@pytest.mark.once
def test_what_is_marked_so_is_left_to_the_user(request: pytest.FixtureRequest):
    assert is_left_to_the_user(request.node)


def test_what_is_not_marked_is_not(request: pytest.FixtureRequest):
    assert not is_left_to_the_user(request.node)
