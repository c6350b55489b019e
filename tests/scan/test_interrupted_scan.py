"""A scan whose workers, or which itself, is killed: no file is lost, and it goes on where it was."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scanned import binsafe, elf, lines

from binsafe.intake import workers
from binsafe.scan import Coverage, Options, Target, scan, walk
from binsafe.scan.examining import Known
from binsafe.scan.saving import resume

pytestmark = pytest.mark.once


@pytest.mark.parametrize("torn", ["", '{"schema":"binsafe.scan/1","pa', "garbage\n", '{"schema":"binsafe.scan/1"}\n'])
def test_a_scan_goes_on_where_it_was_interrupted(tree: Path, tmp_path: Path, torn: str):
    output = tmp_path / "lines.jsonl"
    whole = binsafe(tree, "--output", output)
    written = output.read_text().splitlines(keepends=True)
    output.write_text("".join(written[:2]) + torn)
    kept = output.read_text().splitlines(keepends=True)[:2]
    again = binsafe(tree, "--output", output, "--resume")
    assert again.returncode == whole.returncode
    assert output.read_text().splitlines(keepends=True)[:2] == kept
    assert lines(output.read_text()).keys() == lines("".join(written)).keys()
    assert len(output.read_text().splitlines()) == len(written)
    (tree / "broken").write_bytes(elf(7))
    assert binsafe(tree, "--output", output, "--resume").returncode == 0  # the old line does not count any more
    assert lines(output.read_text())[f"{tree}/broken"]["report"]["analysed"] is True


def many(folder: Path, count: int) -> Path:
    program = Path(shutil.which("bash") or sys.executable).resolve().read_bytes()
    folder.mkdir()
    for number in range(count):
        (folder / f"program{number:03}").write_bytes(program + number.to_bytes(4, "little"))
    return folder


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def started(folder: Path, output: Path, jobs: int = 2, told: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "binsafe", "scan", str(folder), "--output", str(output), "--jobs", str(jobs)]
    return subprocess.Popen(command, stderr=told)


def workers_of(process: subprocess.Popen[bytes], count: int) -> list[int]:
    ends = time.monotonic() + 60
    while len(found := children(process.pid)) < count:
        assert time.monotonic() < ends
        time.sleep(0.01)
    return found


def wait_for_lines(output: Path, count: int) -> None:
    ends = time.monotonic() + 60
    while not output.exists() or output.read_bytes().count(b"\n") < count:
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_kill_9_of_its_workers_costs_no_file(tmp_path: Path):
    """Four, each in the midst of a file that no other was killed over: a second time would cost the file."""
    folder, output = many(tmp_path / "many", 40), tmp_path / "lines.jsonl"
    with started(folder, output, jobs=4) as process:
        wait_for_lines(output, 3)
        for worker in (first := workers_of(process, 4)):
            os.kill(worker, signal.SIGSTOP)  # none comes to the end of its file before its turn
        for worker, at in zip(first, (3, 10, 15, 20), strict=True):
            wait_for_lines(output, at)
            os.kill(worker, signal.SIGKILL)
        assert process.wait(90) == 0
    found = lines(output.read_text())
    assert len(found) == 40
    assert all(each["report"]["analysed"] for each in found.values())


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_after_its_own_kill_9_it_goes_on_and_leaves_no_process(tmp_path: Path):
    folder, output = many(tmp_path / "many", 40), tmp_path / "lines.jsonl"
    with started(folder, output) as process:
        wait_for_lines(output, 5)
        workers_ = children(process.pid)
        process.kill()
    ends = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in workers_):
        assert time.monotonic() < ends, "a worker outlived its scan"
        time.sleep(0.05)
    assert len(resume(output)) >= 5
    assert binsafe(folder, "--output", output, "--resume").returncode == 0
    assert len(output.read_text().splitlines()) == len(lines(output.read_text())) == 40


def test_ctrl_c_says_how_to_go_on(tmp_path: Path):
    folder, output = many(tmp_path / "many", 40), tmp_path / "lines.jsonl"
    with started(folder, output, told=subprocess.PIPE) as process:
        wait_for_lines(output, 2)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read().decode()
    assert process.returncode == 130
    assert told.strip() == f"stopped; what is done is in {output}: the same command with --resume goes on with it"


def test_a_file_that_kills_every_worker_is_reported_and_the_rest_goes_on(tree: Path, monkeypatch: pytest.MonkeyPatch):
    start = (
        "import os, binsafe.inspection as i; real = i.inspect; "
        "i.inspect = lambda a, *r, **o: os.kill(os.getpid(), 9) if a.name.endswith('broken') else real(a, *r, **o); "
        "from binsafe.intake.worker_process import main; main()"
    )
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    monkeypatch.setattr(workers, "_START", "import sys; sys.path.insert(0, sys.argv[1]); " + start)
    with ThreadPoolExecutor(2) as executor:
        outcomes = list(scan(walk([str(tree)], Coverage()), executor, Options(), window=4, known=Known()))
    broken = next(each for each in outcomes if each.path.endswith("broken"))
    assert broken.report is not None
    ended = signal.SIGSYS if sys.platform == "linux" else signal.SIGKILL  # who parses may not even kill itself
    assert f"signal {ended.value}" in broken.report.findings[0].detail
    assert sum(each.report is not None and each.report.analysed for each in outcomes) >= 3


def test_a_file_that_has_gone_meanwhile_is_one_outcome(tmp_path: Path):
    with ThreadPoolExecutor(1) as executor:
        (outcome,) = scan([Target(str(tmp_path / "gone"), 1, 1)], executor, Options(), window=1)
    assert outcome.report is None
    assert "does not exist" in (outcome.problem or "")
