"""Which folder is named where a path was meant from the folder that the program was started in, or from one above."""

import re
import sys
from pathlib import Path

import pytest
from everyday import run

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


def test_a_folder_on_the_way_to_a_granted_file_is_named_where_it_is_listed(folder: Path, capsys: pytest.CaptureFixture):
    fruit = str(folder / "fruit")
    assert run("ls", str(folder), read=(fruit,))[0] == 2
    assert f"grant='--read {folder}'" in capsys.readouterr().out
    assert run("ls", "-d", str(folder), read=(fruit,))[0] == run("cat", fruit, read=(fruit,))[0] == 0
    assert f"grant='--read {folder}'" not in capsys.readouterr().out


def test_a_folder_above_the_one_that_it_is_in_is_no_wish(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """esbuild and oxlint open each for settings: the hint would have been the user's whole home."""
    monkeypatch.chdir(folder)
    assert run("ls", str(folder.parent), str(folder), read=(str(folder / "fruit"),))[0] == 2
    told = dict(re.findall(r"object='(.+?)'.* expected=(True|False)", capsys.readouterr().out))
    assert (told[str(folder.parent)], told[str(folder)]) == ("True", "False")


def test_a_folder_that_may_not_be_made_is_named_where_another_is(folder: Path, capsys: pytest.CaptureFixture):
    assert run("mkdir", "/var/tmp/other", write=(str(folder),))[0] == 1
    assert "--write /var/tmp'" in capsys.readouterr().out


def test_a_folder_that_is_there_was_not_to_be_made(folder: Path, capsys: pytest.CaptureFixture):
    assert run("mkdir", "-p", str(folder / "a" / "b"), write=(str(folder),))[0] == 0
    assert "--write" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("program", "arguments", "grant"),
    [
        ("cat", ("/fruit",), "--read {folder}/fruit"),
        ("mkdir", ("/new",), "--write {folder}"),
        ("mkdir", ("/.new",), "--write FOLDER --env HOME=FOLDER, or --env HOME=/tmp for what may go"),
        ("mkdir", ("/../{name}/new",), "--write {folder}"),
        ("dash", ("-c", "! echo $PWD*"), "--read {folder}"),
    ],
)
def test_a_path_that_was_made_absolute_in_the_folder_that_was_left_is_named_there(
    folder: Path,
    program: str,
    arguments: tuple[str, ...],
    grant: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    """libxml2, Go's filepath.Abs and others ask where they are, which is / where that folder is not granted."""
    monkeypatch.chdir(folder)
    assert run(program, *(word.format(name=folder.name) for word in arguments))[0] != 0
    assert f"grant='{grant.format(folder=folder)}'" in capsys.readouterr().out


def test_a_hidden_file_is_named_in_the_folder_that_was_left_unless_that_is_its_users_home(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """git said that there is no repository, and nothing else was said."""
    (folder / ".git").mkdir()
    monkeypatch.chdir(folder)
    for home, named in (("/var/empty", True), (str(folder), False)):
        monkeypatch.setenv("HOME", home)
        assert run("ls", "/.git")[0] == 2
        assert (f"grant='--read {folder}/.git'" in capsys.readouterr().out) is named


def test_a_relative_path_to_what_is_granted_is_named_with_the_folder_that_it_starts_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """git with HOME=../home: to grant once more what is granted would change nothing."""
    here, there = folder / "here", folder / "there"
    for each in (here, there):
        each.mkdir()
        each.chmod(0o777)
    monkeypatch.chdir(here)
    assert run("mkdir", "../there/new", write=(str(there),))[0] == 1
    assert f"grant='--read {here}'" in capsys.readouterr().out
    assert run("mkdir", "../there/new", write=(str(there),), read=(str(here),))[0] == 0


@pytest.mark.parametrize("here", ["/", "/var/tmp"])
def test_the_whole_file_system_is_no_hint(here: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Nor is the folder that its user is in, which was taken for what / means."""
    monkeypatch.chdir(here)
    assert run("ls", "/")[0] == 2
    told = next(line for line in capsys.readouterr().out.splitlines() if "object='/'" in line)
    assert "grant='none: what runs gets a root of its own" in told
    assert "expected=False" in told
