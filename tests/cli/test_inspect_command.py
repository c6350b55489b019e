"""The command as a person types it: exit statuses, and one clear line with a hint when something is wrong."""

import contextlib
import json
import os
import platform
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import binsafe

pytestmark = pytest.mark.once

TRACEBACK = "Traceback (most recent call last)"


def bad_inputs(folder: Path, standin: Path) -> dict[str, tuple[Path, int, str]]:
    """Name -> (path, exit status, a word that the message must have)."""
    made = {
        name: folder / name for name in ("directory", "fifo", "empty", "script", "half", "four-bytes", "text", "zip")
    }
    made["directory"].mkdir()
    os.mkfifo(made["fifo"])
    made["empty"].touch()
    made["script"].write_text("#!/bin/sh -e\necho\n")
    made["half"].write_bytes(standin.read_bytes()[: standin.stat().st_size // 2])
    made["four-bytes"].write_bytes(b"\x7fELF")
    made["text"].write_text("hello")
    made["zip"].write_bytes(b"PK\x03\x04rest")
    words = {
        "directory": "directory",
        "fifo": "FIFO",
        "empty": "empty",
        "script": "/bin/sh",
        "half": "",
        "four-bytes": "",
        "text": "",
        "zip": "central directory",
    }
    return {name: (path, 3, words[name]) for name, path in made.items()} | {"missing": (folder / "none", 127, "none")}


@pytest.mark.parametrize(
    "name", ["missing", "directory", "fifo", "empty", "script", "half", "four-bytes", "text", "zip"]
)
def test_bad_input_gives_one_line_a_hint_and_its_status(tmp_path: Path, standin: Callable[[str], Path], name: str):
    path, status, word = bad_inputs(tmp_path, standin("linux/amd64"))[name]
    done = binsafe("inspect", path)
    lines = done.stderr.splitlines()
    assert done.returncode == status, done.stderr
    assert TRACEBACK not in done.stderr
    assert len(lines) == 2
    assert word in lines[0]
    assert lines[1].startswith("  hint: ")
    assert done.stdout == ""
    if status == 3:
        report = json.loads((again := binsafe("inspect", path, "--json")).stdout)
        assert again.returncode == 3
        assert report["analysed"] is False
        assert report["verdict"]["level"] == "unknown"


@pytest.mark.parametrize(
    ("target", "machine", "why"),
    [("windows/amd64", None, "no program for Linux or macOS"), ("linux/amd64", 243, "it is for riscv64")],
)
def test_what_has_no_list_of_system_calls_is_told_why(
    tmp_path: Path, standin: Callable[[str], Path], target: str, machine: int | None, why: str
):
    data = bytearray(standin(target).read_bytes())
    if machine is not None:
        data[18] = machine  # e_machine
    (tmp_path / "program").write_bytes(data)
    done = binsafe("syscalls", tmp_path / "program")
    assert done.returncode == 3
    assert why in done.stderr


@pytest.mark.parametrize(
    ("target", "arch", "kind", "signature"),
    [
        ("darwin/arm64", "arm64", "mach-o", "linker"),
        ("darwin/amd64", "x86_64", "mach-o", "none"),
        ("windows/amd64", "x86_64", "pe", "none"),
        ("linux/amd64", "x86_64", "elf", "none"),
        ("linux/arm64", "arm64", "elf", "none"),
    ],
)
def test_the_stand_in_is_described_on_every_system(
    standin: Callable[[str], Path], target: str, arch: str, kind: str, signature: str
):
    done = binsafe("inspect", standin(target), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (part,) = report["slices"]
    assert (report["format"], part["arch"], part["signature"]["kind"]) == (kind, arch, signature)
    assert part["language"] == "go"
    assert part["build"]["go"]["version"].startswith("go1.")
    assert part["build"]["go"]["module"] == "flakyservers"
    assert part["network"]["verdict"] == "yes"
    assert {"listen", "connect"} <= set(part["network"]["directions"])
    for name in ("listen", "connect"):
        (operation,) = [each for each in part["network"]["operations"] if each["name"] == name]
        assert all(evidence["address"] for evidence in operation["evidence"])
    assert bool(part["libraries"]) == (kind != "elf")
    assert (part["syscalls"] is not None) == (kind != "pe")


def test_text_names_what_a_person_asks_for(standin: Callable[[str], Path]):
    text = binsafe("inspect", standin("darwin/arm64")).stdout
    for word in ("Mach-O", "arm64", "Go version 1.", "linker", "libSystem", "listen", "connect", "0x"):
        assert word in text


@pytest.mark.parametrize(
    ("target", "word"),
    [("darwin/arm64", "(deny default)"), ("windows/amd64", "binsafe.policy/1"), ("linux/arm64", "binsafe.profile/1")],
)
def test_another_machines_program_is_profiled_but_does_not_run(standin: Callable[[str], Path], target: str, word: str):
    if target == f"{sys.platform}/{platform.machine().replace('aarch64', 'arm64')}":
        target = "linux/amd64"
    profile = binsafe("profile", standin(target), "--ports", "30")
    assert word in profile.stdout, profile.stderr
    done = binsafe("run", "--ports", "30", standin(target))
    assert done.returncode == 126, done.stderr
    assert TRACEBACK not in done.stderr


def test_a_script_is_not_run(tmp_path: Path):
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert binsafe("run", tmp_path / "script").returncode == 126


def test_a_name_that_is_no_text_is_written_as_its_bytes(standin: Callable[[str], Path], tmp_path: Path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    odd.symlink_to(standin("linux/amd64"))
    report = json.loads(binsafe("inspect", "--json", "--no-syscalls", odd).stdout)
    assert report["artifact"]["name"].endswith("/\\xff")
    odd.unlink()
    odd.mkdir()
    done = binsafe("inspect", "--json", odd)
    assert done.returncode == 3
    assert json.loads(done.stdout)["artifact"]["path"].endswith("/\\xff")


@pytest.mark.parametrize("options", [(), ("-v",)], ids=["without click", "with it"])
def test_a_terminal_that_has_not_all_characters_gets_escapes(options: tuple[str, ...], tmp_path: Path):
    (tmp_path / "prüfung…").symlink_to(sys.executable)
    command = [sys.executable, "-m", "binsafe", "inspect", tmp_path / "prüfung…", *options]
    done = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)
    assert b"pr\\xfcfung\\u2026: " in done.stdout.splitlines()[0]


def test_two_runs_give_the_same_bytes(standin: Callable[[str], Path]):
    command = [sys.executable, "-m", "binsafe", "inspect", standin("linux/amd64"), "--json"]
    assert subprocess.check_output(command) == subprocess.check_output(command)


def test_findings_at_the_asked_severity_end_with_1(standin: Callable[[str], Path]):
    mac = standin("darwin/amd64")
    assert binsafe("inspect", mac, "--fail-on", "critical").returncode == 0
    assert binsafe("inspect", mac, "--fail-on", "medium").returncode == 1


def test_help_has_examples_and_loads_no_parser():
    for command in ("inspect", "profile", "run", "doctor"):
        assert "Examples:" in binsafe(command, "--help").stdout
    code = "import sys; from binsafe.cli.group import group; group.main(['--help'], standalone_mode=False); "
    code += "print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"'lief'", "'capstone'", "'numpy'", "'yaml'", "'rich'"} & set(done.stdout.split("[")[1].split(", "))


def test_a_command_loads_nothing_that_msgspec_can_do_without():
    code = "import os, sys; os._exit = lambda _: sys.exit(sys.modules.get('typing_extensions') is not None); "
    code += "from binsafe.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", code, "inspect", "--json", sys.executable], stdout=subprocess.DEVNULL, check=True
    )


def test_a_reader_that_goes_away_is_no_error(standin: Callable[[str], Path]):
    command = f"{sys.executable} -m binsafe inspect {standin('linux/amd64')} --json -vv | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert TRACEBACK not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize(
    ("name", "begins"),
    [("text", "tool: "), ("json", "{"), ("markdown", "## "), ("html", "<!doctype html>"), ("sarif", "{")],
)
def test_every_format_goes_to_a_file_that_is_whole(
    standin: Callable[[str], Path], tmp_path: Path, name: str, begins: str
):
    program = tmp_path / "tool"
    program.write_bytes(standin("linux/arm64").read_bytes())
    output = tmp_path / "report"
    output.write_text("old")
    output.chmod(0o640)
    done = binsafe("inspect", program, "--no-syscalls", "--format", name, "--output", output, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert output.read_text().startswith(begins.replace("tool", str(program)))
    assert output.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "tool"]
    assert output.stat().st_size < 300_000


@pytest.mark.parametrize("where", ["none/report", ".", "/proc/report"])
def test_where_nothing_can_be_written_is_said(standin: Callable[[str], Path], tmp_path: Path, where: str):
    done = binsafe("inspect", standin("linux/arm64"), "--no-syscalls", "--json", "--output", where, cwd=tmp_path)
    assert done.returncode == 2
    assert TRACEBACK not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_code_at_each_place_is_there_when_it_is_asked_for(standin: Callable[[str], Path]):
    path = standin("darwin/arm64")
    assert ": ldr x" not in binsafe("inspect", path, "-v").stdout
    assert ": ldr x" in binsafe("inspect", path, "-vv").stdout
    shown = binsafe("inspect", path, "-vv", "--json").stdout
    (part,) = json.loads(shown)["slices"]
    listen = next(each for each in part["network"]["operations"] if each["name"] == "listen")
    assert any(line.startswith(listen["evidence"][0]["address"]) for line in listen["evidence"][0]["instructions"])
    assert "instructions" not in binsafe("inspect", path, "-vv", "--spoiler-free").stdout


def test_spoiler_free_has_addresses_and_no_names_of_its_own(standin: Callable[[str], Path]):
    done = binsafe("inspect", standin("linux/amd64"), "--spoiler-free", "-vv", "--json")
    report = json.loads(done.stdout)
    evidence = [each for item in report["slices"][0]["network"]["operations"] for each in item["evidence"]]
    assert {each["symbol"] for each in evidence if each["via"] == "function"} == {None}
    assert all(each["address"] for each in evidence)
    assert report["strings"]["urls"] == []
    assert "spoiler-free" in report["omitted"][0]


def test_findings_of_members_count(standin: Callable[[str], Path], tmp_path: Path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        archive.write(standin("darwin/amd64"), "tool")
    assert binsafe("inspect", tmp_path / "pack.zip", "--no-syscalls").returncode == 0
    assert binsafe("inspect", tmp_path / "pack.zip", "--no-syscalls", "--fail-on", "medium").returncode == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads a terminal's output once nobody writes any")
@pytest.mark.parametrize(
    ("settings", "coloured"), [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False)]
)
def test_colours_are_for_terminals_that_have_them(settings: dict[str, str], coloured: bool):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "binsafe", "inspect", "--no-syscalls", sys.executable]
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}} | settings
    with subprocess.Popen(command, stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65536):
                shown += part
    os.close(ours)
    assert process.returncode == 0
    assert (b"\x1b[" in shown) is coloured
