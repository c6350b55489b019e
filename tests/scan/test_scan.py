"""The whole command: a line for each executable and archive, other formats, exit statuses, a cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from packed import zipped
from scanned import BROKEN, ROOT, binsafe, elf, lines

from binsafe.scan import Coverage, walk

pytestmark = pytest.mark.once


def test_each_executable_and_archive_is_a_line_and_nothing_else(tree: Path):
    done = binsafe(tree)
    found = lines(done.stdout)
    names = {path.removeprefix(f"{tree}/") for path in found}
    assert names == {"bin/linked", "bin/same", "broken", "pack.whl", "pack.tgz"}
    twins = [each for each in found.values() if "/bin/" in str(each["path"])]
    assert sorted(each["duplicate_of"] is None for each in twins) == [False, True]
    assert found[f"{tree}/broken"]["report"]["analysed"] is False
    assert found[f"{tree}/pack.whl"]["report"]["members"][0]["path"] == "a/tool"
    assert done.returncode == 3
    assert "further names of a file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("names", ["same same", "same link", "same .", ". same", ". .", "tool linked"])
def test_what_is_named_twice_is_looked_at_once(tree: Path, names: str):
    (tree / "bin/link").symlink_to("same")
    found = Coverage()
    paths = [target.path for target in walk([str(tree / "bin" / name) for name in names.split()], found)]
    assert len(paths) == (2 if "." in names else 1), "in the folder there are two files, one with two names"
    assert len(set(paths)) == len(paths)


def test_exit_statuses_and_findings(tree: Path):
    (tree / "broken").unlink()
    assert binsafe(tree).returncode == 0
    (tree / "slip.zip").write_bytes(zipped({"../up": elf(5)}))
    assert binsafe(tree, "--fail-on", "high").returncode == 0
    assert binsafe(tree, "--fail-on", "medium").returncode == 1
    assert binsafe(tree / "bin", tree / "none").returncode == 3
    assert binsafe(tree, "--resume").returncode == 2
    assert binsafe(tree, "--output", tree / "no" / "file").returncode == 2
    assert binsafe(tree, "--cluster", "tcp://127.0.0.1:1").returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_with_what_to_do(tree: Path):
    done = binsafe(tree, "--output", "/dev/full")
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "--resume" in done.stderr
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "binsafe", "scan", str(tree)]
        printed = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    assert printed.returncode == 2
    assert "make room" in printed.stderr
    assert "Traceback" not in done.stderr + printed.stderr


def test_what_is_named_is_looked_at_or_said_not_to_be(tree: Path):
    (tree / "link").symlink_to("bin/same")
    os.mkfifo(tree / "pipe")
    found = Coverage()
    names = [str(tree / name) for name in ("link", "pipe", "none")]
    assert [target.path for target in walk(names, found)] == [os.path.realpath(tree / "bin/same")]
    assert [(Path(each.path).name, each.reason) for each in found.skipped] == [
        ("none", "No such file or directory"),
        ("pipe", "neither a file nor a folder"),
    ]


def test_what_goes_away_while_it_is_walked_is_nothing_that_could_not_be_read(tree: Path):
    found = Coverage()
    targets = walk([str(tree)], found)
    assert next(targets).path == str(tree / "broken")
    for name in ("pack.tgz", "pack.whl", "texts.zip"):
        (tree / name).unlink()
    assert {Path(target.path).parent for target in targets} == {tree / "bin"}
    assert not found.skipped


def test_an_unreadable_folder_is_reported_and_counted(tree: Path, monkeypatch: pytest.MonkeyPatch):
    real = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("/bin"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = Coverage()
    targets = list(walk([str(tree)], found))
    assert [(Path(each.path).name, each.reason) for each in found.skipped] == [("bin", "Permission denied")]
    assert len(targets) == found.worth == 4


@pytest.mark.parametrize("form", ["sarif", "html"])
def test_sarif_and_html_are_written_whole_and_escaped(tree: Path, tmp_path: Path, form: str):
    (tree / "bin/<script>x").write_bytes(BROKEN + b"x")
    output = tmp_path / "result"
    assert binsafe(tree, "--format", form, "--output", output, cwd=tmp_path).returncode == 3
    shown = output.read_text()
    if form == "sarif":
        (run,) = json.loads(shown)["runs"]
        assert {"tree/broken", "tree/bin/%3Cscript%3Ex"} <= {each["location"]["uri"] for each in run["artifacts"]}
        assert run["invocations"][0]["executionSuccessful"] is False
    else:
        HTMLParser().feed(shown)
        assert "<script" not in shown
        assert shown.index("badge unknown") < shown.index("badge caution")


def test_the_action_and_the_hooks_name_commands_that_exist():
    action = yaml.safe_load((ROOT / ".github/actions/scan/action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    script = action["runs"]["steps"][1]["run"]
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    used = [*(hook["entry"].split() for hook in hooks), script.replace("\\\n", " ").splitlines()[-1].split()]
    for words in used:
        assert words[0] == "binsafe"
        shown = subprocess.run(
            [sys.executable, "-m", "binsafe", words[1], "--help"], capture_output=True, text=True, check=True
        )
        assert not [word for word in words if word.startswith("--") and len(word) > 2 and word not in shown.stdout]


def test_shells_complete_its_commands():
    """click's own: eval "$(_BINSAFE_COMPLETE=bash_source binsafe)"."""
    environment = os.environ | {"_BINSAFE_COMPLETE": "bash_complete", "COMP_WORDS": "binsafe sc", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['binsafe']; from binsafe.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "plain,scan" in done.stdout


def test_a_dask_cluster_does_the_same(tree: Path):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    program = Path(__file__).with_name("on_cluster.py")
    done = subprocess.run(
        [sys.executable, program, tree], capture_output=True, text=True, timeout=100, check=False, cwd=ROOT
    )
    here, there = lines(binsafe(tree).stdout), lines(done.stdout)
    assert done.returncode == 3, done.stderr
    assert here.keys() == there.keys()
    assert here[f"{tree}/broken"] == there[f"{tree}/broken"]
