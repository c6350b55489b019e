"""Folders that a program may have filled are gone through whatever it made of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from binsafe.errors import NotEnforceable
from binsafe.intake.walking import files_below


def test_all_that_is_no_folder_is_found_and_no_link_followed(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("file", "a/b/file"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("a")
    assert {os.path.relpath(each, tmp_path) for each in files_below(str(tmp_path))} == {"file", "a/b/file", "link"}
    assert list(files_below(str(tmp_path / "file"))) == []


@pytest.mark.parametrize(("name", "depth"), [("d", 300), ("d" * 255, 20)])
def test_what_is_too_deep_to_be_looked_at_is_not_passed_over(tmp_path: Path, name: str, depth: int):
    """The next start of who had made such ended in a recursion too deep, and what no path leads to was not seen."""
    code = f"import os; [(os.mkdir({name!r}), os.chdir({name!r})) for _ in range({depth})]; open('file', 'x')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)  # from where no path leads back
    with pytest.raises(NotEnforceable, match="so deep"):
        list(files_below(str(tmp_path)))
    subprocess.run(["rm", "-r", str(tmp_path / name)], check=True)  # pytest itself could not
