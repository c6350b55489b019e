"""A program's own /tmp: what it hides of its user's, and what goes with it, is named with the grant that would help."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from everyday import run

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


def test_a_file_that_its_own_temporary_folder_hides_is_named_until_it_has_one_of_that_name(
    capsys: pytest.CaptureFixture,
):
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        reading = f"read line < {file.name}"
        assert run("dash", "-c", f"{reading}; echo mine > {file.name}; {reading} && echo $line")[1] == b"mine\n"
        assert capsys.readouterr().out.count(f"grant='--read {file.name}'") == 1


@pytest.mark.parametrize("granted", ["file", "folder"])
def test_nothing_is_made_beside_what_is_granted_in_a_temporary_folder(granted: str, capsys: pytest.CaptureFixture):
    """It went to the folder that the program has by itself, ended with 0, and was lost."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o777)
        file, new = Path(name) / "file", Path(name) / "new"
        file.write_text("x")
        file.chmod(0o644)
        allowed = {"read": (str(file),)} if granted == "file" else {"write": (name,)}
        status = run("cp", str(file), str(new), **allowed)[0]
        told = f"grant='--write {name}'" in capsys.readouterr().out
        assert (status, told, new.exists()) == ((1, True, False) if granted == "file" else (0, False, True))


def test_what_cannot_be_made_where_its_own_temporary_folder_hides_the_users_is_named(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        for path in (f"{name}/new", "new"):
            monkeypatch.chdir("/" if path.startswith("/") else name)
            assert run("mkdir", path)[0] == 1
            assert f"grant='--write {name}'" in capsys.readouterr().out


def test_what_it_was_told_to_write_into_its_own_temporary_folder_is_named_when_it_goes(
    capsys: pytest.CaptureFixture,
):
    """It ended with status 0, and its user found nothing."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o777)
        deep = path / "deep" / "er"
        deep.mkdir(parents=True)
        for command in (("touch", f"{name}1"), ("sort", f"--output={name}1", "/dev/null")):
            assert run(*command)[0] == 0
            assert f"operation='keep', object='{name}1'" in (told := capsys.readouterr().out)
            assert "grant='--write /tmp'" in told
        assert run("mkdir", "-p", f"{name}1/2")[0] == 0
        assert "grant='--write /tmp'" in capsys.readouterr().out, "no folder that only the program has made"
        assert run("touch", f"{name}/new", f"{name}/", "/tmp/", write=(name,))[0] == 0
        assert run("test", "-d", str(path / "deep"), read=(str(deep),))[0] == 0
        assert run("sh", "-c", "cd /tmp; > other")[0] == 0
        assert run("test", "-d", "/tmp/..")[0] == 0
        assert "keep" not in capsys.readouterr().out
        assert (path / "new").exists()


def test_what_its_own_temporary_folder_hides_is_named_where_it_is_only_asked_for(capsys: pytest.CaptureFixture):
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        assert run("test", "-d", name)[0] == 1
        assert f"grant='--read {name}'" in capsys.readouterr().out


def test_a_program_that_is_granted_in_a_temporary_folder_leaves_it_to_be_written():
    """Nothing could be written to /tmp any more. What is granted there cannot be changed, nor what is made executed."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        tool, link, new = f"{name}/true", f"{name}/link", f"{name}_new"
        shutil.copy("/bin/true", tool)
        Path(link).symlink_to("/bin/true")
        granted = [word for path in (tool, link, "/bin/cp", "/bin/rm", "/bin/chmod") for word in ("--exec", path)]
        denied = (new, f"rm {tool}", f"chmod 700 {tool}", f"(: > {tool})", f"(: > {name}/new)")
        tried = f"cp {tool} {new} && {' && '.join(f'! {each}' for each in denied)} && {tool} && {link}"
        command = [sys.executable, "-m", "binsafe", "run", *granted, "/bin/dash", "-c", f"{tried} && [ -s {new} ]"]
        done = subprocess.run([*command, tool, link], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert f"--write {name}" in done.stderr
        assert "keep" not in done.stderr
