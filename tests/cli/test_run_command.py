"""binsafe run as its user meets it: signals, streams, reports that nobody reads."""

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from binsafe.cli.waiting import GRACE_SECONDS
from binsafe.sandbox.relaying import DRAIN_SECONDS
from binsafe.sandbox.reporting import REPORTED_PER_CALL

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


@pytest.fixture
def stubborn(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*command, "stubborn"], stdout=subprocess.PIPE, start_new_session=True) as running:
        assert running.stdout.readline() == b"ready\n"
        yield running
        running.kill()


def test_a_burst_of_signals_is_no_deadlock(stubborn: subprocess.Popen[bytes]):
    for _ in range(300):
        stubborn.send_signal(signal.SIGWINCH)
        stubborn.send_signal(signal.SIGHUP)
    assert stubborn.poll() is None
    stubborn.send_signal(signal.SIGQUIT)
    assert stubborn.wait(20) == 2  # Go's way to end on it


def test_three_interrupts_end_a_program_that_ignores_them(stubborn: subprocess.Popen[bytes]):
    for _ in range(3):
        time.sleep(0.1)
        assert stubborn.poll() is None
        stubborn.send_signal(signal.SIGINT)
    assert stubborn.wait(5) == 128 + signal.SIGKILL


def test_a_program_that_ignores_sigterm_ends_in_the_time_of_grace(stubborn: subprocess.Popen[bytes]):
    stubborn.send_signal(signal.SIGTERM)
    assert stubborn.wait(10) == 128 + signal.SIGKILL


def test_an_unread_standard_error_holds_up_nothing(command: list[str], tmp_path: Path):
    read, write = os.pipe()
    size = fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    report = [*command[:4], "--report", str(tmp_path / "report"), *command[4:]]
    done = subprocess.run([*report, "denied"], stdout=subprocess.PIPE, stderr=write, timeout=100, check=False)
    assert done.returncode == 0
    assert done.stdout == b"done\n"
    operations = [json.loads(line)["operation"] for line in (tmp_path / "report").read_bytes().splitlines()]
    assert operations.count("connect") == REPORTED_PER_CALL
    assert os.read(read, size).startswith(b"connect 127.0.0.1:1 denied: ")
    os.close(read)
    os.close(write)


def test_a_report_that_cannot_be_written_ends_no_program(command: list[str]):
    report = [*command[:4], "--report", "/dev/full", *command[4:]]
    done = subprocess.run([*report, "denied"], capture_output=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, b"done\n")
    assert b"Traceback" not in done.stderr


def test_a_log_that_is_appended_to_cannot_be_rewritten(command: list[str], tmp_path: Path):
    log = tmp_path / "log"
    log.write_bytes(b"old\n")
    with log.open("ab") as stream:
        subprocess.run([*command, "rewrite"], stdout=stream, timeout=30, check=True)
    assert log.read_bytes() == b"old\nnew"


def test_large_streams_arrive_whole(command: list[str]):
    data = os.urandom(3_000_000)
    done = subprocess.run([*command, "copy"], input=data, stdout=subprocess.PIPE, timeout=30, check=True)
    assert done.stdout == data


