"""What was found by one version of the analysis is not taken for what another one finds."""

import shutil
from pathlib import Path

import pytest

from binsafe import syscalls

PACKAGE = Path(syscalls.__file__).parents[1]


@pytest.mark.parametrize(
    "changed",
    [
        *("syscalls/dataflow/wrappers.py", "syscalls/engine.py", "syscalls/linux_calls.json"),
        *("formats/elf.py", "model/facts.py", "limits.py"),
    ],
)
def test_a_change_in_any_module_or_table_changes_the_version(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("syscalls", "formats", "model"):
        shutil.copytree(PACKAGE / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE / "limits.py", tmp_path)
    monkeypatch.setattr(syscalls, "__file__", str(tmp_path / "syscalls" / "__init__.py"))
    version = syscalls.engine_version.__wrapped__
    before = version()
    with (tmp_path / changed).open("a") as file:
        file.write("# changed\n")
    assert version() != before
