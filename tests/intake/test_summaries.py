"""What is kept of libraries: right, or made anew; never another's, never damaged, never what others could write."""

import hashlib
import os
import threading
from pathlib import Path

import msgspec
import pytest
from shared_objects import shared_object

from binsafe.intake import store
from binsafe.intake import summaries as module
from binsafe.intake.cached_programs import Watched
from binsafe.intake.summaries import Known, Summaries
from binsafe.model import ResolvedLibrary
from binsafe.syscalls import Summary

DATA, OTHER = shared_object(soname="liba.so"), shared_object(soname="libb.so")


def library(data: bytes = DATA) -> ResolvedLibrary:
    sha256 = hashlib.sha256(data).hexdigest()
    return ResolvedLibrary(name="liba.so", path="/lib/liba.so", sha256=sha256, build_id="abcd", needed_by="program")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often a summary was made."""
    count: list[int] = []
    real = module.summarise_library

    def counting(data: memoryview, watched: Watched = frozenset()) -> Summary | None:
        count.append(1)
        return real(data, watched)

    monkeypatch.setattr(module, "summarise_library", counting)
    return count


def of(folder: Path | None, which: ResolvedLibrary, data: bytes = DATA) -> Summary | None:
    summaries = Summaries(folder)
    known = Known(lambda _at, _watched, anew: summaries.payload(which, memoryview(data), anew=anew))
    return known.of(0, frozenset())


def kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_was_kept_is_read_and_is_the_same(tmp_path: Path, made: list[int]):
    assert of(tmp_path, library()) == of(tmp_path, library())
    assert len(made) == 1
    assert [path.stat().st_mode & 0o077 for path in kept(tmp_path)] == [0]


def test_a_copied_build_id_does_not_lead_to_anothers_summary(tmp_path: Path, made: list[int]):
    of(tmp_path, library())
    of(tmp_path, library(OTHER), OTHER)
    assert len(made) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other magic", "no summary"])
def test_what_is_damaged_is_made_anew(tmp_path: Path, made: list[int], damage: str):
    first = of(tmp_path, library())
    (path,) = kept(tmp_path)
    data = path.read_bytes()
    changed = bytes([*data[:-1], data[-1] ^ 1])
    payload = msgspec.msgpack.encode({"no": "summary"})
    import hashlib

    bad = {
        "cut": data[:-1],
        "changed": changed,
        "empty": b"",
        "other magic": b"x" + data[1:],
        "no summary": b"binsafe.summary/1\n" + hashlib.sha256(payload).digest() + payload,
    }
    path.write_bytes(bad[damage])
    assert of(tmp_path, library()) == first
    assert len(made) == 2
    assert path.read_bytes() == data


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, made: list[int]):
    tmp_path.chmod(0o777)
    of(tmp_path / "cache", library())
    of(tmp_path / "cache", library())
    assert len(made) == 2
    assert kept(tmp_path) == []
    tmp_path.chmod(0o700)


def test_a_file_that_others_can_write_to_or_a_link_is_not_read(tmp_path: Path, made: list[int]):
    of(tmp_path, library())
    (path,) = kept(tmp_path)
    path.chmod(0o666)
    of(tmp_path, library())
    assert len(made) == 2
    real = tmp_path / "real"
    path.rename(real)
    path.symlink_to(real)
    of(tmp_path, library())
    assert len(made) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_roots_cache_is_not_what_somebody_else_owns(tmp_path: Path, made: list[int]):
    of(tmp_path, library())
    (path,) = kept(tmp_path)
    os.chown(path, 65534, 65534)
    of(tmp_path, library())
    assert len(made) == 2


def test_many_writers_at_once_leave_one_whole_file(tmp_path: Path):
    msgspec.msgpack.Decoder(Summary)  # msgspec takes a type apart when it first meets it, which is not for two threads
    threads = [threading.Thread(target=of, args=(tmp_path, library())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept(tmp_path)) == 1
    assert of(tmp_path, library(), b"no library: it must not be looked at") is not None


def test_the_oldest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    of(tmp_path, library())
    (old,) = kept(tmp_path)
    os.utime(old, (0, 0))
    monkeypatch.setattr(store, "MAX_CACHE_BYTES", int(old.stat().st_size * 1.5))
    of(tmp_path, library(OTHER), OTHER)
    assert [path.name for path in kept(tmp_path)] == [f"abcd-{library(OTHER).sha256}"]


def test_nothing_is_kept_without_a_folder_and_malformed_files_have_no_summary(tmp_path: Path):
    assert of(None, library()) is not None
    assert of(tmp_path, library()) is not None
    assert of(tmp_path, library(DATA[:100]), DATA[:100]) is None


def test_bytes_that_were_changed_behind_their_hash_leave_nothing(tmp_path: Path, made: list[int]):
    assert of(tmp_path, library(), OTHER) is None
    assert not made
    assert not kept(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has other people's HOME")
def test_nothing_is_made_in_somebody_elses_home(tmp_path: Path):
    """Under sudo: whose home it is may have put a link there, and would own what we keep."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (home / ".cache").mkdir(parents=True)
    elsewhere.mkdir()
    (home / ".cache" / "binsafe").symlink_to(elsewhere)
    for path in (home, home / ".cache"):
        os.chown(path, 65534, 65534)
    for folder in (home / ".cache" / "binsafe" / "libraries", home / ".local" / "cache"):
        stored = store.Store(folder)
        stored.write("name", b"content")
        assert stored.read("name") is None
    assert [*elsewhere.iterdir()] == []
    assert not (home / ".local").exists()


def test_a_cache_behind_ones_own_link_is_used(tmp_path: Path):
    (tmp_path / "large").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "large")
    store.Store(tmp_path / "cache" / "binsafe").write("name", b"content")
    assert store.Store(tmp_path / "cache" / "binsafe").read("name") == b"content"


@pytest.mark.parametrize("mask", [0, 0o777])
def test_a_cache_is_its_users_alone_whatever_the_mask(tmp_path: Path, mask: int):
    """Everybody could write its folders, and it was never used again; or nobody could use ~/.cache at all."""
    before = os.umask(mask)
    try:
        store.Store(tmp_path / "cache" / "binsafe" / "libraries").write("name", b"content")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}
    assert store.Store(tmp_path / "cache" / "binsafe" / "libraries").read("name") == b"content"
