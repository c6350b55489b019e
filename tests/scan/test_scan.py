import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from packed import ELF, tarred, zipped

from binsafe import intake
from binsafe.intake import Snapshot, workers
from binsafe.scan import Found, Options, Target, scan, walk
from binsafe.scan.examining import Known
from binsafe.scan.saving import resume
from binsafe.scan.walking import _kernel_devices, is_worth_opening

ROOT = Path(__file__).parents[2]
BROKEN = b"\x7fELF" + bytes(60)


def elf(number: int) -> bytes:
    """Programs with different bytes."""
    return ELF + number.to_bytes(4, "little")


def binsafe(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "binsafe", "scan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, **options)


def lines(text: str) -> dict[str, dict[str, object]]:
    return {(each := json.loads(line))["path"]: each for line in text.splitlines()}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/tool").write_bytes(elf(1))
    (tree / "bin/same").write_bytes(elf(1))
    os.link(tree / "bin/tool", tree / "bin/linked")
    (tree / "broken").write_bytes(BROKEN)
    (tree / "text").write_text("hello")
    (tree / "script").write_text("#!/bin/sh\n")
    (tree / "pack.whl").write_bytes(zipped({"a/tool": elf(2)}))
    (tree / "texts.zip").write_bytes(zipped({"a": b"hello"}))
    (tree / "man.1.gz").write_bytes(__import__("gzip").compress(b"hello" * 300))
    (tree / "pack.tgz").write_bytes(tarred({"tool": elf(3)}))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(elf(9))
    (tree / "out").symlink_to(outside)
    (tree / "loop").symlink_to(tree)
    (tree / "file-out").symlink_to(outside / "secret")
    os.mkfifo(tree / "fifo")
    return tree


def test_each_executable_and_archive_is_a_line_and_nothing_else(tree: Path):
    done = binsafe(tree)
    found = lines(done.stdout)
    names = {path.removeprefix(f"{tree}/") for path in found}
    assert names == {"bin/linked", "bin/same", "broken", "pack.whl", "pack.tgz"}
    twins = [each for each in found.values() if "/bin/" in str(each["path"])]
    assert sorted(each["duplicate_of"] is None for each in twins) == [False, True]
    assert found[f"{tree}/broken"]["report"]["analysed"] is False
    assert found[f"{tree}/pack.whl"]["report"]["members"][0]["path"] == "a/tool"
    assert done.returncode == 3
    assert "hard links" in done.stderr
    assert "Traceback" not in done.stderr


def test_exit_statuses_and_findings(tree: Path):
    (tree / "broken").unlink()
    assert binsafe(tree).returncode == 0
    (tree / "slip.zip").write_bytes(zipped({"../up": elf(5)}))
    assert binsafe(tree, "--fail-on", "high").returncode == 0
    assert binsafe(tree, "--fail-on", "medium").returncode == 1
    assert binsafe(tree / "none").returncode == 3
    assert binsafe(tree, "--resume").returncode == 2
    assert binsafe(tree, "--output", tree / "no" / "file").returncode == 2
    assert binsafe(tree, "--cluster", "tcp://127.0.0.1:1").returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_with_what_to_do(tree: Path):
    done = binsafe(tree, "--output", "/dev/full")
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "--resume" in done.stderr
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "binsafe", "scan", str(tree)]
        printed = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    assert printed.returncode == 2
    assert "make room" in printed.stderr
    assert "Traceback" not in done.stderr + printed.stderr


