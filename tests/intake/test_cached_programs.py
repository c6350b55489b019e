"""A program that was inspected before: the same answer in a fraction of the time, and no trace in any other's."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from binsafe.intake.cached_programs import CachedProgram
from binsafe.intake.store import Store
from binsafe.limits import MAX_REPORT_BYTES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes a dynamic program of this system")

IN_ONE_PROCESS = """
import os, socket, sys
import msgspec
from binsafe.intake import Snapshot, find, worker_process
from binsafe.intake.messages import Frame, Kind, Order, receive
from binsafe.intake.cached_programs import programs
with Snapshot.take(find(sys.argv[1])) as snapshot:
    order = Order(
        artifact=snapshot.artifact, only_syscalls=True, kept=programs().read(snapshot.artifact.sha256)
    )
    frame = Frame(Kind.ORDER, msgspec.msgpack.encode(order), os.dup(snapshot.descriptor))
    ours, theirs = socket.socketpair()
    assert worker_process._WorkerProcess(ours).carry_out(frame)
    print(len(receive(theirs, 1 << 24).payload))
takes_apart = {"numpy", "capstone", "lief", "binsafe.syscalls.dynamic", "binsafe.syscalls.linking.composing"}
print(*sorted(takes_apart & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def ls() -> str:
    found = shutil.which("ls")
    assert found is not None
    return str(Path(found).resolve())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, ls: str) -> Path:
    """A cache folder after one inspection."""
    folder = tmp_path_factory.mktemp("cache")
    listed(ls, folder)
    return folder


def listed(program: str, cache: Path) -> dict[str, object]:
    text = _run(cache, "-m", "binsafe", "syscalls", "--json", program)
    found: dict[str, object] = json.loads(text)
    return found


def _run(cache: Path, *arguments: str) -> str:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def kept(cache: Path) -> list[Path]:
    return [path for path in (cache / "binsafe" / "programs").rglob("*") if path.is_file()]


def test_nothing_that_takes_code_apart_or_puts_it_together_is_loaded_for_it(cache: Path, ls: str):
    size, *modules = _run(cache, "-c", IN_ONE_PROCESS, ls).split()
    assert int(size) > 500
    assert modules == []


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc here")
def test_nor_is_it_for_a_program_that_loads_nothing(tmp_path: Path):
    program = str(tmp_path / "static")
    source = '__asm__(".globl _start; _start: mov $60, %eax; syscall");'
    command = ["gcc", "-x", "c", "-", "-o", program, "-nostdlib", "-static"]
    subprocess.run(command, input=source, text=True, check=True)
    first = listed(program, tmp_path)
    _, *modules = _run(tmp_path, "-c", IN_ONE_PROCESS, program).split()
    assert "exit" in str(first["required"])
    assert listed(program, tmp_path) == first
    assert modules == []


def test_an_answer_that_does_not_hold_any_more_is_found_out_from_what_is_known_and_kept(
    cache: Path, ls: str, tmp_path: Path
):
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    (file,) = kept(tmp_path)
    needs, (payload, added, _, *rest), summaries = msgspec.msgpack.decode(Store(file.parent).read(file.name) or b"")
    stale = payload.replace(b'"complete":true', b'"complete":false')
    Store(file.parent).write(file.name, msgspec.msgpack.encode([needs, (stale, added, (), *rest), summaries]))
    assert listed(ls, tmp_path) == listed(ls, cache)
    _, (again, *_), _ = msgspec.msgpack.decode(Store(file.parent).read(file.name) or b"")
    assert again == payload != stale


def test_a_way_that_is_asked_for_is_no_answer_that_was_kept(cache: Path, ls: str):
    before = listed(ls, cache)
    assert "makes the call at" in _run(cache, "-m", "binsafe", "syscalls", "--explain", "write", ls)
    assert listed(ls, cache) == before
    assert "makes the call at" in _run(cache, "-m", "binsafe", "syscalls", "--explain", "write", ls)


def test_the_answer_is_the_same(cache: Path, ls: str, tmp_path: Path):
    assert listed(ls, cache) == listed(ls, tmp_path)
    assert kept(cache) != []


def test_what_was_not_kept_of_a_program_is_found_out_for_its_report(cache: Path, ls: str, tmp_path: Path):
    """Its parser has begun without what takes code apart."""
    (file,) = kept(cache)
    needs, _, summaries = msgspec.msgpack.decode(Store(file.parent).read(file.name) or b"")
    folder = tmp_path / "binsafe" / "programs" / file.parent.name
    Store(folder).write(file.name, msgspec.msgpack.encode([needs, None, []]))
    report = json.loads(_run(cache, "-m", "binsafe", "inspect", "--json", ls))
    assert summaries != []
    assert report["slices"][0]["syscalls"]["required"]
    assert json.loads(_run(tmp_path, "-m", "binsafe", "inspect", "--json", ls)) == report


def test_libraries_that_have_changed_are_taken_apart_for_a_program_that_has_not(cache: Path, ls: str, tmp_path: Path):
    shutil.copytree(cache / "binsafe" / "programs", tmp_path / "binsafe" / "programs")
    assert not (tmp_path / "binsafe" / "libraries").exists()
    assert listed(ls, tmp_path) == listed(ls, cache)


def test_what_is_damaged_is_made_anew(cache: Path, ls: str):
    before = listed(ls, cache)
    (file,) = kept(cache)
    whole = file.read_bytes()
    file.write_bytes(whole[:-100] + bytes(100))
    assert listed(ls, cache) == before
    (again,) = kept(cache)
    assert again.read_bytes() != whole[:-100] + bytes(100)


def test_another_file_is_another_program_however_alike(cache: Path, ls: str, tmp_path: Path):
    other = tmp_path / "ls"
    other.write_bytes(Path(ls).read_bytes() + b"\0")
    names = {path.name for path in kept(cache)}
    assert listed(str(other), cache)["required"] == listed(ls, cache)["required"]
    assert len({path.name for path in kept(cache)} - names) == 1


def test_what_was_kept_may_be_as_large_as_what_is_accepted(cache: Path, ls: str, tmp_path: Path):
    (file,) = (path for path in kept(cache) if path.name == hashlib.sha256(Path(ls).read_bytes()).hexdigest())
    folder = tmp_path / "binsafe" / "programs" / file.parent.name
    Store(folder).write(file.name, bytes(MAX_REPORT_BYTES))
    assert listed(ls, tmp_path) == listed(ls, cache)


def test_what_is_no_summary_counts_for_nothing():
    deep = b"\x93\xc0\xc0" + b"\x91" * 100_000 + b"\xc0"
    for kept in (b"\x93\x01\x02\x03", msgspec.msgpack.encode([["x", 1], None, []]), deep, None):
        assert CachedProgram(kept).needs is None
        assert CachedProgram(kept).answer is None


def test_what_is_kept_may_be_megabytes(ls: str, cache: Path):
    """Of a program like ruff it is; the second answer failed where it was larger than an order could be."""
    code = (
        "import sys; from binsafe.intake import Snapshot, find; from binsafe.intake.cached_programs import programs;"
        "sha = Snapshot.take(find(sys.argv[1])).artifact.sha256; programs().write(sha, bytes(3 << 20));"
        "assert len(programs().read(sha)) == 3 << 20"
    )
    _run(cache, "-c", code, ls)
    assert listed(ls, cache)["required"]
