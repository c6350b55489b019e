"""What is kept of libraries for all programs comes from processes that have parsed no program."""

import hashlib
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from binsafe.intake import Snapshot, Worker, find, workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes a dynamic program of this system")

_WATCHED = """
import hashlib, os, sys
sys.path.insert(0, sys.argv[1])
from binsafe.formats import elf_headers
from binsafe.intake import confining, store, worker_process

confining.confine = lambda folder: ()  # who is confined cannot write the log

def say(*what):
    with open({log!r}, "a") as file:
        print(os.getpid(), *what, file=file)

header, write = elf_headers.header, store.Store.write

def parses(data):
    say("parses", hashlib.sha256(data).hexdigest())
    return header(data)

def writes(self, name, payload):
    say("writes", name.rpartition("-")[2])
    return write(self, name, payload)

elf_headers.header, store.Store.write = parses, writes
worker_process.main()
"""


@pytest.mark.parametrize("only_syscalls", [True, False])
def test_who_writes_what_is_kept_of_libraries_has_not_parsed_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, only_syscalls: bool
):
    """Libraries that are found on the way, too: those of name services, the unwinder."""
    log = tmp_path / "log"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    monkeypatch.setattr(workers, "_START", _WATCHED.format(log=str(log)))
    with Snapshot.take(find("ls")) as snapshot, Worker() as worker:
        if only_syscalls:
            worker.system_calls(snapshot, root=None, loaded=(), explain=None)
        report = worker.inspect(snapshot)
    done: dict[str, dict[str, set[str]]] = {"parses": defaultdict(set), "writes": defaultdict(set)}
    for line in log.read_text().splitlines():
        process, what, sha256 = line.split()
        done[what][process].add(sha256)
    parsers = {process for process, files in done["parses"].items() if snapshot.artifact.sha256 in files}
    assert parsers
    assert not parsers & done["writes"].keys()
    waiting = {each.sha256 for each in report.slices[0].resolved if each.needed_by == "dlopen"}
    assert waiting
    assert waiting <= set().union(*done["writes"].values())


def test_each_program_of_which_something_is_kept_is_parsed_by_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = tmp_path / "log"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    monkeypatch.setattr(workers, "_START", _WATCHED.format(log=str(log)))
    shas = []
    with Worker() as worker:
        for name in ("ls", "cat"):
            with Snapshot.take(find(name)) as snapshot:
                worker.inspect(snapshot)
                shas.append(hashlib.sha256(Path(snapshot.artifact.path).read_bytes()).hexdigest())
    parsed: dict[str, set[str]] = defaultdict(set)
    for line in log.read_text().splitlines():
        process, _, sha256 = line.split()
        parsed[sha256].add(process)
    assert not parsed[shas[0]] & parsed[shas[1]]


def test_a_busy_parser_ends_with_whom_it_works_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    busy = (
        "import os, sys; sys.path.insert(0, sys.argv[1]);"
        "import binsafe.intake.confining as c, binsafe.intake.worker_process as w, binsafe.intake.parsing as p;"
        "c.confine = lambda folder: ();"
        f"p.carry_out = lambda *_: (open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())), any(iter(int, 1)));"
        "w.main()"
    )
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    monkeypatch.setattr(workers, "_START", busy)
    with Snapshot.take(find("ls")) as snapshot, Worker() as worker:
        asking = threading.Thread(target=worker.inspect, args=(snapshot,), daemon=True)
        asking.start()
        parser = _read(tmp_path / "pid")
        os.kill(worker.pid or 0, signal.SIGTERM)
        asking.join()
    _wait_until(lambda: not Path(f"/proc/{parser}").exists())


def _read(path: Path) -> str:
    _wait_until(lambda: path.exists() and path.read_text() != "")
    return path.read_text()


def _wait_until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)
