"""Which files a scan opens: odd names, holes, loops and the kernel's own file systems."""

import gzip
import hashlib
import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packed import ELF, tarred
from scanned import binsafe, elf, lines

from binsafe import intake
from binsafe.intake import Snapshot
from binsafe.scan import Coverage, Options, Target, scan, walk
from binsafe.scan.examining import Known
from binsafe.scan.walking import _kernel_devices, is_worth_opening


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
    inside = Coverage()
    list(walk(["/proc/self/net"], inside))
    assert inside.kernels == 0
    assert inside.others > 0
    assert os.stat("/proc").st_dev in _kernel_devices()
    assert os.stat(tmp_path).st_dev not in _kernel_devices()


def test_a_walk_that_finds_nothing_for_long_holds_up_no_outcome(tree: Path):
    released = threading.Event()

    def walking() -> Iterator[Target]:
        yield from walk([str(tree / "bin")], Coverage())
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
    assert not is_worth_opening(gzip.compress(b"hello" * 9000)[:4096])
    assert is_worth_opening(gzip.compress(ELF)[:4096])
    assert is_worth_opening(tarred({"a": b"x" * 9000})[:4096])
    assert is_worth_opening(b"\x28\xb5\x2f\xfd" + bytes(40)) or sys.version_info >= (3, 14)
    assert not is_worth_opening(b"\xca\xfe\xba\xbe\0\0\0\x41")
    assert not is_worth_opening(b"")
