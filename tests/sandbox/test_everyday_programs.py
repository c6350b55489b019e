"""Programs of this system start at the first try under the policy derived for them, and see nothing else."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from everyday import run

from binsafe import baselines
from binsafe.errors import NotEnforceable
from binsafe.intake import Found, Snapshot, inspect
from binsafe.policy import Request, default_baseline, derive
from binsafe.sandbox import Order, launch

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

READING = {"sort": (), "wc": ("-l",), "sed": ("-n", "1p"), "sha256sum": ()}


@pytest.mark.parametrize("program", READING)
def test_a_program_reads_what_it_is_granted(folder: Path, program: str):
    words = (*READING[program], str(folder / "fruit"))
    outside = subprocess.run(
        [program, *words], env={}, executable=shutil.which(program), capture_output=True, check=True
    )
    assert run(program, *words, read=(str(folder / "fruit"),)) == (0, outside.stdout, b"")


def test_a_program_writes_where_it_may(folder: Path):
    status, _, err = run("cp", str(folder / "fruit"), str(folder / "copy"), write=(str(folder),))
    assert (status, err) == (0, b"")
    assert (folder / "copy").read_text() == "pear\napple\n"


def test_a_program_that_could_serve_writes_files_as_large_as_it_is_asked_to(folder: Path):
    """What listens (git, perl, rsync) ended at 64 MiB of any file, and nothing was said to be denied."""
    words = ("-e", 'open(my $file, ">", shift) or die; seek($file, 65 << 20, 0); print $file "x"')
    status, _, err = run("perl", *words, str(folder / "large"), write=(str(folder),))
    assert (status, err) == (0, b"")
    assert (folder / "large").stat().st_size == (65 << 20) + 1


def test_what_may_only_be_read_keeps_its_place_in_a_folder_that_may_be_written(folder: Path):
    """Or another would take its name: hooks of a repository, which its user's git executes."""
    hooks = folder / "project" / ".git" / "hooks"
    hooks.mkdir(parents=True)
    for each in (hooks, *hooks.parents[:2]):
        each.chmod(0o777)
    granted = {"read": (str(hooks),), "write": (str(folder),)}
    for moved in (hooks, *hooks.parents[:2]):
        status, _, err = run("mv", str(moved), str(folder / "moved"), **granted)
        assert status == 1
        assert b"busy" in err
    assert run("mv", str(folder / "fruit"), str(folder / "project"), **granted)[0] == 0
    assert (folder / "project" / "fruit").exists()


def test_what_may_be_executed_keeps_its_place_there_as_well(folder: Path):
    """Or a program of its own would take that, for its next start or for its user."""
    tools = folder / "tools"
    tools.mkdir()
    tools.chmod(0o777)
    shutil.copy("/bin/true", tools / "tool")
    command = [sys.executable, "-m", "binsafe", "run", "--write", str(folder), "--exec", str(tools / "tool"), "mv"]
    moved = subprocess.run([*command, tools, folder / "moved"], capture_output=True, text=True, check=False)
    assert moved.returncode == 1
    assert "busy" in moved.stderr


def test_no_option_is_told_for_what_none_grants(folder: Path, capsys: pytest.CaptureFixture[str]):
    """The one was told to grant for writing what was granted, the other to execute what is not there outside."""
    run("mknod", str(folder / "null"), "c", "1", "3", write=(str(folder),))
    assert "none: files, folders, links and pipes are all that is ever made" in capsys.readouterr().out
    run("sh", "-c", "echo > /tmp/made; chmod u+x /tmp/made; /tmp/made")
    assert "none: what a program makes itself is never executed" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("perl") is None, reason="needs perl")
def test_a_search_for_a_program_goes_on_where_there_is_none(folder: Path, capsys: pytest.CaptureFixture[str]):
    """It ended in the first folder, which npm has of the project: that the shell is denied was not told."""
    search = f'$ENV{{PATH}} = "{folder}:/nowhere/bin:/usr/bin"; exec "env"; print $! + 0'
    assert run("perl", "-e", search, read=(str(folder),))[1] == str(errno.EPERM).encode()
    assert "grant='--exec /usr/bin/env'" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/ssh", "/root", "/home", "/proc/1", "/sys", "/var"])
def test_the_systems_files_stay_out_of_sight(path: str):
    status, out, _ = run("ls", path)
    assert status != 0
    assert out == b""


def test_names_come_from_stand_ins():
    assert run("id", "-un") == (0, b"user\n", b"")
    assert b"root:" not in run("cat", "/etc/shadow")[1]


def test_its_home_is_the_one_that_it_was_given():
    ask = ("-c", "echo ~user")
    assert run("bash", *ask)[1] == b"/\n"
    assert run("bash", *ask, environment=(("HOME", "/tmp/it"),))[1] == b"/tmp/it\n"
    assert run("bash", *ask, environment=(("HOME", "/x:/bin/sh"),))[1] == b"/\n", "a line of passwd(5) has colons"


def test_a_library_that_was_changed_after_the_inspection_is_refused(folder: Path):
    library = folder / "libextra.so"
    source = folder / "main.c"
    source.write_text("int extra(void); int main(void) { return extra(); }")
    (folder / "extra.c").write_text("int extra(void) { return 7; }")
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, folder / "extra.c"], check=True)
    program = folder / "program"
    link = ["gcc", "-o", program, source, library, "-Wl,-rpath,$ORIGIN"]
    subprocess.run(link, check=True)
    assert run(str(program))[0] == 7
    with Snapshot.take(Found("program", program)) as snapshot:
        report = inspect(snapshot, syscalls=False)
        policy = derive(report, baselines.load(default_baseline(report)), Request())
        with library.open("ab") as stream:
            stream.write(b"more")
        order = Order(policy=policy, program=snapshot.descriptor, path=str(program), on_violation=print)
        with pytest.raises(NotEnforceable, match="not the file that was inspected"):
            launch(order)


def test_it_learns_how_many_processors_there_are():
    lines = run("grep", "-c", "^processor", "/proc/cpuinfo")[1], run("grep", "-c", "^cpu[0-9]", "/proc/stat")[1]
    assert lines == (f"{len(os.sched_getaffinity(0))}\n".encode(),) * 2


def test_a_granted_folder_does_not_bring_back_the_systems_own_copy():
    """A read grant that covers the program's own folder must not replace what was inspected."""
    where = str(Path(shutil.which("ls")).resolve().parent)
    assert run("ls", where, read=(where,))[0] == 0
