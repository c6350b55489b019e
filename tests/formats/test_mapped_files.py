"""Large files are read in pieces and let go of: nothing is missed at their edges, and nothing stays in memory."""

import mmap
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from binsafe.formats import structure as module
from binsafe.formats.structure import find_all, let_go, matches

SIZE = 8 * 1024**2


def shared(view: memoryview) -> int:
    """Bytes of a mapping that are in this process's memory, of those that came from its file."""
    with Path("/proc/self/smaps").open(encoding="ascii") as lines:
        inside, found = False, 0
        for line in lines:
            if re.match(r"[0-9a-f]+-", line):
                inside = line.rstrip().endswith("mapped.bin")
            elif inside and line.startswith("Rss:"):
                found += int(line.split()[1]) * 1024
    assert len(view) == SIZE
    return found


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[memoryview]:
    path = tmp_path / "mapped.bin"
    path.write_bytes(b"word" + b"\1" * (SIZE - 8) + b"word")
    with path.open("rb") as file, mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ) as whole:
        view = memoryview(whole)
        yield view
        view.release()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no system that says what of a mapping is in memory")
def test_what_is_let_go_of_takes_no_memory_and_is_the_same(mapped: memoryview, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_LET_GO", SIZE - 1)
    assert bytes(mapped).count(b"\1") == SIZE - 8
    assert shared(mapped) == SIZE
    with mapped[100:200] as part:
        let_go(part)
    assert shared(mapped) == 0
    assert bytes(mapped[:5]) == b"word\1"
    monkeypatch.setattr(module, "_LET_GO", SIZE)
    let_go(mapped)
    assert shared(mapped) >= 4096, "a small file stays"


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="as above")
@pytest.mark.parametrize(
    "look", [lambda data: find_all(data, b"word"), lambda data: matches(data, re.compile(b"word"))]
)
def test_whoever_looks_through_a_file_keeps_little_of_it(
    mapped: memoryview, look: Callable[[memoryview], Iterator[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LET_GO", module._CHUNK)
    assert len([*look(mapped)]) == 2
    assert shared(mapped) <= 2 * module._CHUNK


def test_memory_that_is_no_file_is_left_alone():
    """The kernel would fill it with zeros (madvise(2), ``MADV_DONTNEED``)."""
    with mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE) as own:
        own[:4] = b"word"
        with memoryview(own) as view:
            let_go(view)
        assert own[:4] == b"word"
    let_go(memoryview(b"word"))


def test_matches_are_found_once_at_the_edges_of_pieces_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_LET_GO", 8)
    for at in range(24):
        data = b"." * at + b"word" + b"." * 8
        assert [match.start() for match in matches(memoryview(data), re.compile(b"wo?rd"))] == [at]
