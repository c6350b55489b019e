"""A test that could tell who runs it is never left out for root without a word."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from each_user import ALIKE, FOR_EACH, TESTS, is_alike, only_tools


@pytest.mark.parametrize(
    "tells",
    [
        lambda: os.geteuid(),  # noqa: PLW0108 - looked up when it is called
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
    assert not any(is_alike(above) for module in FOR_EACH for above in (TESTS / module, (TESTS / module).parent))


def test_all_that_is_named_is_there():
    assert [name for name in (*ALIKE, *FOR_EACH) if not (TESTS / name).exists()] == []


def test_the_tests_that_cannot_tell_are_what_root_leaves_out(pytestconfig: pytest.Config):
    argv = [sys.executable, "-m", "pytest", "--again", "--collect-only", "-q", "-n0", "tests/kernel", "tests/policy"]
    listed = subprocess.run(argv, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False).stdout
    assert "test_light_imports.py::" in listed
    assert not {"test_bpf.py", "test_derive.py"} & {line.split("::")[0].split("/")[-1] for line in listed.splitlines()}
