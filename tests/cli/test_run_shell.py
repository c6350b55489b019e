"""binsafe run with a shell, as users try it out: what it is called, what it leaves running, what it asks for."""

import errno
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

SHELL = "/bin/sh"
RUN = [sys.executable, "-m", "binsafe", "run"]
BACKGROUND = "process in the background denied"

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
    pytest.mark.skipif(shutil.which("dash") is None, reason="needs Debian's shell"),
]


PAIR = """
socketpair(my $one, my $other, 1, 2, 0) or die $!;  # AF_UNIX, SOCK_DGRAM
syswrite $one, "first";
syswrite $one, "second";
sysread $other, my $message, 99;
print $message;
"""


def script(text: str, *options: str, program: str = SHELL) -> subprocess.CompletedProcess[str]:
    return run(*options, program, "-c", text)


def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *words], input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_a_program_of_the_systems_is_called_by_its_path_as_it_was_started():
    """haproxy starts itself anew by this name when it is reloaded."""
    assert script("echo $0").stdout == f"{SHELL}\n"
    assert script("echo $0", program="sh").stdout == "sh\n"


def test_what_goes_on_in_the_background_ends_and_that_is_said():
    """A server that makes itself a daemon looked as if it had ended well."""
    done = script("while :; do :; done &")
    assert done.returncode == 0
    assert BACKGROUND in done.stderr
    assert "foreground" in done.stderr
    assert script("while :; do :; done & exit 3").stderr == ""
    assert script("true & wait").stderr == ""


def test_what_ends_because_we_were_asked_to_has_left_nothing_behind():
    command = [*RUN, SHELL, "-c", "trap 'exit 0' TERM; echo up; while :; do :; done & while :; do :; done"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (0, b"")


def test_a_signal_of_its_own_is_not_said_for_certain_to_be_a_call():
    done = script("kill -SYS $$")
    assert done.returncode == 128 + signal.SIGSYS
    assert "(int 0x80, x32), unless it sent itself SIGSYS denied" in done.stderr


def test_a_limit_that_is_asked_for_again_and_again_is_one_thing():
    """redis tries ten thousand files, and sixteen less, until it may: hundreds of lines for one number."""
    done = script("for n in 9001 9002 9003 9004 9005 9006 9007 9008 9009; do ulimit -n $n; done")
    assert done.stderr.count("limit nofile denied") == 1
    assert "nofile: 9001 among its limits" in done.stderr


def test_a_mask_that_keeps_the_owner_out_is_the_programs_and_hinders_nobody_else():
    done = subprocess.run([*RUN, SHELL, "-c", "umask"], umask=0o777, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0777\n"), done.stderr


@pytest.mark.parametrize(("limit", "hint"), [("nofile=16", "ulimit -n"), ("fsize=0", "ulimit -f")])
def test_a_limit_that_is_too_low_is_said_to_be(limit: str, hint: str):
    words = [shutil.which("prlimit") or "prlimit", f"--{limit}:", *RUN, SHELL, "-c", ":"]
    script(":")  # it is known then: an inspection needs more, and blames the file
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (125, "")
    assert hint in done.stderr


def test_a_variable_that_is_not_set_here_is_not_set_inside(monkeypatch: pytest.MonkeyPatch):
    """It was empty, which for many programs is another wish."""
    monkeypatch.delenv("FRUIT", raising=False)
    asking = ("--env", "FRUIT", SHELL, "-c", 'echo "${FRUIT-none}"')
    assert run(*asking).stdout == "none\n"
    monkeypatch.setenv("FRUIT", "")
    assert run(*asking).stdout == "\n"
    monkeypatch.setenv("FRUIT", "pear")
    assert run(*asking).stdout == "pear\n"


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs the system's Python")
def test_a_virtual_environments_python_finds_what_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It was told its name alone, and no module that was installed there was found."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/usr/bin/python3")
    shutil.copy("/usr/bin/python3", tmp_path / "bin" / "python3")
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    monkeypatch.chdir(tmp_path)
    for python in ("bin/python", f"{tmp_path}/bin/python", f"{tmp_path}/bin/python3"):
        done = run("--read", str(tmp_path), python, "-c", "import sys; print(sys.prefix)")
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}\n", "")
    assert run("--read", "/var/tmp", "bin/python", "-c", "import sys; print(sys.prefix)").stdout == "/usr\n"


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs the system's Python")
def test_a_virtual_environments_python_that_is_not_told_so_is_said_to_find_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """No module that was installed there was found, pip was the system's, and nothing said why."""
    folder = tmp_path / "in it"
    (folder / "bin").mkdir(parents=True)
    for name, target in (("python", "/usr/bin/python3"), ("dash", SHELL)):
        (folder / "bin" / name).symlink_to(target)
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")
    monkeypatch.setenv("PATH", f"{folder}/bin:/usr/bin:/bin")
    said = {run(name, "-c", "").stderr for name in ("python", f"{folder}/bin/python")}
    what = "it finds nothing that is installed in its virtual environment unless it is started so"
    assert said == {f"{what}: --read '{folder}' '{folder}/bin/python'\n"}
    assert run("/usr/bin/python3", "-c", "").stderr == run(f"{folder}/bin/dash", "-c", "").stderr == ""