def test_a_reader_may_take_its_time(command: list[str]):
    data = os.urandom(100_000)
    with subprocess.Popen([*command, "copy"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(data)
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3 + DRAIN_SECONDS)
        assert process.stdout.read() == data
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_for_a_reader_can_be_ended(command: list[str], number: int):
    """Once, as the program itself could be, were it to wait."""
    with subprocess.Popen(
        [*command, "copy"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a shell's background jobs ignore SIGINT
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509 - we have one thread
    ) as process:
        process.stdin.write(bytes(100_000))
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(number)
        assert process.wait(DRAIN_SECONDS) == 128 + number
        assert process.stderr.read() == b""


def test_a_signal_that_is_ignored_ends_no_output_that_waits_for_its_reader(command: list[str]):
    """Logging out must not cost a job that was started with nohup what it has written."""
    data = os.urandom(100_000)
    with subprocess.Popen(["nohup", *command, "copy"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(data)
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert process.stdout.read() == data
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_a_program_waits_for_no_reader(command: list[str], number: int):
    with (
        open("/dev/zero", "rb") as zeros,
        subprocess.Popen([*command, "copy"], stdin=zeros, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(number)
        assert process.wait(2 * DRAIN_SECONDS + GRACE_SECONDS) == 128 + number
        assert process.stderr.read() == b""


def test_output_that_gets_nowhere_is_no_success_and_no_status_of_the_programs(command: list[str]):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*command, "hostname"], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
        unsaid = subprocess.run([*command, "hostname"], stdout=full, stderr=full, timeout=60, check=False)
    assert (done.returncode, unsaid.returncode) == (125, 125)
    assert b"the program's output could not be written: No space left on device" in done.stderr


def test_closed_standard_streams_are_no_confusion_to_what_asks_for_a_terminal():
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "binsafe", "inspect", "/bin/true"]
    assert subprocess.run(closed, timeout=60, check=False).returncode == 2  # its report got nowhere


def test_closed_standard_streams_are_no_confusion(command: list[str]):
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command, "hostname"]
    assert subprocess.run(closed, timeout=30, check=False).returncode == 0


def test_a_name_that_is_no_text_is_one_clear_line(command: list[str], tmp_path: Path):
    odd = os.fsencode(tmp_path) + b"/\xff"
    Path(os.fsdecode(odd)).write_bytes(b"\x7fELF")
    done = subprocess.run([*command[:4], odd], capture_output=True, timeout=30, check=False)
    assert done.returncode == 126
    assert b"no name in UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_machines_name_is_not_told(command: list[str]):
    assert subprocess.run([*command, "hostname"], capture_output=True, timeout=30, check=True).stdout == b"sandbox\n"


def test_a_starter_of_programs_may_adopt_their_orphans_and_owns_no_terminal(command: list[str]):
    """PR_SET_CHILD_SUBREAPER, and TIOCSPGRP answered as without the sandbox: tini ends at anything but ENOTTY."""
    done = subprocess.run([*command, "starter"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
    assert done.stdout == b"errno 0 inappropriate ioctl for device\n"


def test_what_a_static_program_may_execute_finds_what_it_would_find_by_itself(command: list[str]):
    """Its names in the folders that are links into /usr, and the stand-ins of /etc."""
    *before, program = command
    words = [*before, "--exec", shutil.which("sh"), program, "shell"]
    done = subprocess.run(words, capture_output=True, timeout=60, check=True)
    assert done.stdout == b"root:x:0:0:root:/:/bin/false\n <nil>\n", done.stderr


def test_a_program_runs_once_more_where_that_is_granted_and_is_told_how_where_not(command: list[str]):
    """BusyBox starts its applets so. Its own name inside is not what the user knows it by."""
    *before, program = command
    refused = subprocess.run([*command, "again"], capture_output=True, text=True, timeout=60, check=True)
    assert "permitted" in refused.stdout
    assert f"execute /proc/self/exe denied: not in the policy; add --exec {program}\n" in refused.stderr
    words = [*before, "--exec", program, program, "again"]
    granted = subprocess.run(words, capture_output=True, timeout=60, check=True)
    assert (granted.stdout, granted.stderr) == (b"sandbox\n", b"")


def test_a_terminal_gets_colours_and_no_commands_and_end_of_file_ends_input(command: list[str]):
    master, slave = pty.openpty()
    subprocess.run([*command, "title"], stdin=slave, stdout=slave, stderr=slave, timeout=20, check=True)
    assert _read_all(master) == b"\x1b[31mred\x1b[0m\r\n"
    with subprocess.Popen(
        [*command, "copy"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as running:
        os.write(master, b"hello\n\x04")
        assert running.wait(20) == 0
    assert _read_all(master) == b"hello\r\nhello\r\n"  # once from the terminal's own echo
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(("number", "outlives"), [(signal.SIG_DFL, False), (signal.SIG_IGN, True)])
def test_a_program_ends_with_its_terminal_unless_its_user_said_nohup(
    command: list[str], number: signal.Handlers, *, outlives: bool
):
    hurried = "import sys, binsafe.cli.waiting as waiting; waiting.GRACE_SECONDS = 0.2; import binsafe.__main__"
    child, master = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, number)
        os.execv(sys.executable, [sys.executable, "-c", hurried, *command[3:], "stubborn"])
    try:
        assert os.read(master, 64) == b"ready\r\n"
        os.close(master)
        with open(os.pidfd_open(child)) as ending:
            assert bool(select.select([ending], [], [], 2 if outlives else 20)[0]) is not outlives
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("ignored", [False, True])
def test_sigterm_that_whoever_started_us_ignores_ends_nothing_by_force(command: list[str], ignored: bool):
    """A program that goes on was killed after the time of grace, though we would have taken no notice ourselves."""
    hurried = "import sys, binsafe.cli.waiting as waiting; waiting.GRACE_SECONDS = 0.2; import binsafe.__main__"
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        running = subprocess.Popen(
            [sys.executable, "-c", hurried, *command[3:], "stubborn"], stdout=subprocess.PIPE, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    with running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        try:
            assert running.wait(2 if ignored else 20) == 128 + signal.SIGKILL
            assert not ignored
        except subprocess.TimeoutExpired:
            assert ignored
        finally:
            running.kill()


def _read_all(master: int) -> bytes:
    data = b""
    while select.select([master], [], [], 0.2)[0]:
        data += os.read(master, 4096)
    return data


@pytest.mark.parametrize(("program", "said"), [("/usr/bin/python3", True), ("/bin/true", False)])
def test_a_dry_run_says_what_is_granted_because_not_all_could_be_seen(program: str, *, said: bool):
    if not Path(program).exists():
        pytest.skip(f"{program} is not installed")
    command = [sys.executable, "-m", "binsafe", "run", "--dry-run", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ("not all of its system calls could be found" in done.stderr) is said
