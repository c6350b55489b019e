"""Finding files, taking snapshots, and inspecting in a process that may break."""

import errno
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from binsafe.errors import NotAnalysable, NotFound
from binsafe.intake import Found, Snapshot, Worker, attributes, find, inspect, workers
from binsafe.limits import MAX_ARTIFACT_BYTES


def test_a_path_comes_before_a_command_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert find("ls").path == Path(subprocess.check_output(["which", "ls"], text=True).strip()).resolve()
    (tmp_path / "ls").write_bytes(b"mine")
    assert find("ls").path == tmp_path / "ls"


def test_a_folder_of_the_name_of_a_command_is_meant_only_where_it_is_named_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whoever keeps a server's files in a folder that is called as the server is, still starts the server."""
    command = find("ls").path
    monkeypatch.chdir(tmp_path)
    for name in ("ls", "bundle.app"):
        (tmp_path / name).mkdir()
    assert find("ls").path == command
    assert find("./ls").path == tmp_path / "ls"
    assert find("bundle.app").path == tmp_path / "bundle.app"


def test_a_command_is_the_first_file_on_the_path_that_can_be_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    places = [tmp_path / name for name in ("missing", "folder", "text", "program", "later")]
    (tmp_path / "folder" / "tool").mkdir(parents=True)
    for place, mode in zip(places[2:], (0o644, 0o755, 0o755), strict=True):
        place.mkdir()
        (place / "tool").write_bytes(b"x")
        (place / "tool").chmod(mode)
    monkeypatch.setenv("PATH", ":".join(map(str, places)))
    assert find("tool").path == tmp_path / "program" / "tool" == Path(shutil.which("tool") or "")
    monkeypatch.setenv("PATH", ":".join(map(str, places[:3])))
    with pytest.raises(NotFound, match="no file and no command"):
        find("tool")


def test_a_link_is_resolved_and_the_name_asked_for_is_kept(tmp_path: Path):
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    assert find(str(tmp_path / "link")) == Found(str(tmp_path / "link"), tmp_path / "real")


@pytest.mark.skipif(sys.platform != "linux", reason="XDG's folders are Linux's")
def test_a_stored_artifact_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    stored = tmp_path / "binsafe" / "artifacts" / "kept"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"x")
    assert find("kept").path == stored


def test_an_empty_name_is_not_this_folder():
    with pytest.raises(NotFound, match="an empty name"):
        find("")


def test_nothing_found_names_the_artifacts_that_are_known():
    with pytest.raises(NotFound) as caught:
        find("no-such-thing-anywhere")
    assert "flakyservers" in caught.value.hint


def test_the_stand_in_is_found_by_its_name_and_built(standin: Callable[[str], Path]):
    from bandit_runner.flakyservers.build import this_machine

    assert find("flakyservers").path == standin(this_machine()).resolve()


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


@pytest.mark.skipif(sys.platform != "linux", reason="sets the attribute as Linux does")
def test_quarantine_of_the_file_itself(tmp_path: Path):
    path = tmp_path / "f"
    path.write_bytes(b"x")
    try:
        os.setxattr(path, "user.com.apple.quarantine", b"0081;65a1b2c3;Firefox;")
    except OSError:
        pytest.skip("this file system keeps no attributes of users")
    with Snapshot.take(Found("f", path)) as snapshot:
        assert snapshot.artifact.quarantine == {
            "flags": "0081",
            "time": "2024-01-12T21:44:35+00:00",
            "agent": "Firefox",
        }


@pytest.mark.skipif(sys.platform != "linux", reason="sets the attribute as Linux does")
@pytest.mark.parametrize(
    ("mark", "noted"),
    [
        (b"0081", {"flags": "0081"}),
        (b"0081;;" + b"x" * 3000 + b";", {"flags": "0081", "agent": "x" * 1018}),
        (b"", {"unknown": "the mark is empty"}),
    ],
    ids=["flags", "long", "empty"],
)
def test_a_mark_that_is_no_usual_one_is_a_mark(tmp_path: Path, mark: bytes, noted: dict[str, str]):
    path = tmp_path / "f"
    path.write_bytes(b"x")
    try:
        os.setxattr(path, "user.com.apple.quarantine", mark)
    except OSError:
        pytest.skip("this file system keeps no attributes of users")
    with path.open("rb") as file:
        assert attributes.quarantine(file.fileno()) == noted


@pytest.mark.skipif(sys.platform != "linux", reason="O_PATH is Linux's")
def test_a_mark_that_cannot_be_read_is_unknown(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "g").write_bytes(b"x")
    descriptor = os.open(tmp_path / "f", os.O_PATH)  # may not be asked for attributes
    assert attributes.quarantine(descriptor) == {"unknown": os.strerror(errno.EBADF)}
    os.close(descriptor)
    with (tmp_path / "g").open("rb") as file:
        assert attributes.quarantine(file.fileno()) is None


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


def test_what_the_distribution_declares_is_found_without_what_reads_others():
    code = (
        "import sys; from binsafe.intake import finding\n"
        "found = finding._declared(); loaded = 'importlib.metadata' in sys.modules\n"
        "finding.__version__ = '0.no'; other = finding._declared()\n"  # as where nothing lies in such a place
        "assert 'importlib.metadata' in sys.modules\n"
        "assert found.keys() == other.keys() and all(found[name]() is other[name]() for name in found)\n"
        "print(loaded, *found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False flakyservers\n"


def test_links_that_lead_to_each_other_are_told(tmp_path: Path):
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(NotAnalysable, match="leads nowhere"):
        find(str(tmp_path / "one"))


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
