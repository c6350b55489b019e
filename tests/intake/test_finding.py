"""What a name on the command line means: a path, a command, a stored artifact, a declared one."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from binsafe.errors import NotAnalysable, NotFound
from binsafe.intake import Found, find


def test_a_path_comes_before_a_command_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert find("ls").path == Path(subprocess.check_output(["which", "ls"], text=True).strip()).resolve()
    (tmp_path / "ls").write_bytes(b"mine")
    assert find("ls").path == tmp_path / "ls"


def test_a_folder_of_the_name_of_a_command_is_meant_only_where_it_is_named_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whoever keeps a server's files in a folder that is called as the server is, still starts the server."""
    command = find("ls").path
    monkeypatch.chdir(tmp_path)
    for name in ("ls", "bundle.app"):
        (tmp_path / name).mkdir()
    assert find("ls").path == command
    assert find("./ls").path == tmp_path / "ls"
    assert find("bundle.app").path == tmp_path / "bundle.app"


def test_a_command_is_the_first_file_on_the_path_that_can_be_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    places = [tmp_path / name for name in ("missing", "folder", "text", "program", "later")]
    (tmp_path / "folder" / "tool").mkdir(parents=True)
    for place, mode in zip(places[2:], (0o644, 0o755, 0o755), strict=True):
        place.mkdir()
        (place / "tool").write_bytes(b"x")
        (place / "tool").chmod(mode)
    monkeypatch.setenv("PATH", ":".join(map(str, places)))
    assert find("tool").path == tmp_path / "program" / "tool" == Path(shutil.which("tool") or "")
    monkeypatch.setenv("PATH", ":".join(map(str, places[:3])))
    with pytest.raises(NotFound, match="no file and no command"):
        find("tool")


def test_a_link_is_resolved_and_the_name_asked_for_is_kept(tmp_path: Path):
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    assert find(str(tmp_path / "link")) == Found(str(tmp_path / "link"), tmp_path / "real")


@pytest.mark.skipif(sys.platform != "linux", reason="XDG's folders are Linux's")
def test_a_stored_artifact_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    stored = tmp_path / "binsafe" / "artifacts" / "kept"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"x")
    assert find("kept").path == stored


def test_an_empty_name_is_not_this_folder():
    with pytest.raises(NotFound, match="an empty name"):
        find("")


def test_nothing_found_names_the_artifacts_that_are_known():
    with pytest.raises(NotFound) as caught:
        find("no-such-thing-anywhere")
    assert "flakyservers" in caught.value.hint


def test_the_stand_in_is_found_by_its_name_and_built(standin: Callable[[str], Path]):
    from bandit_runner.flakyservers.build import this_machine

    assert find("flakyservers").path == standin(this_machine()).resolve()


def test_what_the_distribution_declares_is_found_without_what_reads_others():
    code = (
        "import sys; from binsafe.intake import finding\n"
        "found = finding._declared(); loaded = 'importlib.metadata' in sys.modules\n"
        "finding.__version__ = '0.no'; other = finding._declared()\n"  # as where nothing lies in such a place
        "assert 'importlib.metadata' in sys.modules\n"
        "assert found.keys() == other.keys() and all(found[name]() is other[name]() for name in found)\n"
        "print(loaded, *found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False flakyservers\n"


def test_links_that_lead_to_each_other_are_told(tmp_path: Path):
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(NotAnalysable, match="leads nowhere"):
        find(str(tmp_path / "one"))
