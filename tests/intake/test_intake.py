"""Taking snapshots, and inspecting in a process that may break."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from binsafe.errors import NotAnalysable
from binsafe.intake import Found, Snapshot, Worker, find, inspect, workers
from binsafe.limits import MAX_ARTIFACT_BYTES

_FORBIDDEN = ("unreadable",) if os.geteuid() != 0 else ()  # root may read everything


@pytest.mark.parametrize("kind", ["directory", "fifo", "socket", "device", "broken", "empty", *_FORBIDDEN, "too large"])
def test_what_is_no_file_of_bytes_is_refused_by_name(tmp_path: Path, kind: str):
    path = tmp_path / "thing"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "device":
        path = Path("/dev/null")
    elif kind == "broken":
        path = Path("/proc/self/mem")  # a file, by its looks
    elif kind == "empty":
        path.touch()
    elif kind == "unreadable":
        path.write_bytes(b"x")
        path.chmod(0)
    else:
        with path.open("wb") as stream:
            stream.truncate(MAX_ARTIFACT_BYTES + 1)
    with pytest.raises(NotAnalysable) as caught:
        Snapshot.take(Found("thing", path))
    assert caught.value.hint
    words = {"broken": "cannot be read", "unreadable": "cannot be read", "too large": "more than"}
    assert words.get(kind, kind) in str(caught.value).lower()
    assert (caught.value.finding == "too-large") == (kind == "too large")


def test_a_link_put_in_place_after_finding_is_not_followed(tmp_path: Path):
    path = tmp_path / "f"
    path.write_bytes(b"x")
    found = find(str(path))
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(NotAnalysable):
        Snapshot.take(found)


def test_a_snapshot_is_the_bytes_and_cannot_be_changed(tmp_path: Path):
    path = tmp_path / "f"
    path.write_bytes(b"abc" * 1_000_000)
    with Snapshot.take(Found("f", path)) as snapshot:
        path.write_bytes(b"other")
        assert snapshot.artifact.size == 3_000_000
        assert snapshot.artifact.sha256 == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
        assert os.pread(snapshot.descriptor, 6, 0) == b"abcabc"


_SEND = "import sys, socket; socket.socket(fileno=int(sys.argv[2])).send"


@pytest.mark.parametrize(
    ("crash", "said"),
    {
        "import os; os.abort()": "signal 6",
        "import os; os.kill(os.getpid(), 9)": "signal 9",
        f"{_SEND}(b'R' + bytes([255] * 4))": "more than",
        f"{_SEND}(b'R' + bytes([0, 0, 0, 2]) + b'{{}}')": "no report",
        f"{_SEND}(b'?' + bytes([0, 0, 0, 2]) + b'{{}}')": "no report",
        "import os; os._exit(3)": "it said nothing",
        "raise MemoryError('all of it')": "all of it",
    }.items(),
)
def test_a_parser_that_breaks_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: str, said: str):
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    monkeypatch.setattr(workers, "_START", crash)
    path = tmp_path / "f"
    path.write_bytes(b"x")
    with Snapshot.take(Found("f", path)) as snapshot:
        report = inspect(snapshot)
    assert not report.analysed
    assert report.verdict.level == "unknown"
    assert said in report.findings[0].detail


def test_a_module_in_the_current_folder_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "lief.py").write_text("raise SystemExit('hostile')")
    (tmp_path / "msgspec.py").write_text("raise SystemExit('hostile')")
    monkeypatch.chdir(tmp_path)
    with Snapshot.take(find(sys.executable)) as snapshot:
        assert inspect(snapshot, syscalls=False).analysed


def test_a_worker_stays_and_is_replaced_when_somebody_kills_it():
    with Snapshot.take(find(sys.executable)) as snapshot, Worker() as worker:
        reports = [worker.inspect(snapshot, syscalls=False)]
        first = worker.pid
        reports.append(worker.inspect(snapshot, syscalls=False))
        assert worker.pid == first
        os.kill(first, 9)
        reports.append(worker.inspect(snapshot, syscalls=False))
        assert worker.pid != first
        assert reports[0].analysed
        assert reports == [reports[0]] * 3


def test_a_worker_that_has_grown_is_replaced(monkeypatch: pytest.MonkeyPatch):
    start = "import binsafe.intake.worker_process as w, binsafe.intake.bounds as b; b.WORKER_KEPT_BYTES = 1; w.main()"
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    monkeypatch.setattr(workers, "_START", "import sys; sys.path.insert(0, sys.argv[1]); " + start)
    with Snapshot.take(find(sys.executable)) as snapshot, Worker() as worker:
        reports = [worker.inspect(snapshot, syscalls=False) for _ in range(2)]
        assert worker.pid is None
        assert reports[0] == reports[1]


def test_time_is_limited_for_each_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start = (
        "import binsafe.intake.worker_process as w, binsafe.intake.bounds as b, binsafe.intake.parsing as p;"
        "b.WORKER_SECONDS = 1; p.carry_out = lambda *_: any(iter(int, 1)); w.main()"
    )
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    monkeypatch.setattr(workers, "_START", "import sys; sys.path.insert(0, sys.argv[1]); " + start)
    path = tmp_path / "f"
    path.write_bytes(b"x")
    with Snapshot.take(Found("f", path)) as snapshot:
        report = inspect(snapshot)
    assert f"signal {signal.SIGXCPU.value}" in report.findings[0].detail


def test_a_member_that_breaks_the_parser_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The child dies on the second member; another one does the rest without it."""
    start = (
        "import os, binsafe.archives.walking as a; real = a.inspect_file; "
        "a.inspect_file = lambda artifact, *r, **o: os.abort() if artifact.name == 'bad' else real(artifact, *r, **o); "
        "from binsafe.intake.worker_process import main; main()"
    )
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    monkeypatch.setattr(workers, "_START", "import sys; sys.path.insert(0, sys.argv[1]); " + start)
    program = Path(sys.executable).resolve().read_bytes()
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for name in ("first", "bad", "last"):
            archive.writestr(name, program)
    with Snapshot.take(find(str(tmp_path / "pack.zip"))) as snapshot:
        report = inspect(snapshot, syscalls=False)
    assert [(member.path, member.report.analysed) for member in report.members] == [
        ("first", True),
        ("bad", False),
        ("last", True),
    ]
    assert not report.analysed


