"""binsafe run as its user meets it: signals, streams, reports that nobody reads."""

import fcntl
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

import platformdirs
import pytest

from bandit_runner.flakyservers.build import find_go, this_machine

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

SOURCE = """
package main

import ("fmt"; "io"; "net"; "os"; "os/exec"; "os/signal"; "syscall"; "time"; "unsafe")

func main() {
	switch os.Args[1] {
	case "copy":
		io.Copy(os.Stdout, os.Stdin)
	case "stubborn":
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "denied":
		for i := 1; i <= 5000; i++ { net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", i)) }
		fmt.Println("done")
	case "title":
		fmt.Print("\\x1b]0;owned\\x07\\x1b[31mred\\x1b[0m\\x1b[6n\\n")
	case "rewrite":
		os.Stdout.Seek(0, 0)
		os.Stdout.Write([]byte("new"))
	case "hostname":
		name, _ := os.Hostname()
		fmt.Println(name)
	case "shell":
		said, err := exec.Command("/bin/sh", "-c", "read line < /etc/passwd; echo $line").CombinedOutput()
		fmt.Println(string(said), err)
	case "starter":
		group := syscall.Getpgrp()
		_, _, adopts := syscall.RawSyscall(syscall.SYS_PRCTL, 36, 1, 0)
		_, _, gives := syscall.RawSyscall(syscall.SYS_IOCTL, 0, 0x5410, uintptr(unsafe.Pointer(&group)))
		fmt.Println(adopts, gives)
		exec.Command("/bin/true").Run()
	case "again":
		fmt.Println(syscall.Exec("/proc/self/exe", []string{"again", "hostname"}, nil))
	}
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "main.go").write_text(SOURCE)
    (folder / "go.mod").write_text("module program\n\ngo 1.22\n")
    go = find_go(os.environ, platformdirs.user_cache_path("binsafe") / "flakyservers")
    go.run("build", "-trimpath", "-o", str(folder / "program"), ".", cwd=folder, target=this_machine())
    return folder / "program"


@pytest.fixture
def command(program: Path) -> list[str]:
    return [sys.executable, "-m", "binsafe", "run", "--baseline", "network_server", str(program)]


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


def test_an_unread_standard_error_holds_up_nothing(command: list[str]):
    read, write = os.pipe()
    size = fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    done = subprocess.run([*command, "denied"], stdout=subprocess.PIPE, stderr=write, timeout=100, check=False)
    assert done.returncode == 0
    assert done.stdout == b"done\n"
    assert len(os.read(read, size)) > size // 2  # lines are written whole: the next one found no room
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


def test_output_that_gets_nowhere_is_no_success(command: list[str]):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*command, "hostname"], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 2
    assert b"No space left on device" in done.stderr


def test_closed_standard_streams_are_no_confusion_to_what_asks_for_a_terminal():
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "binsafe", "inspect", "/bin/true"]
    assert subprocess.run(closed, timeout=60, check=False).returncode == 0


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


UNUSED = {
    *("lief", "capstone", "numpy", "rich", "yaml", "asyncio", "importlib.metadata"),
    *("binsafe.intake.inspecting", "binsafe.policy.deriving", "binsafe.policy.baseline", "binsafe.reports"),
    *("binsafe.renderers.seatbelt", "binsafe.renderers.bwrap", "binsafe.renderers.systemd"),
    *("binsafe.sandbox.linux.fallback", "binsafe.sandbox.linux.probing", "binsafe.sandbox.terminal"),
}
"""What only an inspection needs, or another system: it would come between Enter and the program's first instruction."""


