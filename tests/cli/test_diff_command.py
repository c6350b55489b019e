"""binsafe diff on real programs, on reports that were saved, and on files that only look like one."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import binsafe

from binsafe.difference import IDS

pytestmark = pytest.mark.once

QUIET = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'
LOUD = """
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
int main(void) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = 9};
    return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&there, sizeof there) + puts("hello");
}
"""
STARTS = '#include <unistd.h>\nint main(void) { return execl("/bin/sh", "sh", (char *)0); }\n'


def diff(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return binsafe("diff", *arguments)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name -> program; as every distribution builds them, but for ``soft``."""
    folder = tmp_path_factory.mktemp("programs")
    hard = ("-O2", "-fPIE", "-pie", "-Wl,-z,relro,-z,now")
    made = {
        "quiet": (QUIET, hard),
        "loud": (LOUD, hard),
        "starts": (STARTS, hard),
        "soft": (QUIET, ("-no-pie", "-Wl,-z,norelro")),
    }
    for name, (source, flags) in made.items():
        (folder / f"{name}.c").write_text(source)
        subprocess.run(["cc", *flags, "-o", folder / name, folder / f"{name}.c"], check=True)
    return {name: folder / name for name in made}


@pytest.fixture(scope="module")
def saved(programs: dict[str, Path]) -> dict[str, Path]:
    """The same as reports, which cost no parsing."""
    made = {name: path.with_suffix(".json") for name, path in programs.items()}
    for name, path in made.items():
        assert binsafe("inspect", programs[name], "--json", "--output", path).returncode == 0
    return made


def changed(done: subprocess.CompletedProcess[str]) -> set[str]:
    assert done.stderr == ""
    return {change["id"] for change in json.loads(done.stdout)["changes"]}