def test_a_confined_parser_reads_what_packages_have_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It can load nothing any more, and a new process has nothing of ours; each of these takes something to be read."""
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for name in ("x/pyproject.toml", "x/Cargo.toml", "x/package.json", "x.pth", "x/setup.py", "\xe9"):
            archive.writestr(name, "\ufeffimport x")
    with Snapshot.take(find(str(tmp_path / "pack.zip"))) as snapshot:
        report = inspect(snapshot, syscalls=False)
    assert [finding.id for finding in report.findings] == ["install-hook", "scripts"]
    assert "x.pth has Python run" in report.findings[0].detail


def test_a_script_is_told_without_a_parser_and_in_no_time(tmp_path: Path):
    script = tmp_path / "script"
    script.write_text("#!/usr/bin/env -S python3 -u\n")
    found = Found("script", script)
    code = (
        "import os, sys; from pathlib import Path; from binsafe.intake import Found, Snapshot, inspect\n"
        f"report = inspect(Snapshot.take(Found('s', Path({str(found.path)!r}))))\n"
        "assert (report.format, report.analysed, report.findings[0].id) == ('script', False, 'script')\n"
        "assert 'python3' in report.findings[0].detail\n"
        "assert not {'lief', 'numpy', 'importlib.metadata', 'zipfile'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_person_is_told_once_of_a_large_file_that_takes_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    told: list[str] = []

    def hear(message: str) -> None:
        told.append(message)
        os.kill(worker.pid, signal.SIGCONT)

    monkeypatch.setattr(workers, "_LARGE_BYTES", 1)
    monkeypatch.setattr(workers, "_PATIENCE_SECONDS", 600.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Snapshot.take(find("/bin/cat")) as snapshot, Worker(hear) as worker:
        worker.inspect(snapshot, syscalls=False)
        assert told == []
        monkeypatch.setattr(workers, "_PATIENCE_SECONDS", 0.05)
        os.kill(worker.pid, signal.SIGSTOP)
        assert worker.inspect(snapshot).analysed, "and asked for its libraries meanwhile"
        assert told == [f"inspecting {snapshot.artifact.path}: {snapshot.artifact.size:,} bytes"]
