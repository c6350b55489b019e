"""Commands of Debian do their job at the first try under ``binsafe run``, with the files that the job is about.

Each runs twice on the same folder, without and with the sandbox: what it prints, its status and what it leaves in the
folder must be the same.
"""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_jobs import QUICK, SLOW, Job
from started import BINSAFE

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.timeout(200),
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

PATH = "/usr/bin:/bin"
_CPIO = b"".join(
    b"070701"
    + b"%08X" * 13 % (1, 0o100644, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name) + 1, 0)
    + (name + bytes(4 - (110 + len(name)) % 4))
    + data
    for name, size, data in ((b"fruit", 4, b"pear"), (b"TRAILER!!!", 0, b""))
)
"""Two records of cpio(5)'s new ASCII format."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for the folder that a job is about; each user reaches it by the same path."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path / "job"


def _fill(folder: Path) -> None:
    """The files that the jobs are about, always the same."""
    (folder / "tree" / "deep").mkdir(parents=True)
    (folder / "tree" / "deep" / "leaf").write_text("leaf\n")
    (folder / "fruit").write_text("pear\napple\n")
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").symlink_to("python3")
    (folder / "venv" / "bin" / "python3").symlink_to("/usr/bin/python3")
    (folder / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    for name in ("cat", "env"):
        shutil.copy(f"/usr/bin/{name}", folder)
    (folder / "another-name").symlink_to("fruit")
    (folder / "way").symlink_to(folder / "tree")
    (folder / "numbers").write_text("".join(f"{number}\n" for number in range(1, 101)))
    (folder / "latin").write_bytes("café\n".encode("latin-1"))
    (folder / "some.json").write_text('{"a": [1, 2, 3]}')
    (folder / "some.patch").write_text("--- a/fruit\n+++ b/fruit\n@@ -1,2 +1,2 @@\n-pear\n+plum\n apple\n")
    (folder / "script.sh").write_text("cd $1 || exit 2\nsort fruit | while read -r line; do echo $line; done\n")
    (folder / "program.py").write_text(
        "import pathlib, sys\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "total = sum(map(int, (folder / 'numbers').read_text().split()))\n"
        "(folder / 'total').write_text(str(total))\n"
        "print(total)\n"
    )
    (folder / "sum.bc").write_text("6 * 7\nquit\n")
    (folder / "some.xml").write_text("<a><b>42</b></a>")
    (folder / "page.ps").write_text("/Helvetica findfont 12 scalefont setfont 72 72 moveto (hello) show showpage\n")
    (folder / "page.html").write_text("<html><body><p>hello</p></body></html>\n")
    (folder / "answer.tcl").write_text("puts [expr 6 * 7]\n")
    (folder / "grammar.y").write_text("%token A\n%%\ns: A;\n%%\n")
    (folder / "dots.pbm").write_text("P1 2 2 0 1 1 0\n")
    (folder / "main.c").write_text("int main(void) { return 42; }\n")
    (folder / "main.s").write_text(".globl main\nmain: ret\n")
    with zipfile.ZipFile(folder / "some.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("fruit"), "pear\n")  # of 1980, each time
    (folder / "some.cpio").write_bytes(_CPIO)
    (folder / "project").mkdir()
    (folder / "project" / "Makefile").write_text("sorted: ../fruit\n\tsort ../fruit > sorted\n")
    subprocess.run(["tar", "--mtime=@0", "-cf", folder / "some.tar", "-C", folder, "fruit"], check=True)
    with sqlite3.connect(folder / "some.db") as database:
        database.execute("create table t (a)")
        database.execute("insert into t values (42)")
    database.close()
    git = ["git", "-C", str(folder / "work"), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    git += ["-c", "maintenance.auto=false"]  # which would go on beside the test
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    environment |= dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "@1700000000+0000")
    (folder / "work").mkdir()
    for words in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "start"]):
        subprocess.run([*git, *words], check=True, env=environment)
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)


def _left(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Path -> its mode and what is in it."""
    return {str(path.relative_to(folder)): (path.lstat().st_mode, _content(path)) for path in folder.rglob("*")}


def _content(path: Path) -> bytes | str:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if stat.S_ISREG(path.lstat().st_mode) else b""


def _do(folder: Path, command: list[str], environment: dict[str, str]) -> tuple[int, bytes, bytes, dict]:
    shutil.rmtree(folder, ignore_errors=True)
    _fill(folder)
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=120
    )
    return done.returncode, done.stdout, done.stderr, _left(folder)


def _is_the_same(given: Job, folder: Path) -> None:
    words = [word.format(d=folder) for word in given.command]
    if shutil.which(words[0], path=PATH) is None and not words[0].startswith(str(folder)):
        pytest.skip(f"{words[0]} is not installed")
    options = [word.format(d=folder) for word in given.granted.split()]
    variables = dict(options[at + 1].split("=", 1) for at, word in enumerate(options) if word == "--env")
    path = {"PATH": PATH}
    outside = _do(folder, words, path | variables)
    inside = _do(folder, [*BINSAFE, "run", *options, "--", *words], dict(os.environ) | path)
    if given.tries:
        inside = (*inside[:2], outside[2], inside[3])
    assert given.expected in outside[1].decode(errors="replace")
    if given.varies:
        assert outside[0] == 0
        assert (inside[0], inside[1], inside[2], inside[3].keys()) == (*outside[:3], outside[3].keys())
    else:
        assert inside == outside


@pytest.mark.parametrize("name", QUICK)
def test_a_command_does_its_job(name: str, folder: Path):
    _is_the_same(QUICK[name], folder)


@pytest.mark.programs
@pytest.mark.parametrize("name", SLOW)
def test_another_command_does_its_job(name: str, folder: Path):
    _is_the_same(SLOW[name], folder)
