"""Which violations are reported singly: few of each kind, and none is hidden by what every program tries."""

import fcntl
import os
import subprocess
import threading
from pathlib import Path

import pytest

from binsafe import packs
from binsafe.cli.denials import Teller
from binsafe.model import Violation
from binsafe.packs import PACK_SCHEMA, Pack
from binsafe.sandbox.reporting import MAX_OBJECTS, REPORTED_CHARACTERS, REPORTED_EACH, REPORTED_PER_CALL, Reporter


def violation(object_: str, *, expected: bool = False, operation: str = "read", grant: str | None = None) -> Violation:
    return Violation(
        time=0.0,
        pid=1,
        operation=operation,
        object=object_,
        syscall="openat",
        result="ENOENT",
        expected=expected,
        grant=grant,
    )


PACKS = {
    name: Pack(schema=PACK_SCHEMA, name=name, description="", files=files)
    for name, files in {
        "here": ("/usr/share/",),
        "elsewhere": ("/etc/",),
        "beside": ("{prefix}/share/",),
        "terminfo": ("/usr/lib/",),
    }.items()
}


@pytest.fixture
def reporter():
    reporter = Reporter(lambda _: None)
    yield reporter
    reporter.close()


def test_one_object_is_reported_a_few_times_and_then_counted(reporter: Reporter):
    told = [reporter.admits("openat", "/etc/shadow") for _ in range(REPORTED_EACH + 3)]
    assert told == [True] * REPORTED_EACH + [False] * 3
    assert reporter.unreported == 3
    assert reporter.admits("openat", "/etc/passwd")


def test_invented_names_are_reported_up_to_a_number_and_take_no_more_memory(reporter: Reporter):
    told = sum(reporter.admits("openat", f"/x{number}") for number in range(MAX_OBJECTS + 500))
    assert told == REPORTED_PER_CALL
    assert len(reporter._objects) <= MAX_OBJECTS + 1
    assert reporter.admits("connect", "192.0.2.1:80"), "another call has its own"


def test_long_names_are_reported_up_to_a_length(reporter: Reporter):
    told = sum(reporter.admits("openat", f"/{number:04000}") for number in range(REPORTED_PER_CALL))
    assert told == REPORTED_CHARACTERS // 4001
    assert reporter.unreported == REPORTED_PER_CALL - told


def test_a_thousand_usual_lookups_hide_no_other_and_are_not_told_of(reporter: Reporter):
    for number in range(1_000):
        reporter.admits("openat", f"/usr/lib/locale/{number}", expected=True)
    assert reporter.unreported == 0
    assert reporter.admits("openat", "/etc/shadow")
    assert reporter.admits("openat", "/usr/lib/locale/7"), "the same name, asked for in another way"


def test_what_a_reader_has_not_taken_counts_as_not_reported():
    taken = threading.Event()
    reporter = Reporter(lambda _: taken.wait(60) and None)
    for _ in range(3):
        reporter.report(violation("/etc/shadow"))
    reporter.close(seconds=0.01)
    assert reporter.unreported == 3
    taken.set()
    reporter.close(seconds=60)
    assert reporter.unreported == 0