def test_the_new_version_wants_the_network_now(programs: dict[str, Path], saved: dict[str, Path]):
    done = diff(programs["quiet"], programs["loud"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "The new version wants the network now: it can connect."
    assert " connect (import)" in done.stdout
    assert len(done.stdout.splitlines()) < 40
    assert {"gained-network", "gained-connect"} <= changed(diff(saved["quiet"], saved["loud"], "--json"))
    assert {"lost-network", "lost-connect"} <= changed(diff(saved["loud"], saved["quiet"], "--json"))


@pytest.mark.parametrize(
    ("old", "new", "reason", "status"),
    [
        ("quiet", "loud", "gained-network", 1),
        ("quiet", "loud", "gained-connect", 1),
        ("quiet", "loud", "gained-listen", 0),
        ("quiet", "loud", "high", 1),
        ("quiet", "loud", "critical", 0),
        ("loud", "quiet", "gained-network", 0),
        ("loud", "quiet", "low", 0),
        ("quiet", "starts", "gained-exec", 1),
        ("quiet", "starts", "gained-connect", 0),
        ("quiet", "soft", "lost-hardening", 1),
        ("soft", "quiet", "lost-hardening", 0),
        ("loud", "loud", "gained-network", 0),
        ("loud", "loud", "gained-syscall", 0),
    ],
)
def test_a_gain_that_is_not_wanted_ends_with_1(saved: dict[str, Path], old: str, new: str, reason: str, status: int):
    done = diff(saved[old], saved[new], "--fail-on", "gained-microphone", "--fail-on", reason)
    assert done.returncode == status, done.stdout
    assert (f"--fail-on {reason}: " in done.stderr) == bool(status)


@pytest.mark.parametrize("target", ["linux/amd64", "darwin/arm64", "windows/amd64"])
def test_a_file_differs_in_nothing_from_itself(standin: Callable[[str], Path], tmp_path: Path, target: str):
    program = standin(target)
    copy = tmp_path / "copy"
    copy.write_bytes(program.read_bytes())
    done = diff(program, copy, "--json", "--fail-on", "low", "--fail-on", "gained-syscall", "--no-syscalls")
    assert done.returncode == 0, done.stderr
    difference = json.loads(done.stdout)
    assert (difference["changes"], difference["not_compared"], difference["same_bytes"]) == ([], [], True)
    assert difference["summary"] == "No difference: the same bytes."


def test_another_processors_build_of_the_stand_in_gained_nothing(standin: Callable[[str], Path]):
    done = diff(standin("linux/amd64"), standin("linux/arm64"), "--json", "--fail-on", "gained-network")
    assert done.returncode == 0, done.stderr
    assert {"gained-slice", "lost-slice"} <= changed(done)


def test_a_report_that_was_saved_stands_for_its_file(programs: dict[str, Path], saved: dict[str, Path], tmp_path: Path):
    fresh = json.loads(diff(programs["quiet"], programs["loud"], "--json").stdout)
    assert json.loads(diff(saved["quiet"], saved["loud"], "--json").stdout) == fresh
    assert json.loads(diff(saved["quiet"], programs["quiet"], "--json").stdout)["changes"] == []
    rewritten = tmp_path / "rewritten"
    rewritten.write_text("\ufeff\n" + json.dumps(json.loads(saved["quiet"].read_text()), sort_keys=True))
    assert json.loads(diff(rewritten, saved["loud"], "--json").stdout) == fresh


def hostile(name: str, whole: str) -> bytes:
    """What claims to be a report and is none."""
    report = json.loads(whole)
    if name == "field-missing":
        del report["slices"][0]["network"]
    elif name == "default-missing":
        del report["slices"][0]["capabilities"]
    elif name == "field-unknown":
        report["verdict"]["really"] = "ok"
    elif name == "other-schema":
        report["schema"] = "binsafe.report/2"
    elif name == "wrong-type":
        report["slices"][0]["network"]["verdict"] = "\x1b[2Jno"
    return {
        "cut-short": whole[: len(whole) // 2].encode(),
        "empty-object": b"{}",
        "not-utf-8": b'{"schema": "\xff"}',
        "deep": b'{"a":' * 100_000,
        "many-values": b"{" + b"[]," * 1_100_000,
    }.get(name) or json.dumps(report).encode()


@pytest.mark.parametrize(
    "name",
    [
        *("field-missing", "default-missing", "field-unknown", "other-schema", "wrong-type"),
        *("cut-short", "empty-object", "not-utf-8", "deep", "many-values"),
    ],
)
def test_json_that_is_no_report_gives_a_line_and_a_hint(saved: dict[str, Path], tmp_path: Path, name: str):
    path = tmp_path / "report.json"
    path.write_bytes(hostile(name, saved["quiet"].read_text()))
    for arguments in ((path, saved["quiet"]), (saved["quiet"], path)):
        done = diff(*arguments, "--json")
        lines = done.stderr.splitlines()
        assert (done.returncode, done.stdout, len(lines)) == (2, "", 2), done.stderr
        assert lines[1].startswith("  hint: ")
        assert "\x1b" not in done.stderr


@pytest.mark.parametrize("name", ["directory", "empty", "script", "half", "missing"])
def test_what_cannot_be_analysed_outranks_every_change(
    programs: dict[str, Path], saved: dict[str, Path], tmp_path: Path, name: str
):
    path = tmp_path / name
    contents = {"empty": b"", "script": b"#!/bin/sh\n", "half": programs["loud"].read_bytes()[:3_000]}
    if name == "directory":
        path.mkdir()
    elif name != "missing":
        path.write_bytes(contents[name])
    status = 127 if name == "missing" else 3
    for arguments in ((path, saved["quiet"]), (saved["quiet"], path)):
        done = diff(*arguments, "--fail-on", "gained-network")
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        assert "hint: " in done.stderr
        assert done.stdout == ""
        if status == 3:
            again = diff(*arguments, "--json", "--fail-on", "low")
            assert again.returncode == 3
            assert json.loads(again.stdout)["analysed"] is False


def test_wheels_are_compared_member_by_member(programs: dict[str, Path], tmp_path: Path):
    import zipfile

    paths = []
    for version, name in (("1.0", "quiet"), ("1.1", "loud")):
        paths.append(tmp_path / f"tool-{version}.whl")
        with zipfile.ZipFile(paths[-1], "w") as wheel:
            wheel.write(programs[name], f"tool-{version}.data/scripts/tool")
    done = diff(*paths, "--fail-on", "gained-network")
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert first == "The new version wants the network now in tool-1.1.data/scripts/tool (x86_64): it can connect."


def test_markdown_goes_to_a_file(saved: dict[str, Path], tmp_path: Path):
    output = tmp_path / "comment.md"
    done = diff(saved["quiet"], saved["loud"], "--format", "markdown", "--output", output)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "> **The new version wants the network now: it can connect.**" in output.read_text().replace("`", "")


def test_help_lists_all_that_can_be_asked_for():
    shown = diff("--help").stdout
    words = set(shown.replace(",", " ").replace("(", " ").replace(")", " ").split())
    assert {*IDS} <= words
    assert "Examples:" in shown
    done = diff("a", "b", "--fail-on", "gained-weight")
    assert done.returncode == 2
    assert "gained-network" in done.stderr
