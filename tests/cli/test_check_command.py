"""binsafe check and binsafe ask on a command line: what they print, and how they end."""

from pathlib import Path

import pytest
from commands import binsafe

RENDERED = Path(__file__).parents[2] / "profiles/rendered"


def test_our_own_profiles_pass():
    done = binsafe("check", str(RENDERED / "seatbelt/flaky_servers.sb"))
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done.stdout
    assert "0 errors, 0 warnings, 0 notes" in done.stdout
    assert binsafe("check", str(RENDERED / "policy/flaky_servers.json")).returncode == 0


def test_one_missing_parenthesis(tmp_path: Path):
    path = tmp_path / "p.sb"
    path.write_text('(version 1)\n(deny default)\n(allow file-read* (literal "/a")\n')
    done = binsafe("check", str(path))
    assert done.returncode == 1
    assert f"{path}:3:1: error: this ( is never closed: expected a matching )" in done.stdout


def test_two_files_and_the_level_that_fails(tmp_path: Path):
    first, second = tmp_path / "common.sb", tmp_path / "rest.sb"
    first.write_text("(version 1)\n(deny default)\n(define (f) (allow process-exec))\n")
    second.write_text("; x\n(f)\n(g)\n")
    done = binsafe("check", "--prelude", str(first), str(second))
    assert done.returncode == 1
    assert f"{first}:3:20: warning" in done.stdout
    assert f"{second}:3:2: error: unknown name 'g'" in done.stdout
    second.write_text("(f)")
    assert binsafe("check", "--prelude", str(first), str(second), "--fail-on", "error").returncode == 0


def test_a_comment_at_the_end_of_the_first_file_hides_nothing_of_the_second(tmp_path: Path):
    first, second = tmp_path / "common.sb", tmp_path / "rest.sb"
    first.write_text("(version 1)\n(deny default)\n; the end")
    second.write_text("(g)")
    done = binsafe("check", "--prelude", str(first), str(second))
    assert f"{second}:1:2: error: unknown name 'g'" in done.stdout


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("landlock/flaky_servers.json", "a Landlock ruleset"),
        ("systemd/flaky_servers.service", "a systemd unit"),
        ("bwrap/cli_tool.sh", "a script"),
    ],
)
def test_what_is_written_and_not_read_back_is_named(name: str, what: str):
    done = binsafe("check", str(RENDERED / name))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"is {what}, which is not checked" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("network-outbound", "192.0.2.7:443"), 1, "denied: no rule speaks of it"),
        (("network-bind", "127.0.0.1:4000"), 0, '(local tcp "localhost:4000") ...)'),
        (("file-read-data", "/opt/x"), 3, "-D NAME=VALUE"),
        (("file-read-data", "/opt/x", "-D", "BINARY=/opt/x"), 0, "allowed"),
        (("file-reed-data", "/opt/x"), 2, "did you mean"),
        (("bind", "127.0.0.1:4000"), 2, "did you mean network-bind?"),
        (("process-fork", "-D", "BINARY"), 2, "no value"),
    ],
)
def test_ask_ends_with_a_status_for_each_answer(arguments: tuple[str, ...], status: int, said: str):
    done = binsafe("ask", str(RENDERED / "seatbelt/flaky_servers.sb"), *arguments)
    assert done.returncode == status, done.stderr
    assert said in done.stdout + done.stderr


def test_asking_what_is_no_profile_for_macos():
    done = binsafe("ask", str(RENDERED / "policy/flaky_servers.json"), "network-bind")
    assert (done.returncode, "is JSON" in done.stderr) == (2, True)


def test_an_import_is_looked_for_only_where_the_user_says(tmp_path: Path):
    path = tmp_path / "p.sb"
    path.write_text('(version 1)(deny default)(import "more.sb")(import "../more.sb")')
    (tmp_path / "more.sb").write_text("(allow process-fork)")
    assert binsafe("ask", str(path), "process-fork").returncode == 3
    done = binsafe("ask", str(path), "process-fork", "--imports", str(tmp_path))
    assert (done.returncode, "allowed" in done.stdout) == (0, True)


def test_control_characters_of_a_profile_stay_away_from_the_terminal(tmp_path: Path):
    path = tmp_path / "p\x1b[31m.sb"
    path.write_text('(version 1)(allow file-read* (literal "\x1b[31m"))')
    done = binsafe("check", str(path))
    assert [line.count("p\\x1b[31m.sb") for line in done.stdout.splitlines()] == [1, 1]
    assert done.returncode == 1
