"""binsafe profile on a command line: mechanisms, explanations, and proposals that are never granted in silence."""

import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import binsafe

pytestmark = [pytest.mark.once, pytest.mark.skipif(sys.platform != "linux", reason="profiles a program of Linux")]

VIOLATION = {
    "schema": "binsafe.violation/1",
    "time": 1.0,
    "pid": 7,
    "operation": "open",
    "object": "/etc/hosts",
    "syscall": "openat",
    "result": "ENOENT",
    "grant": "--read /etc/hosts",
}


@pytest.fixture
def violations(tmp_path: Path):
    path = tmp_path / "denied.jsonl"
    path.write_text(json.dumps(VIOLATION) + "\n")
    return path


def profile(*arguments: str):
    return binsafe("profile", "true", "--baseline", "deny_all", *arguments)


def granted(text: str):
    return {(grant["kind"], grant["object"]) for grant in json.loads(text)["grants"]}


def test_a_name_has_no_power_over_the_terminal_and_the_line_that_uses_it_is_exact(tmp_path: Path):
    name = "a\x1b]0;owned\x07\nb\u202e"
    shutil.copy("/bin/true", tmp_path / name)
    done = binsafe("profile", tmp_path / name, "--for", "bwrap")
    assert all(line.isprintable() for line in (*done.stdout.splitlines(), *done.stderr.splitlines()))
    (binary,) = (line for line in done.stdout.splitlines() if line.startswith("binary="))
    said = subprocess.run(["sh", "-c", f'{binary}; printf %s "$binary"'], capture_output=True, text=True, check=True)
    assert said.stdout == str(tmp_path / name)
    used = binsafe("profile", tmp_path / name, "--for", "policy").stderr
    assert used.splitlines()[-1].endswith(binary.removeprefix("binary="))


def test_explain_says_of_each_line_what_each_system_makes_of_it():
    done = profile("--for", "policy", "--explain", "--read", "/etc/hosts")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    at = lines.index("read /etc/hosts")
    assert lines[at + 1 : at + 5] == [
        "    macOS                   held",
        "    Linux                   held: nothing else is there",
        "    fallback                held by Landlock; others can be stat'ed",
        "    --read /etc/hosts",
    ]
    assert "    macOS, Linux, fallback  set by the launcher" in lines
    assert [line for line in lines if line.startswith("    ") and len(line) > 80] == []
    assert ("read", "/etc/hosts") in granted(done.stdout)


@pytest.mark.parametrize("mechanism", ["seatbelt", "macos"])
def test_a_mechanism_of_another_system_is_a_usage_error(mechanism: str):
    done = profile("--for", mechanism)
    assert done.returncode == 2
    assert "a program for linux" in done.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac knows where the program lies")
def test_a_profile_that_is_taken_to_a_mac_asks_there_where_the_program_lies(standin: Callable[[str], Path]):
    here = standin("darwin/arm64")
    done = binsafe("profile", here)
    assert done.returncode == 0, done.stderr
    assert f'"{here}"' not in done.stdout
    assert '(param "BINARY")' in done.stdout
    assert "sandbox-exec -D BINARY=PATH -f profile.sb PATH" in done.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac knows where the program lies")
def test_libraries_beside_a_program_of_a_mac_are_asked_for_there(standin: Callable[[str], Path], tmp_path: Path):
    program = tmp_path / "beside"
    here = standin("darwin/amd64").read_bytes()
    program.write_bytes(here.replace(b"/usr/lib/libSystem.B.dylib", b"@loader_path/../libX.dylib"))
    done = binsafe("profile", program)
    assert done.returncode == 0, done.stderr
    assert "sandbox-exec -D BINARY=PATH -D LIBRARIES=FOLDER -f profile.sb PATH" in done.stderr
    assert "FOLDER: where @loader_path/../libX.dylib lies" in done.stderr
    assert '(subpath (param "LIBRARIES"))' in done.stdout


def test_a_grant_without_words_is_refused_or_a_gap():
    refused = profile("--for", "seccomp", "--connect", "localhost:80")
    assert refused.returncode == 2
    partial = profile("--for", "seccomp", "--connect", "localhost:80", "--allow-partial")
    assert partial.returncode == 0
    assert "not enforced by seccomp: localhost:80 stays denied" in partial.stderr


def test_proposals_without_a_person_are_printed_and_not_granted(violations: Path):
    done = profile("--for", "policy", "--from-violations", str(violations))
    assert done.returncode == 0
    assert "1 of 1: --read /etc/hosts" in done.stderr
    assert "nobody is there to ask" in done.stderr
    assert ("read", "/etc/hosts") not in granted(done.stdout)


@pytest.mark.parametrize(("answer", "given"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_a_person_is_asked(violations: Path, answer: bytes, given: bool):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "binsafe", "profile", "true", "--baseline", "deny_all", "--for", "policy"]
    with subprocess.Popen(
        [*command, "--from-violations", str(violations)], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE
    ) as process:
        os.close(theirs)
        os.write(ours, answer)
        text = process.stdout.read()
        os.close(ours)
    assert (("read", "/etc/hosts") in granted(text.decode())) is given


def test_the_line_that_uses_it_asks_for_the_same_grants(tmp_path: Path):
    folder = tmp_path / "a folder"
    folder.mkdir()

    def written(*words: str, mechanism: str):
        return binsafe("profile", *words, "--for", mechanism)

    asked = ("--ports", ":8080", "--read", str(folder), "--exec", "ls", "true")
    used = written(*asked, mechanism="linux").stderr.splitlines()[-1]
    program, verb, *words = shlex.split(used.removeprefix("use it: ").partition("   (")[0])
    assert (program, verb) == ("binsafe", "run")
    grants = granted(written(*words, mechanism="policy").stdout)
    assert grants == granted(written(*asked, mechanism="policy").stdout)
    assert {("listen", "127.0.0.1:8080"), ("execute", "/usr/bin/ls")} <= grants


def test_a_profile_for_containers_says_how_docker_takes_it(tmp_path: Path):
    told = binsafe("profile", "true", "--for", "seccomp", "--output", str(tmp_path / "true.json")).stderr
    assert f"--security-opt seccomp={tmp_path / 'true.json'}" in told


def test_a_host_without_a_port_is_told_what_is_missing():
    told = binsafe("profile", "true", "--connect", "example.com")
    assert told.returncode == 2
    assert "'example.com' has no port" in told.stderr
    assert "hint: expected HOST:PORT" in told.stderr
