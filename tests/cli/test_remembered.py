"""Policies that are remembered: ours as we left them, or none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from binsafe.cli import remembered
from binsafe.model import Policy
from binsafe.model.policy import PolicyArtifact


def policy() -> Policy:
    return Policy(
        artifact=PolicyArtifact(name="x", sha256="0" * 64, system="linux", arch="x86_64"),
        baseline="cli_tool",
        grants=(),
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_what_was_kept_is_recalled(cache: Path):
    assert remembered.recall("key") is None
    remembered.keep("key", policy())
    assert remembered.recall("key") == policy()
    assert remembered.recall("another") is None
    (kept,) = (path for path in cache.rglob("*") if path.is_file())
    kept.write_bytes(kept.read_bytes().replace(b"cli_tool", b"any_tool"))
    assert remembered.recall("key") is None


def test_an_update_of_any_module_that_a_policy_comes_from_is_noticed():
    code = """if True:
        import sys
        import binsafe, binsafe.cli.deriving
        import binsafe.inspection, binsafe.packs, binsafe.extractors.signature
        binsafe.derive, binsafe.default_baseline, binsafe.load_baseline, binsafe.parse_ports
        print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("binsafe")), sep="\\n")
    """
    command = [sys.executable, "-P", "-c", code]  # what is installed, as here, and not what lies in this folder
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(said) > 40
    assert set(said) <= {path for path, _ in remembered.modified()}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has other people's HOME")
def test_who_owns_the_home_cannot_give_one_policy_anothers_name(cache: Path):
    """Files of root in a folder of a user's: they cannot be written by that user, but they can be renamed."""
    remembered.keep("wide", policy())
    (kept,) = (path for path in cache.rglob("*") if path.is_file())
    os.chown(kept.parent, 65534, 65534)
    kept.rename(kept.with_name("narrow"))
    assert remembered.recall("narrow") is None