def test_an_unreadable_folder_is_reported_and_counted(tree: Path, monkeypatch: pytest.MonkeyPatch):
    real = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("/bin"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = Found()
    targets = list(walk([str(tree)], found))
    assert [(Path(each.path).name, each.reason) for each in found.skipped] == [("bin", "Permission denied")]
    assert len(targets) == found.worth == 4


def test_names_holes_and_loops_hide_nothing_and_stop_nothing(tmp_path: Path):
    """A name in no encoding, one with a line's end, a terabyte of holes, a socket, a link to itself, 60,000 letters."""
    tree, here = tmp_path / "tree", os.getcwd()
    (tree / "loop").mkdir(parents=True)
    names = [os.fsencode(tree) + name for name in (b"/bad\xff\xfe", b"/new\nline", b"/esc\x1b[31m", b"/plain")]
    for number, name in enumerate(names):
        Path(os.fsdecode(name)).write_bytes(elf(number))
    (tree / "loop/self").symlink_to(tree / "loop/self")
    with (tree / "holes").open("wb") as file:
        file.write(elf(7))
        file.truncate(1 << 40)
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tree)
        listener.bind("socket")
        for _ in range(300):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        Path("deep").write_bytes(elf(8))
        os.chdir(here)
    output = tmp_path / "lines.jsonl"
    done = binsafe(tree, "--output", output)
    found = lines(output.read_text())
    analysed = {path.rpartition("/")[2] for path, each in found.items() if (each["report"] or {}).get("analysed")}
    assert analysed == {"bad\\xff\\xfe", "new\nline", "esc\x1b[31m", "plain"}
    assert "more than" in found[f"{tree}/holes"]["problem"]
    assert "name too long" in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr + output.read_text()
    assert done.returncode == 3
    assert "name too long" in binsafe(tree, "--output", output, "--resume").stderr
    assert lines(output.read_text()).keys() == found.keys()
    shutil.rmtree(tree)


def test_a_sparse_file_takes_little_memory(tmp_path: Path):
    with (tmp_path / "sparse").open("wb") as file:
        file.write(elf(1))
        file.truncate(100 << 20)
    with Snapshot.take(intake.Found("sparse", tmp_path / "sparse")) as snapshot:
        assert snapshot.artifact.size == os.fstat(snapshot.descriptor).st_size == 100 << 20
        assert os.fstat(snapshot.descriptor).st_blocks * 512 < 4 << 20
        assert snapshot.artifact.sha256 == hashlib.sha256((tmp_path / "sparse").read_bytes()).hexdigest()


def test_a_walk_does_not_enter_the_kernels_own_file_systems_unless_they_are_named(tmp_path: Path):
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("there is no /proc here")
    inside = Found()
    list(walk(["/proc/self/net"], inside))
    assert inside.kernels == 0
    assert inside.others > 0
    assert os.stat("/proc").st_dev in _kernel_devices()
    assert os.stat(tmp_path).st_dev not in _kernel_devices()


def test_a_walk_that_finds_nothing_for_long_holds_up_no_outcome(tree: Path):
    released = threading.Event()

    def walking() -> Iterator[Target]:
        yield from walk([str(tree / "bin")], Found())
        assert released.wait(60)

    with ThreadPoolExecutor(1) as executor:
        outcomes = scan(walking(), executor, Options(), window=4, known=Known())
        assert next(outcomes).problem is None
        released.set()
        assert len(list(outcomes)) == 1


def test_what_breaks_a_walk_is_raised():
    def walking() -> Iterator[Target]:
        yield from ()
        raise RuntimeError("broken")

    with ThreadPoolExecutor(1) as executor, pytest.raises(RuntimeError, match="broken"):
        list(scan(walking(), executor, Options(), window=4))


def test_text_that_was_compressed_is_not_opened_and_programs_are():
    gzip = __import__("gzip")
    assert not is_worth_opening(gzip.compress(b"hello" * 9000)[:4096])
    assert is_worth_opening(gzip.compress(ELF)[:4096])
    assert is_worth_opening(tarred({"a": b"x" * 9000})[:4096])
    assert is_worth_opening(b"\x28\xb5\x2f\xfd" + bytes(40)) or sys.version_info >= (3, 14)
    assert not is_worth_opening(b"\xca\xfe\xba\xbe\0\0\0\x41")
    assert not is_worth_opening(b"")


