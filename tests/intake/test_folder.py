"""A folder as a tree of files: no link is followed, nothing waits, and what is too much is refused."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from binsafe.errors import NotAnalysable
from binsafe.intake import Found, folder, inspect_folder
from binsafe.intake.folder import Folder
from binsafe.signatures.bundle import Entry


def opened(path: Path) -> Folder:
    return Folder(os.open(path, os.O_RDONLY | os.O_DIRECTORY))


def test_tree_is_listed_and_read(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"content")
    (tmp_path / "a" / "link").symlink_to("b/file")
    (tmp_path / "out").symlink_to("/etc")
    os.mkfifo(tmp_path / "fifo")
    tree = opened(tmp_path)
    assert tree.entries == {
        "a/b/file": Entry(kind="file", size=7),
        "a/link": Entry(kind="link", target="b/file"),
        "fifo": Entry(kind="other"),
        "out": Entry(kind="link", target="/etc"),
    }
    assert bytes(tree.read("a/b/file")) == b"content"
    assert bytes(tree.read("a/b/file", 3)) == b"con"


@pytest.mark.parametrize("change", ["link", "folder link", "fifo", "grown", "shrunk", "gone"])
def test_file_that_was_exchanged_since_is_refused(tmp_path: Path, change: str):
    inner, path = tmp_path / "a", tmp_path / "a" / "file"
    inner.mkdir()
    path.write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"content")
    tree = opened(tmp_path)
    if change in {"grown", "shrunk"}:
        path.write_bytes(b"more content" if change == "grown" else b"c")
    else:
        path.unlink()
    if change == "link":
        path.symlink_to("../secret")
    elif change == "fifo":
        os.mkfifo(path)
    elif change == "folder link":
        inner.rmdir()
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "file").write_bytes(b"content")
        inner.symlink_to("other")
    with pytest.raises(NotAnalysable):
        tree.read("a/file")


def test_name_that_is_no_text_is_shown_escaped(tmp_path: Path):
    (tmp_path / os.fsdecode(b"caf\xe9")).write_bytes(b"1")
    (tmp_path / "caf\\xe9").write_bytes(b"2")
    tree = opened(tmp_path)
    assert tree.entries == {"caf\\xe9": Entry(kind="other")}


def test_too_many_files_and_too_deep_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for number in range(4):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr(folder, "MAX_TREE_ENTRIES", 3)
    with pytest.raises(NotAnalysable) as caught:
        opened(tmp_path)
    assert caught.value.finding == "too-large"
    deep = tmp_path / "deep"
    (deep / "/".join("d" * 80)).mkdir(parents=True)
    with pytest.raises(NotAnalysable):
        opened(deep)


def test_sparse_files_are_refused_before_they_are_read(tmp_path: Path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(8 * 1024**3)
    with pytest.raises(NotAnalysable):
        opened(tmp_path)


def test_folder_that_is_no_bundle_is_a_directory(tmp_path: Path):
    with pytest.raises(NotAnalysable, match="directory"):
        inspect_folder(Found("x", tmp_path))


def test_bundle_without_a_program_is_not_analysed(tmp_path: Path):
    (tmp_path / "X.app" / "Contents").mkdir(parents=True)
    (tmp_path / "X.app" / "Contents" / "Info.plist").write_bytes(b"junk")
    report = inspect_folder(Found("x", tmp_path / "X.app"))
    assert (report.format, report.analysed, report.verdict.level) == ("bundle", False, "unknown")


@pytest.fixture
def builders(monkeypatch: pytest.MonkeyPatch) -> None:
    """What builds signed bundles can be imported."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "signatures")


def written(contents: Mapping[str, object], root: Path) -> Path:
    """A bundle that was built in memory as a folder."""
    from built_bundle import Link

    for path, content in contents.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(content.target) if isinstance(content, Link) else place.write_bytes(content)
    return root


@pytest.mark.usefixtures("builders")
def test_command_line_takes_a_bundle(tmp_path: Path):
    """Both ways: an untouched one, and one with a file more."""
    from built_bundle import Application

    root = written(Application().build(), tmp_path / "App.app")
    report = inspected(root, 0)
    assert (report["format"], report["findings"], len(report["members"])) == ("bundle", [], 3)
    assert report["artifact"]["sha256"] == inspected(root, 0)["artifact"]["sha256"]
    (root / "Contents" / "Frameworks" / "evil.dylib").write_bytes(b"x")
    [finding] = inspected(root, 0)["findings"]
    assert (finding["id"], finding["severity"]) == ("resource-seal", "high")
    assert "evil.dylib" in finding["detail"]
    os.mkfifo(root / "Contents" / "fifo")
    assert "fifo" in inspected(root, 0)["findings"][0]["detail"]


@pytest.mark.usefixtures("builders")
def test_all_that_signatures_take_is_there_for_a_confined_parser(tmp_path: Path):
    """RSA and ECDSA, a time stamp, a notarization ticket: modules cannot be loaded when they are met."""
    from built_bundle import Application
    from notarized import Ticket
    from signed_cms import Signing
    from signed_macho import Directory, Recipe

    signed = Application(recipe=Recipe(directories=(Directory(flags=0),), cms=Signing(marker=None))).build()
    report = inspected(written(signed | {"Contents/CodeResources": Ticket()("00" * 20)}, tmp_path / "App.app"), 0)
    assert report["analysed"]
    part = report["members"][0]["report"]
    assert (part["slices"][0]["signature"]["kind"], part["slices"][0]["signature"]["status"]) == ("other", "unknown")
    assert "notarization-ticket" in [finding["id"] for finding in part["findings"]]


def inspected(path: Path, status: int) -> dict[str, object]:
    command = [sys.executable, "-m", "binsafe", "inspect", str(path), "--json", "--no-syscalls"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)