def test_a_second_start_needs_no_inspection_and_nothing_heavy(command: list[str], tmp_path: Path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    _launch_tracing_imports(command, environment)
    imported = _launch_tracing_imports(command, environment)
    assert "binsafe.sandbox.linux.backend" in imported
    assert UNUSED.isdisjoint(imported)


def test_a_start_with_a_policy_file_imports_nothing_heavy(command: list[str], tmp_path: Path):
    policy = tmp_path / "policy.json"
    profile = [*command[: command.index("run")], "profile", "--for", "policy", "--output", str(policy), command[-1]]
    subprocess.run(profile, capture_output=True, timeout=60, check=True)
    imported = _launch_tracing_imports([*command[:-1], "--policy", str(policy), command[-1]], dict(os.environ))
    assert "binsafe.sandbox.linux.backend" in imported
    assert (UNUSED | {"binsafe.cli.remembered", "platformdirs", "tempfile", "shutil"}).isdisjoint(imported)


def test_click_is_loaded_by_a_process_beside_the_one_that_starts_the_program(command: list[str]):
    told = (
        "import os, sys; end = os._exit; from binsafe import cli; "
        "os._exit = lambda status: (print('click' in sys.modules, 'msgspec' in sys.modules, flush=True), end(status)); "
        "cli.main()"
    )
    subprocess.run([*command, "hostname"], capture_output=True, timeout=60, check=True)  # its policy is remembered now
    line = [sys.executable, "-c", told, *command[3:], "hostname"]
    done = subprocess.run(line, capture_output=True, timeout=60, check=True)
    assert sorted(done.stdout.splitlines()) == [b"False True", b"True False", b"sandbox"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, b"Usage: binsafe run"),
        (["--no-such-option", "/bin/true"], 2, b"No such option"),
        ([], 2, b"Missing argument"),
        (["/no/such/file"], 127, b"hint: "),
        (["/etc"], 126, b"hint: "),
        (["--policy", "/bin/true", "/bin/true"], 2, b"no UTF-8 text"),
        (["--timeout", "1e400", "/bin/true"], 2, b"not in the range"),
        (["--timeout", "nan", "/bin/true"], 2, b"nan is no time"),
        (["--read", "", "/bin/true"], 2, b"an empty path names no file"),
        (["--read", "/", "/bin/true"], 125, b"the whole file system cannot be granted"),
        (["--write", "/", "/bin/true"], 125, b"the whole file system cannot be granted"),
    ],
)
def test_what_is_wrong_with_the_options_is_said_by_whoever_reads_them(arguments: list[str], status: int, said: bytes):
    done = subprocess.run(
        [sys.executable, "-m", "binsafe", "run", *arguments], stdout=-1, stderr=-2, timeout=60, check=False
    )
    assert done.returncode == status
    assert said in done.stdout


def test_whoever_reads_the_options_may_die():
    script = (
        "import os; from binsafe.cli import apart; apart._tell_options = lambda *_: os.kill(os.getpid(), 9); "
        "os._exit(apart.start('binsafe'))"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 128 + signal.SIGKILL


def test_whoever_reads_the_options_ends_with_the_one_who_wants_them():
    script = (
        "import time; from binsafe.cli import apart; apart.conduct = lambda *_: time.sleep(60); "
        "apart._reading('binsafe'); print('forked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True) as running:
        assert running.stdout.readline() == b"forked\n"
        time.sleep(0.2)
        running.kill()
        assert select.select([running.stdout], [], [], 10)[0]  # the last of them has closed it
        assert running.stdout.read() == b""


@pytest.mark.parametrize(("before", "status"), [(signal.SIG_DFL, -signal.SIGINT), (signal.SIG_IGN, 0)])
def test_an_interrupt_before_the_program_runs_ends_a_start_without_a_word(before: signal.Handlers, status: int):
    script = (
        "import os, sys; from binsafe import cli; from binsafe.cli import apart; sys.argv = ['binsafe', 'run']; "
        "apart.start = lambda _: os.kill(os.getpid(), 2) or 0; cli.main()"
    )
    kept = signal.signal(signal.SIGINT, before)
    try:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    finally:
        signal.signal(signal.SIGINT, kept)
    assert (done.returncode, done.stderr) == (status, b"")


def _launch_tracing_imports(command: list[str], environment: dict[str, str]) -> list[str]:
    """The modules that one launch imports outside, in their order."""
    traced = [command[0], "-X", "importtime", *command[1:], "hostname"]
    done = subprocess.run(traced, env=environment, capture_output=True, timeout=60, check=True)
    assert done.stdout == b"sandbox\n"
    return [line.rpartition(b"|")[2].strip().decode() for line in done.stderr.splitlines()]


def test_a_remembered_policy_that_others_may_write_is_not_believed(command: list[str], tmp_path: Path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([*command, "hostname"], env=environment, capture_output=True, timeout=60, check=True)
    (kept,) = (path for path in (tmp_path / "binsafe" / "policies").rglob("*") if path.is_file())
    kept.write_text("{}")
    subprocess.run([*command, "hostname"], env=environment, capture_output=True, timeout=60, check=True)
    assert kept.read_bytes() != b"{}"
    kept.chmod(0o666)
    subprocess.run([*command, "hostname"], env=environment, capture_output=True, timeout=60, check=True)
    assert kept.stat().st_mode & 0o777 == 0o600


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