@pytest.mark.parametrize("form", ["sarif", "html"])
def test_whole_formats(tree: Path, tmp_path: Path, form: str):
    (tree / "bin/<script>x").write_bytes(BROKEN + b"x")
    output = tmp_path / "result"
    assert binsafe(tree, "--format", form, "--output", output, cwd=tmp_path).returncode == 3
    shown = output.read_text()
    if form == "sarif":
        (run,) = json.loads(shown)["runs"]
        assert {"tree/broken", "tree/bin/%3Cscript%3Ex"} <= {each["location"]["uri"] for each in run["artifacts"]}
        assert run["invocations"][0]["executionSuccessful"] is False
    else:
        HTMLParser().feed(shown)
        assert "<script" not in shown
        assert shown.index("badge unknown") < shown.index("badge caution")


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


def started(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "binsafe", "scan", str(folder), "--output", str(output), "--jobs", "2"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def wait_for_lines(output: Path, count: int) -> None:
    ends = time.monotonic() + 60
    while not output.exists() or output.read_bytes().count(b"\n") < count:
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_kill_9_of_its_workers_costs_no_file(tmp_path: Path):
    folder, output = many(tmp_path / "many", 40), tmp_path / "lines.jsonl"
    with started(folder, output) as process:
        killed = 0
        for at in (3, 10, 20):
            wait_for_lines(output, at)
            for child in children(process.pid):
                os.kill(child, signal.SIGKILL)
                killed += 1
        assert process.wait(90) == 0
    assert killed >= 3
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


def test_a_file_that_kills_every_worker_is_reported_and_the_rest_goes_on(tree: Path, monkeypatch: pytest.MonkeyPatch):
    start = (
        "import os, binsafe.inspection as i; real = i.inspect; "
        "i.inspect = lambda a, *r, **o: os.kill(os.getpid(), 9) if a.name.endswith('broken') else real(a, *r, **o); "
        "from binsafe.intake.worker import main; main()"
    )
    monkeypatch.setattr(workers, "_START", "import sys; sys.path.insert(0, sys.argv[1]); " + start)
    with ThreadPoolExecutor(2) as executor:
        outcomes = list(scan(walk([str(tree)], Found()), executor, Options(), window=4, known=Known()))
    broken = next(each for each in outcomes if each.path.endswith("broken"))
    assert broken.report is not None
    assert "signal 9" in broken.report.findings[0].detail
    assert sum(each.report is not None and each.report.analysed for each in outcomes) >= 3


def test_a_file_that_has_gone_meanwhile_is_one_outcome(tmp_path: Path):
    with ThreadPoolExecutor(1) as executor:
        (outcome,) = scan([Target(str(tmp_path / "gone"), 1, 1)], executor, Options(), window=1)
    assert outcome.report is None
    assert "does not exist" in (outcome.problem or "")


def test_the_action_and_the_hooks_name_commands_that_exist():
    action = yaml.safe_load((ROOT / ".github/actions/scan/action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    script = action["runs"]["steps"][1]["run"]
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    used = [*(hook["entry"].split() for hook in hooks), script.replace("\\\n", " ").splitlines()[-1].split()]
    for words in used:
        assert words[0] == "binsafe"
        shown = subprocess.run(
            [sys.executable, "-m", "binsafe", words[1], "--help"], capture_output=True, text=True, check=True
        )
        assert not [word for word in words if word.startswith("--") and len(word) > 2 and word not in shown.stdout]


def test_shells_complete_its_commands():
    """click's own: eval "$(_BINSAFE_COMPLETE=bash_source binsafe)"."""
    environment = os.environ | {"_BINSAFE_COMPLETE": "bash_complete", "COMP_WORDS": "binsafe sc", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['binsafe']; from binsafe.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "plain,scan" in done.stdout


def test_a_dask_cluster_does_the_same(tree: Path):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    program = Path(__file__).with_name("on_cluster.py")
    done = subprocess.run(
        [sys.executable, program, tree], capture_output=True, text=True, timeout=100, check=False, cwd=ROOT
    )
    here, there = lines(binsafe(tree).stdout), lines(done.stdout)
    assert done.returncode == 3, done.stderr
    assert here.keys() == there.keys()
    assert here[f"{tree}/broken"] == there[f"{tree}/broken"]
