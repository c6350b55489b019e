"""What cannot be the servers is refused with the status that says why, and nothing is started."""

import sys
import zipfile
from pathlib import Path

import pytest
from commands import bandit_runner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/bin/true is a file of Linux's here")


@pytest.mark.parametrize("command", [("start", "--no-dashboard", "--store", "runs.sqlite"), ("servers",)])
@pytest.mark.parametrize(
    ("binary", "status", "said"),
    [
        ("/bin/true", 125, "/bin/true cannot be the servers: nothing in it listens on a port"),
        ("text", 125, "no ELF, Mach-O or PE executable"),
        ("script", 126, "a script for /bin/sh"),
        ("archive.zip", 126, "There is no executable in it"),
        (".", 126, "is a directory"),
        ("/no/such/file", 127, "'/no/such/file' is no file"),
        ("true", 127, "true' is no file"),
    ],
)
def test_what_cannot_be_the_servers_is_refused(
    command: tuple[str, ...], binary: str, status: int, said: str, tmp_path: Path
):
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    (tmp_path / "text").write_text("some text")
    (tmp_path / "script").write_text("#!/bin/sh\necho\n")
    done = bandit_runner(*command, "--binary", binary, cwd=tmp_path)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    assert "hint: " in done.stderr
    assert "pid=" not in done.stderr


@pytest.mark.parametrize("words", [("start", "--binary"), ("servers", "--binary"), ("compare", "--store")])
def test_a_variable_that_is_not_set_does_not_name_the_current_folder(words: tuple[str, str], tmp_path: Path):
    done = bandit_runner(*words, "", cwd=tmp_path)
    assert done.returncode == 2
    assert 'an empty path names no file; is a "$VARIABLE" not set?' in done.stderr