def test_a_reader_of_standard_error_may_make_room_late(monkeypatch: pytest.MonkeyPatch):
    read, write = os.pipe()
    monkeypatch.setattr("binsafe.cli.denials._STDERR", write)
    size = os.write(write, bytes(fcntl.fcntl(write, fcntl.F_GETPIPE_SZ)))
    teller = Teller(None)
    teller.tell(violation("/etc/shadow"))
    reading = threading.Timer(0.1, os.read, (read, size))
    reading.start()
    teller.sum_up(0)
    reading.join()
    os.close(write)
    with open(read, "rb") as pipe:
        assert [line.split()[:2] for line in pipe] == [[b"read", b"/etc/shadow"], [b"1", b"denied:"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_report_that_could_not_be_written_is_said_to_be_incomplete(capfd: pytest.CaptureFixture[str]):
    teller = Teller(Path("/dev/full"))
    teller.tell(violation("/proc/self/maps", expected=True))
    teller.sum_up(0)
    assert capfd.readouterr().err == "the report is not complete, it could not be written: No space left on device\n"


def test_the_sum_is_a_sentence_even_where_none_was_shown(capfd: pytest.CaptureFixture[str]):
    teller = Teller(None)
    teller.tell(violation("/proc/self/maps", expected=True))
    teller.sum_up(0)
    assert capfd.readouterr().err == ""
    teller.sum_up(7)
    assert capfd.readouterr().err == (
        "7 denied; 7 more were counted, not shown; 1 that ordinary programs do without are in --report only\n"
    )
    teller.tell(violation("/etc/shadow"))
    assert "/etc/shadow" in capfd.readouterr().err
    teller.sum_up(7)
    assert capfd.readouterr().err.startswith("8 denied: read 1; 7 more were counted, not shown")


@pytest.mark.parametrize(("status", "told"), [(1, True), (139, True), (0, False), (124, False), (143, False)])
def test_what_most_do_without_is_told_of_who_failed(capfd: pytest.CaptureFixture[str], status: int, told: bool):
    """A name server lists its addresses, and says only that it could not."""
    teller = Teller(None)
    meminfo, netlink = ("/proc/meminfo", "read"), ("AF_NETLINK SOCK_RAW", "socket")
    for object_, operation in (("/proc/self/maps", "read"), meminfo, netlink, netlink):
        teller.tell(violation(object_, expected=True, operation=operation))
    teller.tell(violation("/usr", expected=True, grant="--read /usr"))
    teller.tell(violation("AF_INET SOCK_DGRAM", expected=True, operation="socket", grant="none: it is no TCP"))
    teller.sum_up(0, status)
    things = "read /proc/meminfo, socket AF_NETLINK SOCK_RAW, read /usr (--read /usr), "
    things += "socket AF_INET SOCK_DGRAM (no grant allows it)"
    sentence = f"it ended with status {status}; also denied, though most programs do without: {things}\n"
    assert capfd.readouterr().err == (sentence if told else "")


@pytest.mark.parametrize("path", ["/tmp/$(touch /tmp/owned)", "/tmp/a;id", "/home/u/My Files/it's"])
def test_an_option_that_is_told_means_the_path_and_no_more_in_a_shell(path: str, capfd: pytest.CaptureFixture[str]):
    """The program chooses the name, and its user pastes the option."""
    teller = Teller(None)
    teller.tell(violation(path, grant=f"--read {path}"))
    teller.tell(violation("/usr", expected=True, grant=f"--read {path}"))
    teller.sum_up(0, 1)
    first, usual, _ = capfd.readouterr().err.splitlines()
    for option in (first.partition("; add ")[2], usual.partition("read /usr (")[2].removesuffix(")")):
        said = subprocess.run(["sh", "-c", f"printf '%s\n' {option}"], capture_output=True, text=True, check=True)
        assert said.stdout == f"--read\n{path}\n"


def test_the_same_sentence_is_told_once(capfd: pytest.CaptureFixture[str]):
    teller = Teller(None)
    for _ in range(3):
        teller.tell(violation("/etc/gitconfig"))
    teller.sum_up(0)
    said = capfd.readouterr().err.splitlines()
    assert said == [violation("/etc/gitconfig").sentence, "3 denied: read 1; 2 more were counted, not shown"]


def test_a_search_along_the_path_is_told_once_with_its_one_option(capfd: pytest.CaptureFixture[str]):
    teller = Teller(None)
    here = os.path.realpath("/bin")  # a link on most systems
    for folder, found in (("/usr/local/bin", here), (here, here), ("/bin", "/bin")):
        teller.tell(violation(f"{folder}/diff", operation="execute", grant=f"--exec {found}/diff"))
        teller.tell(violation("/bin/diff", expected=True, grant="--exec /bin/diff"))
    teller.tell(violation("/usr/bin/cmp", operation="execute", grant="--exec /usr/bin/cmp"))
    teller.sum_up(0, 2)
    said = capfd.readouterr().err.splitlines()
    assert [line.split()[1] for line in said] == ["/usr/local/bin/diff", "/usr/bin/cmp", "denied:"]
    assert "4 denied: execute 2; 2 more were counted" in said[-1]


def test_a_program_that_crashed_without_a_denial_may_miss_a_variable(capfd: pytest.CaptureFixture[str]):
    """Taskwarrior does without HOME."""
    Teller(None).sum_up(0, 139)
    assert "SIGSEGV" in (told := capfd.readouterr().err)
    assert "--env HOME=FOLDER" in told
    Teller(None).sum_up(0, 1)
    assert capfd.readouterr().err == ""


def test_a_pack_is_named_that_has_what_was_denied(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packs, "available", lambda: PACKS)
    teller = Teller(None)
    teller.tell(violation("/usr/share/dict"))
    teller.sum_up(0, 1)
    assert "--pack" not in capfd.readouterr().err, "its own grant is as short"
    teller.tell(violation("/usr/share"))
    capfd.readouterr()
    teller.sum_up(0, 1)
    assert capfd.readouterr().err.splitlines()[0] == "--pack here grants what such programs read together"
    for path in ("/usr/lib/terminfo", "/usr/lib/terminfo/x"):
        teller.tell(violation(path))
    teller.sum_up(0, 1)
    assert "--pack here --env TERM grants" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("object_", "operation", "told"),
    [("/proc/self/mountinfo", "read", True), ("/proc/self/cgroup", "read", False), ("/dev/tty", "write", False)],
)
def test_a_table_of_mounts_may_matter(capfd: pytest.CaptureFixture[str], object_: str, operation: str, *, told: bool):
    teller = Teller(None)
    teller.tell(violation(object_, expected=True, operation=operation))
    teller.sum_up(0, 1)
    assert (object_ in capfd.readouterr().err) == told


def test_a_folder_above_our_own_may_matter(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    teller = Teller(None)
    here.rmdir()  # as a program may that can write in what is above
    teller.tell(violation(str(tmp_path.parent), expected=True))
    assert capfd.readouterr().err == ""
    teller.sum_up(0, 1)
    assert f"read {tmp_path.parent}" in capfd.readouterr().err
