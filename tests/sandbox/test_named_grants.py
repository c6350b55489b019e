"""What a program looks for and is not given is named, with the grant that would help it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from everyday import run

from binsafe import kernel
from binsafe.model import Grant
from binsafe.sandbox.linux.offering import Miss
from binsafe.sandbox.linux.watching import Watch

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

OUTSIDE = "/etc/debian_version"


@pytest.mark.parametrize("what", ["a file elsewhere", "a link that leads out"])
def test_a_file_that_is_not_there_is_named_where_a_whole_folder_is(
    folder: Path, what: str, capsys: pytest.CaptureFixture
):
    wanted = OUTSIDE if what == "a file elsewhere" else str(folder / "link")
    (folder / "link").symlink_to(OUTSIDE)
    assert run("cat", wanted, read=(str(folder),))[0] == 1
    assert f"--read {OUTSIDE}" in capsys.readouterr().out
    assert run("cat", wanted, read=(str(folder), OUTSIDE))[0] == 0


def test_a_name_that_is_no_utf8_is_reported_like_any_other(folder: Path, capsys: pytest.CaptureFixture):
    (folder / "granted").mkdir()
    outside = os.fsdecode(os.fsencode(folder) + b"/\xff")
    Path(outside).touch()
    (folder / "granted" / "link").symlink_to(outside)
    for name in (outside, str(folder / "granted" / "link")):
        assert run("cat", name, read=(str(folder / "granted"),))[0] == 1
        told = capsys.readouterr().out
        assert f"object='{folder}/\\\\xff'" in told
        assert "no option takes a name" in told


@pytest.mark.parametrize(
    ("program", "arguments"), [("mv", ("-f", "new", "fruit")), ("mv", ("fruit", "old")), ("rm", ("-f", "fruit"))]
)
def test_a_granted_file_is_replaced_where_its_folder_is_granted_as_well_and_else_named(
    folder: Path, program: str, arguments: tuple[str, ...], capsys: pytest.CaptureFixture
):
    """zip and sed -i: a file that was granted first stayed in its place, though its folder was granted then."""
    (folder / "new").write_text("new")
    fruit, names = str(folder / "fruit"), [word if word[0] == "-" else str(folder / word) for word in arguments]
    (folder / "tree").mkdir()
    for given, hint in (
        ({"write": (fruit,)}, str(folder)),
        ({"write": (fruit,), "read": (str(folder / "tree"),)}, str(folder)),
        ({"write": (str(folder),), "read": (fruit,)}, fruit),
    ):
        assert run(program, *names, **given)[0] == 1
        assert f"grant='--write {hint}'" in capsys.readouterr().out
        assert (folder / "fruit").read_text() == "pear\napple\n"
    assert run(program, *names, write=(fruit, str(folder)))[0] == 0
    assert not (folder / "fruit").exists() or (folder / "fruit").read_text() == "new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts, and shows owners as the program's own user")
@pytest.mark.parametrize("granted", ["folder", "disk as well"])
@pytest.mark.parametrize("kind", ["tmpfs", "folder of the same disk"])
def test_in_what_is_mounted_in_a_granted_folder_can_be_written_as_well(folder: Path, kind: str, granted: str):
    """Its owner was another one inside, so nothing could be written there, and no hint led on."""
    disk, other = folder / "disk", folder / "other"
    disk.mkdir()
    other.mkdir()
    source = ("x", "tmpfs", 0, "mode=0755") if kind == "tmpfs" else (str(other), "", kernel.MS_BIND, "")
    code = (
        "import sys; from binsafe import kernel; from everyday import run; kernel.unshare(kernel.CLONE_NEWNS); "
        "kernel.mount('', '/', '', kernel.MS_REC | kernel.MS_PRIVATE); disk, *granted = sys.argv[1:]; "
        f"source, *how = {source}; kernel.mount(source, disk, *how); "
        "print(run('touch', f'{disk}/new', write=granted))"
    )
    paths = [folder] if granted == "folder" else [folder, disk]
    command = [sys.executable, "-c", code, disk, *paths]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "(0, b'', b'')"


@pytest.mark.parametrize("order", ["change first", "change last"])
def test_a_granted_file_that_stays_in_its_place_can_be_changed_all_the_same(
    folder: Path, order: str, capsys: pytest.CaptureFixture
):
    """What was found for one of the two calls was told of the other one, too."""
    fruit = str(folder / "fruit")
    Path(fruit).chmod(0o666)
    change, remove = "truncate($ARGV[0], 4) or exit 2;", "unlink($ARGV[0]) and exit 3;"
    script = change + remove if order == "change first" else remove + change
    assert run("perl", "-e", script, fruit, write=(fruit,))[0] == 0
    told = [line for line in capsys.readouterr().out.splitlines() if f"object='{fruit}'" in line]
    assert len(told) == 1
    assert "syscall='unlink" in told[0]
    assert f"grant='--write {folder}'" in told[0]


@pytest.mark.parametrize("path", ["/proc/sys/vm/swappiness", "/proc/1/oom_score_adj", "/sys/kernel/profiling"])
def test_no_grant_is_offered_for_what_is_the_kernels_to_change(path: str, capsys: pytest.CaptureFixture):
    """A hint that ended in an error, or in the same denial."""
    assert run("dash", "-c", f"echo 0 > {path}")[0] != 0
    told = next(line for line in capsys.readouterr().out.splitlines() if f"object='{path}'" in line)
    assert "operation='write'" in told
    assert "the kernel's" in told


def test_no_grant_is_offered_for_the_maker_of_terminals(capsys: pytest.CaptureFixture):
    """tmux and socat were told to add a grant with which they ended in the same error, without a word."""
    assert run("dash", "-c", ": <> /dev/ptmx")[0] != 0
    told = next(line for line in capsys.readouterr().out.splitlines() if "object='/dev/ptmx'" in line)
    assert "no program can make terminals here" in told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use all files")
@pytest.mark.parametrize("command", [("cat", "/etc/shadow"), ("touch", "/etc/new"), ("cat", "/root/x")])
def test_no_grant_is_offered_for_what_its_user_may_not_use(command: tuple[str, str], capsys: pytest.CaptureFixture):
    """What was offered ended in the same error, and nobody said why."""
    assert run(*command)[0] != 0
    assert f"object='{command[1]}'" in (told := capsys.readouterr().out)
    assert "may not do that either" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user finds no files of others' processes, nor the kernel's")
@pytest.mark.parametrize(
    ("path", "said", "expected"),
    [
        ("/proc/1/environ", "another process's own", True),  # ps got two hundred hints, of processes that soon ended
        ("/proc/vmallocinfo", "nobody inside is root", False),
    ],
)
def test_of_what_proc_withholds_it_is_said_why(path: str, said: str, expected: bool, capsys: pytest.CaptureFixture):
    assert run("cat", path, read=("/proc",))[0] != 0
    told = next(line for line in capsys.readouterr().out.splitlines() if f"object='{path}'" in line)
    assert said in told
    assert f"expected={expected}" in told


def test_a_processs_own_files_are_not_said_to_be_denied(capsys: pytest.CaptureFixture):
    """They are read: only their owner may."""
    assert run("cat", "/proc/self/environ", read=("/proc",))[0] == 0
    assert "/proc/self/environ" not in capsys.readouterr().out


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs Debian's Python")
@pytest.mark.parametrize("others", [(), ("/bin/true",)])
def test_of_a_program_that_was_looked_for_and_then_started_without_a_name_the_search_is_told(
    others: tuple[str, ...], tmp_path: Path
):
    """nim's compiler was said to lack a file that has to be named."""
    words = [word for other in others for word in ("--exec", other)]
    looks = "import os, sys; from contextlib import suppress\nos.access('/usr/bin/sh', os.X_OK)\n"
    code = f"{looks}with suppress(FileNotFoundError): os.execv('', ['x'])\nsys.exit(3)"
    command = [sys.executable, "-m", "binsafe", "run", *words, "--report", tmp_path / "denied", "/usr/bin/python3"]
    done = subprocess.run([*command, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    assert "a file without a name" in (tmp_path / "denied").read_text()
    assert "a file without a name" not in done.stderr
    assert "read /usr/bin/sh (--exec /usr/bin/sh)" in done.stderr


def test_a_program_knows_its_own_arguments():
    """GNUstep's (unar) end where they do not."""
    assert run("cat", "/proc/self/cmdline")[:2] == (0, b"cat\0/proc/self/cmdline\0")


def test_who_cannot_look_up_a_name_is_told_what_brings_its_addresses(capsys: pytest.CaptureFixture):
    assert run("curl", "-sS", "http://example.invalid/")[0] == 6
    assert "ever granted; --connect HOST:PORT brings" in capsys.readouterr().out


@pytest.mark.parametrize(("granted", "expected"), [("read", True), ("write", None)])
def test_who_asks_whether_it_may_write_is_told_of_in_the_report(
    folder: Path, granted: str, expected: bool | None, capsys: pytest.CaptureFixture
):
    """Of a file in a folder for temporary ones, too (``optipng`` asks, and gives up there)."""
    fruit = str(folder / "fruit")
    (folder / "fruit").chmod(0o666)
    status = run("test", "-w", fruit, **{granted: (fruit,)})[0]
    told = [line for line in capsys.readouterr().out.splitlines() if f"grant='--write {fruit}'" in line]
    assert (status, ["expected=True" in line for line in told]) == ((1, [True]) if expected else (0, []))


def test_files_of_a_granted_folder_pass_without_a_word(folder: Path, capsys: pytest.CaptureFixture):
    assert run("grep", "-r", "apple", str(folder), read=(str(folder),))[0] == 0
    assert str(folder) not in capsys.readouterr().out


def test_a_file_that_is_only_asked_about_is_named_although_a_pack_brings_a_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """rsync and git ask what there is before they open it, and have folders of their own."""
    pack = Grant(kind="read", object=str(tmp_path), reason="pack test: what is installed with it")
    assert run("stat", str(folder / "fruit"), packs=(pack,))[0] == 1
    assert f"expected=False, grant='--read {folder}/fruit'" in capsys.readouterr().out


def test_a_file_of_its_users_that_is_only_asked_about_is_named_where_a_folder_is_given(folder: Path):
    """nginx asks for the index of the folder that it serves, and says that there is none."""
    (folder / "given").mkdir()
    words = [
        "--read",
        str(folder / "given"),
        "dash",
        "-c",
        f"test -e {folder}/fruit; test -e /etc/debian_version; exit 0",
    ]
    command = [sys.executable, "-m", "binsafe", "run", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.stderr.count("--read") == done.stderr.count(f"--read {folder}/fruit") == 1, done.stderr


def test_what_is_made_in_an_open_folder_is_named_where_nothing_may_be_written(
    folder: Path, capsys: pytest.CaptureFixture
):
    (folder / "out").mkdir(mode=0o777)
    subprocess.run(["tar", "-C", folder, "-cf", folder / "fruit.tar", "fruit"], check=True)
    arguments = ("-C", str(folder / "out"), "-xf", str(folder / "fruit.tar"))
    assert run("tar", *arguments, read=(str(folder),))[0] == 2
    assert f"grant='--write {folder}/out'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("starts", "path", "option"),
    [
        (True, "/usr/bin/env", "--exec"),
        (True, "/usr/lib/apt/methods/file", "--exec"),
        (True, "/usr/lib/os-release", "--read"),
        (False, "/usr/bin/env", "--read"),
    ],
)
def test_what_is_looked_for_by_who_starts_others_is_named_as_a_program(starts: bool, path: str, option: str):
    """gcc asks for cc1 where that was installed, and then executes it by its bare name, which names nothing."""
    if not os.path.exists(path):
        pytest.skip(f"{path} is not installed")
    missed = Miss(path, f"--read {path}", expected=False, there=True)
    watch = Watch(names={}, foreseen=frozenset({"execve"} if starts else ()), on_violation=print)
    assert watch.wanted(missed, opened=False) == f"{option} {path}"
    assert watch.wanted(missed, opened=True) == f"--read {path}"


def test_a_program_that_is_looked_for_is_named_where_it_is(capsys: pytest.CaptureFixture):
    """A search ends at the first folder, which refuses: to grant what is not there helps nobody."""
    assert run("dash", "-c", "/usr/local/sbin/env; /usr/local/sbin/no-such-program; /tmp/made; exit 7")[0] == 7
    told = [line for line in capsys.readouterr().out.splitlines() if "operation='execute'" in line]
    assert ["grant='--exec /usr/bin/env'" in line for line in told] == [True, False, False]
    assert ["expected=True" in line for line in told] == [False, True, False]


def test_who_tells_how_long_the_machine_runs_is_told_what_to_grant(capsys: pytest.CaptureFixture):
    """w leaves the line out and ends as if all were well, so what it does without has to be named at once."""
    run("cat", "/proc/uptime")
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "/proc/uptime" in line]
    assert "expected=False" in told
    assert "grant='--read /proc/uptime'" in told


def test_links_to_a_program_are_followed_in_granted_folders_alone(tmp_path: Path):
    """An answer that depended on others would tell what there is on the host."""
    granted, hidden = tmp_path / "granted", tmp_path / "hidden"
    granted.mkdir()
    for link, target in {
        granted / "python": "python3",
        granted / "python3": "/usr/bin/python3",
        granted / "out": hidden,
        granted / "loop": "loop",
        hidden: "/usr/bin/python3",
    }.items():
        link.symlink_to(target)
    watch = Watch(names={}, shown=(str(granted),), on_violation=print)
    assert watch.follow(f"{granted}/python") == "/usr/bin/python3"
    assert watch.follow(f"{granted}/out") == watch.follow(str(hidden)) == str(hidden)
    assert watch.follow(f"{granted}/loop") == f"{granted}/loop"
