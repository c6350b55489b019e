"""How binsafe run starts: what it loads, what is said of its options, which policies it remembers."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from binsafe.cli.deriving import _inspect_all
from binsafe.cli.taking import take
from binsafe.errors import NotEnforceable

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

UNUSED = {
    *("lief", "capstone", "numpy", "rich", "yaml", "asyncio", "importlib.metadata", "click", "inspect"),
    *("platform", "urllib.parse", "msgspec.inspect", "msgspec._json_schema", "textwrap"),
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
    assert (UNUSED | {"json"}).isdisjoint(imported)


def test_a_start_with_a_policy_file_imports_nothing_heavy(command: list[str], tmp_path: Path):
    policy = tmp_path / "policy.json"
    profile = [*command[: command.index("run")], "profile", "--for", "policy", "--output", str(policy), command[-1]]
    subprocess.run(profile, capture_output=True, timeout=60, check=True)
    imported = _launch_tracing_imports([*command[:-1], "--policy", str(policy), command[-1]], dict(os.environ))
    assert "binsafe.sandbox.linux.backend" in imported
    assert (UNUSED | {"binsafe.cli.remembered", "platformdirs", "tempfile", "shutil"}).isdisjoint(imported)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, b"Usage: binsafe run"),
        (["--no-such-option", "/bin/true"], 2, b"No such option"),
        ([], 2, b"Missing argument"),
        (["/no/such/file"], 127, b"hint: "),
        (["/etc"], 126, b"hint: "),
        (["--policy", "/bin/true", "/bin/true"], 2, b"no UTF-8 text"),
        (["--timeout", "1e400", "/bin/true"], 2, b"more seconds than can be waited for"),
        (["--timeout", "9223372037", "/bin/true"], 2, b"more seconds than can be waited for"),
        (["--timeout", "nan", "/bin/true"], 2, b"nan is no time"),
        (["--read", "", "/bin/true"], 2, b"an empty path names no file"),
        (["--env", "no-name", "/bin/true"], 2, b"'no-name' names no environment variable"),
        (["--read", "/", "/bin/true"], 125, b"the whole file system cannot be granted"),
        (["--write", "/", "/bin/true"], 125, b"what binsafe is made of lies there"),
        (["--exec", "/etc", "/bin/true"], 125, b"--exec /etc: /etc is a directory"),
    ],
)
def test_what_is_wrong_with_the_options_is_said(arguments: list[str], status: int, said: bytes):
    done = subprocess.run(
        [sys.executable, "-m", "binsafe", "run", *arguments], stdout=-1, stderr=-2, timeout=60, check=False
    )
    assert done.returncode == status
    assert said in done.stdout


def test_an_archive_in_which_all_was_understood_is_no_program(tmp_path: Path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "tool.zip", "w") as archive:
        archive.write("/bin/true", "tool")
    run = [sys.executable, "-m", "binsafe", "run", str(tmp_path / "tool.zip")]
    done = subprocess.run(run, capture_output=True, timeout=60, check=False)
    assert done.returncode == 126
    assert b"an archive, not a program" in done.stderr


def test_a_report_is_written_over_no_file_that_is_read(tmp_path: Path):
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    policy = tmp_path / "policy.json"
    derive = [sys.executable, "-m", "binsafe", "profile", str(program), "--for", "policy", "--output", str(policy)]
    subprocess.run(derive, check=True, timeout=60)
    for report in (program, policy):
        before = report.read_bytes()
        command = [sys.executable, "-m", "binsafe", "run", "--policy", str(policy), "--report", str(report)]
        done = subprocess.run([*command, str(program)], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, report.read_bytes()) == (125, before)
        assert f"over {report}" in done.stderr


@pytest.mark.parametrize("report", ["missing/denied.jsonl", "", "file/denied.jsonl"])
def test_a_report_where_none_can_be_is_said_to_want_another_place(tmp_path: Path, report: str):
    """Room was asked for."""
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "binsafe", "run", "--report", str(tmp_path / report), "/bin/true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (125 if report else 2)  # that a folder is no file is known from the options
    assert str(tmp_path / report) in done.stderr
    assert "room" not in done.stderr


def test_a_dry_run_says_what_a_policy_grants_beyond_its_baseline(tmp_path: Path):
    """As `binsafe check` does, which who was sent a policy may not know."""
    policy = tmp_path / "true.json"
    derive = [sys.executable, "-m", "binsafe", "profile", "/bin/true", "--for", "policy", "--output", str(policy)]
    subprocess.run(derive, check=True, timeout=60)
    text = policy.read_text()
    grant = {"kind": "syscall", "object": "syslog", "reason": "it wants it"}
    run = [sys.executable, "-m", "binsafe", "run", "--dry-run", "--policy", str(policy), "/bin/true"]
    for content, said in (
        (text, False),
        (json.dumps({**(it := json.loads(text)), "grants": [*it["grants"], grant]}), True),
    ):
        policy.write_text(content)
        done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
        assert ("syslog is granted beyond" in done.stderr) is said, done.stderr
    run[run.index(str(policy))] = "/dev/stdin"
    piped = subprocess.run(run, input=content, capture_output=True, text=True, check=True, timeout=60)
    assert piped.stderr == done.stderr.replace(str(policy), "/dev/stdin"), "it is read once"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_a_kernel_without_files_in_memory_is_named(monkeypatch: pytest.MonkeyPatch, number: int):
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "memfd_create", refuse)
    with pytest.raises(NotEnforceable, match="file in memory"):
        take("/bin/true")


def test_what_is_another_program_for_each_is_not_granted_to_be_executed():
    """It was the interpreter that ours runs in."""
    with pytest.raises(NotEnforceable, match="another file for each process"):
        _inspect_all(("/proc/self/exe",))


@pytest.mark.parametrize(("before", "status"), [(signal.SIG_DFL, -signal.SIGINT), (signal.SIG_IGN, 0)])
def test_an_interrupt_before_the_program_runs_ends_a_start_without_a_word(before: signal.Handlers, status: int):
    script = (
        "import os, sys; from binsafe import cli; from binsafe.cli import starting; sys.argv = ['', 'run', 'x']; "
        "starting.start = lambda _: os.kill(os.getpid(), 2) or 0; cli.main()"
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