def test_a_folder_that_has_gone_is_said_to_have(tmp_path: Path):
    words = [SHELL, "-c", 'rmdir "$PWD"; exec "$@"', SHELL, *RUN, SHELL, "-c", ":"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (125, "")
    assert "not there any more" in done.stderr


def test_its_own_open_files_have_names():
    """Servers log to /dev/stderr, and bash names what it reads from by /dev/fd."""
    assert script("echo said > /dev/stderr; echo told > /proc/self/fd/1").stdout == "told\n"
    assert "said\n" in script("echo said >> /dev/stderr").stderr
    done = run("--exec", "/usr/bin/cat", "/bin/bash", "-c", "cat /dev/stdin <(echo second)", stdin="first\n")
    assert (done.stdout, done.stderr) == ("first\nsecond\n", "")
    done = script("echo x > /dev/fd/9; echo $?")
    assert done.stdout == "2\n"


@pytest.mark.skipif(shutil.which("perl") is None, reason="needs perl")
def test_a_pair_of_sockets_for_datagrams_keeps_its_messages_apart():
    done = run("perl", "-e", PAIR)
    assert (done.stdout, done.stderr) == ("first", "")


@pytest.mark.skipif(shutil.which("perl") is None, reason="needs perl")
def test_who_would_become_somebody_else_is_told_that_he_may_not():
    """Not that there is no such call: ngircd goes on after the first answer and ends after the other."""
    done = run("perl", "-e", "$( = 65534; print $! + 0, qq(\n); $< = 65534; print $! + 0")
    assert done.stdout == f"{errno.EPERM}\n{errno.EPERM}"


@pytest.mark.parametrize(("command", "option"), [((SHELL, "-c", "env"), "--exec"), (("ls", "/usr/bin/env"), "--read")])
def test_a_program_that_a_shell_looks_at_is_one_to_execute(command: tuple[str, ...], option: str):
    """It asks what there is on its PATH before it executes anything."""
    assert f"read /usr/bin/env denied: not in the policy; add {option} /usr/bin/env\n" in run(*command).stderr


def test_looking_for_a_program_where_there_is_none_is_no_denial():
    """npm looks for its shell in node_modules/.bin of each folder above, which nobody has."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        done = script(f"{name}/env; /nowhere/env; env true; {name}/env", "--exec", "/usr/bin/env", "--read", name)
        assert done.stderr.count("denied: not in the policy") == 1, done.stderr  # env may not execute true
        Path(name, "env").touch(0o755)
        done = script(f"{name}/env; {name}/env", "--exec", "/usr/bin/env", "--read", name)
        assert done.stderr.count(f"execute {name}/env denied: not in the policy; add --exec {name}/env\n") == 1
        assert "2 denied: execute 1; 1 more" in done.stderr


def test_a_program_to_execute_is_found_as_a_shell_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert run("--exec", "printenv", SHELL, "-c", "/usr/bin/printenv PWD").returncode == 0
    (tmp_path / "printenv").write_bytes(b"not one")  # what lies here goes first, as for FILE itself
    refused = run("--exec", "printenv", SHELL, "-c", ":")
    assert (refused.returncode, refused.stdout) == (125, "")
    assert "--exec printenv" in refused.stderr


@pytest.mark.parametrize(
    ("line", "reader"), [("#!/bin/sh -e", SHELL), ("#! /usr/bin/env dash", "dash"), ("#!\x1b[2J", "INTERPRETER")]
)
def test_who_would_run_a_script_is_told_what_to_type(tmp_path: Path, line: str, reader: str):
    script = tmp_path / "a script $(id)"
    script.write_text(f"{line}\necho $((6 * 7))\n")
    refused = run(str(script))
    assert refused.returncode == 126
    typed = shlex.split(refused.stderr.rpartition("binsafe run ")[2])
    assert typed == ["--read", str(script), reader, str(script)]
    if reader != "INTERPRETER":
        assert run(*typed).stdout == "42\n"


@pytest.mark.parametrize(
    ("text", "started"),
    [('exec /bin/echo "$@"\n', "/bin/echo"), ('cd /\nexec /bin/echo "$@"\n', None), ('exec $(id) "$@"', None)],
)
def test_who_would_run_a_script_that_only_starts_a_program_is_told_of_that(
    tmp_path: Path, text: str, started: str | None
):
    """Debian's 7z: the script's own way needs the shell, the program and what lies beside that, each granted."""
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\n# it is elsewhere\n{text}")
    said = run(str(script)).stderr
    assert ("what reads it: " in said) is (started is None)
    if started:
        assert run(*shlex.split(said.rpartition("binsafe run ")[2]), "42").stdout == "42\n"


def test_a_script_may_be_executed_where_what_runs_it_may(tmp_path: Path):
    """git's bisect and submodule are scripts."""
    hook = tmp_path / "hook"
    hook.write_text("#! /bin/sh\necho called $1\n")
    hook.chmod(0o755)
    refused = run("--exec", str(hook), SHELL, "-c", f"{hook} x")
    assert (refused.returncode, refused.stdout) == (125, "")
    assert "--exec /bin/sh" in refused.stderr
    done = run("--exec", str(hook), "--exec", "/usr/bin/dash", SHELL, "-c", f"{hook} x")
    assert (done.returncode, done.stdout, done.stderr) == (0, "called x\n", "")


@pytest.mark.skipif(sys.platform == "linux" and os.geteuid() != 0, reason="only root's program is another user inside")
def test_a_private_file_in_a_public_folder_that_root_grants_has_to_be_named():
    """A server's key among its certificates: it said only that it was denied, and nobody said what to do."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder, key = Path(name), Path(name, "key")
        folder.chmod(0o755)
        key.write_text("secret\n")
        key.chmod(0o600)
        done = script(f"read line < {key}; test -e {key} && echo $line", "--read", name)
        assert done.stdout == "\n"
        assert done.stderr.count(f"read {key} denied: not in the policy; add --read {key}\n") == 1
        done = script(f"read line < {key}; echo $line", "--read", name, "--read", str(key))
        assert (done.stdout, done.stderr) == ("secret\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="a hint of Linux's supervisor")
def test_what_a_shell_does_not_find_is_named_also_where_a_folder_is_granted():
    """It asks what there is on its PATH before it executes that."""
    done = run("--read", "/usr/share", SHELL, "-c", "sort")
    assert done.returncode == 127
    assert "read /usr/bin/sort denied: not in the policy; add --exec /usr/bin/sort\n" in done.stderr


@pytest.mark.parametrize("status", [0, 1])
def test_of_helpers_that_it_merely_looks_for_is_told_where_it_failed(status: int):
    """perl looks for pwd, git for itself, w3m for what unpacks; a shell that searches its PATH is told at once."""
    done = script(f"test -e /usr/bin/sort; test -e /etc/debian_version; exit {status}", "--read", "/usr/share")
    at_the_end = "it ended with status 1; also denied, though most programs do without: read /usr/bin/sort (--exec "
    assert done.stderr.startswith(at_the_end) == bool(status)
    assert ("/usr/bin/sort" in done.stderr) == bool(status)


def test_an_empty_input_is_no_pipe():
    """ripgrep searched what it took for input, and not the folder that it was given."""
    command = [*RUN, "stat", "-c", "%F", "-"]
    kinds = [subprocess.run(command, stdin=each, capture_output=True, check=False).stdout for each in (-3, -1)]
    assert kinds == [b"character special file\n", b"fifo\n"]


@pytest.mark.skipif(sys.platform != "linux", reason="a hint of Linux's supervisor")
def test_names_are_meant_from_the_folder_that_it_was_started_in(monkeypatch: pytest.MonkeyPatch):
    """It starts in / where that folder is not granted: a file of the user's was not found, and nobody said why."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        Path(name, "note").write_text("hello\n")
        Path(name, "in").mkdir()
        monkeypatch.chdir(name)
        command = (SHELL, "-c", "read line < note; echo $line; : > made; read line < none")
        done = run(*command)
        assert done.stdout == "\n"
        for grant in (f"--read {name}/note", f"--write {name}"):
            assert f"not in the policy; add {grant}\n" in done.stderr
        assert "none denied" not in done.stderr
        homeless = run(SHELL, "-c", ": > /.cache")
        grants = "--write FOLDER --env HOME=FOLDER, or --env HOME=/tmp for what may go"
        assert f"write /.cache denied: not in the policy; add {grants}\n" in homeless.stderr
        assert (
            run("--env", "HOME=/tmp", SHELL, "-c", "echo made > ~/.cache; read line < ~/.cache; echo $line").stdout
            == "made\n"
        )
        assert run("--read", "note", *command).stdout == "hello\n"
        monkeypatch.chdir(f"{name}/in")
        done = run("--read", "../note", SHELL, "-c", "read line < ../note")
        assert f"add --read {name}/in\n" in done.stderr


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs Debian's Python")
def test_a_server_in_python_may_copy_files_though_it_may_not_list_their_attributes():
    """shutil takes ENOTSUP for an answer, and no other that a sandbox would give."""
    source = (
        "import os, shutil; open('/tmp/a', 'w').close(); shutil.copy2('/tmp/a', '/tmp/b'); print(os.listdir('/tmp'))"
    )
    done = run("--baseline", "network_server", "/usr/bin/python3", "-c", source)
    assert sorted(done.stdout) == sorted("['a', 'b']\n")


@pytest.mark.skipif(not Path("/usr/share/zoneinfo/Asia/Tokyo").exists(), reason="needs tzdata")
def test_a_variable_that_names_a_zone_or_a_language_brings_what_it_means():
    command = ["date", "-d", "2026-01-01T00:00:00Z", "+%H %Z"]
    assert run("--env", "TZ=Asia/Tokyo", *command).stdout == "09 JST\n"
    assert run("--env", "LC_ALL=C.UTF-8", "/bin/bash", "-c", "word=\u00e4\u00f6; echo ${#word}").stdout == "2\n"


def test_what_else_the_arguments_name_is_said_where_it_gave_up_at_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second file", "granted"):
        Path(name).touch()
    also = f"its arguments also name what it has not come to: --read '{tmp_path}/second file'\n"
    assert also in run("--read", "granted", "sort", "-m", "first", "new", "second file", "granted").stderr
    assert "also name" not in run("tail", "-n", "1", "first", "second file").stderr, "it came to each itself"


def test_what_stands_in_for_a_file_that_was_named_is_said_to():
    """cat prints users that there are not, and ends well."""
    done = run("cat", "/etc/passwd", "/proc/../etc/hosts", "/dev/null", "/etc/none")
    assert "user:x:1000:1000" in done.stdout
    assert re.findall("add (.*)", done.stderr) == ["--read /etc/passwd", "--read /etc/hosts"], done.stderr
    assert "also name" not in done.stderr
    assert run("echo", "/etc/passwd").stderr == "", "it reads nothing"
    done = run("--read", "/etc/passwd", "cat", "/etc/passwd")
    assert (done.stdout, done.stderr) == (Path("/etc/passwd").read_text(), "")


def test_a_program_beside_its_user_is_found_in_two_steps(tmp_path: Path):
    """By the names under which env, timeout and xargs start it; it was denied in silence, as one that is not there."""
    tool = shutil.copy("/bin/true", tmp_path / "tool")
    read, start = f"--read {tmp_path}", f"--exec {tool}"
    steps = [([], 127, [start]), ([start], 127, [read]), ([start, read], 0, [])]
    for options, status, named in steps:
        words = [*RUN, *" ".join(options).split(), "env", "./tool"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, re.findall("add (.*)", done.stderr)) == (status, named), done.stderr
